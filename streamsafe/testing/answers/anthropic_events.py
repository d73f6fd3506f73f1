"""Anthropic's answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from streamsafe.testing.answers.parts import (
    INPUT,
    Calls,
    Error,
    calls,
    error_object,
    fragments,
    named,
    tokens,
)


def anthropic(
    text: str = "",
    *,
    model: str = "claude-test",
    id: str = "msg_test",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """Anthropic's Messages API. Content type text/event-stream."""
    into, out = usage or (INPUT, len(tokens(reasoning + text)))
    message: dict[str, Any] = {
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": into, "output_tokens": 1},
    }  # fmt: skip
    payloads: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, (block, deltas) in enumerate(_blocks(text, reasoning, tool_calls)):
        payloads.append({"type": "content_block_start", "index": index, "content_block": block})
        payloads += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        payloads.append({"type": "content_block_stop", "index": index})
    payloads.insert(2, {"type": "ping"})
    if error is not None:
        payloads.append({"type": "error", "error": error_object(error, type="overloaded_error")})
        return named(payloads)
    reason = finish_reason or ("tool_use" if tool_calls else "end_turn")
    payloads += [
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
         "usage": {"output_tokens": out}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return named(payloads)


def _blocks(
    text: str, reasoning: str, tool_calls: Calls
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Anthropic: each content block as it begins, and its deltas."""
    if reasoning:
        deltas = [{"type": "thinking_delta", "thinking": token} for token in tokens(reasoning)]
        deltas.append({"type": "signature_delta", "signature": "dGVzdA=="})
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if text or not (reasoning or tool_calls):
        yield {"type": "text", "text": ""}, [
            {"type": "text_delta", "text": token} for token in tokens(text)
        ]
    for number, (name, arguments) in enumerate(calls(tool_calls), 1):
        block = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}
        parts = ["", *fragments(arguments)]
        yield block, [{"type": "input_json_delta", "partial_json": part} for part in parts]
