"""Cohere's answers."""

from __future__ import annotations

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


def cohere(
    text: str = "",
    *,
    model: str = "command-test",
    id: str = "cohere-test",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """Cohere's v2 chat. Content type text/event-stream; its events name no model."""
    into, out = usage or (INPUT, len(tokens(reasoning + text)))
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    payloads: list[dict[str, Any]] = [
        {"type": "message-start", "id": id, "delta": {"message": empty}}
    ]

    def add(kind: str, index: int, **message: Any) -> None:
        payloads.append({"type": kind, "index": index, "delta": {"message": message}})

    index = 0
    for kind, words in (("thinking", reasoning), ("text", text)):
        if words:
            add("content-start", index, content={"type": kind, kind: ""})
            for token in tokens(words):
                add("content-delta", index, content={kind: token})
            payloads.append({"type": "content-end", "index": index})
            index += 1
    for number, (name, arguments) in enumerate(calls(tool_calls)):
        head = {"name": name, "arguments": ""}
        call = {"id": f"{name}_{number + 1}", "type": "function", "function": head}
        add("tool-call-start", number, tool_calls=call)
        for part in fragments(arguments):
            add("tool-call-delta", number, tool_calls={"function": {"arguments": part}})
        payloads.append({"type": "tool-call-end", "index": number})
    counts = {"input_tokens": into, "output_tokens": out}
    end: dict[str, Any] = {"usage": {"billed_units": counts, "tokens": counts}}
    if error is not None:
        end.update(finish_reason="ERROR", error=error_object(error)["message"])
    else:
        end["finish_reason"] = finish_reason or ("TOOL_CALL" if tool_calls else "COMPLETE")
    payloads.append({"type": "message-end", "delta": end})
    return [*named(payloads), b"data: [DONE]\n\n"]
