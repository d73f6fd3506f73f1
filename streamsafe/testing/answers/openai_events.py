"""OpenAI's answers: chat completions, legacy completions, and the Responses API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from streamsafe.testing.answers.parts import (
    INPUT,
    Calls,
    Error,
    calls,
    data,
    error_object,
    fragments,
    named,
    only_text,
    tokens,
)


def openai_chat(
    text: str = "",
    *,
    model: str = "gpt-test",
    id: str = "chatcmpl-test",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """OpenAI's chat completions, and all that speak alike (Azure, Groq, vLLM, DeepSeek …).

    Content type text/event-stream. ``usage`` comes in a chunk of its own; None = none, as when
    the request did not ask for it. ``reasoning`` stands in ``reasoning_content``.
    """
    envelope = {"id": id, "object": "chat.completion.chunk", "created": 1, "model": model}

    def choice(delta: Mapping[str, Any], finish: Optional[str] = None) -> bytes:
        return data(
            {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        )

    events = [choice({"role": "assistant", "content": ""})]
    events += [choice({"reasoning_content": token}) for token in tokens(reasoning)]
    events += [choice({"content": token}) for token in tokens(text)]
    for number, (name, arguments) in enumerate(calls(tool_calls)):
        head = {"name": name, "arguments": ""}
        call = {"index": number, "id": f"call_{number + 1}", "type": "function", "function": head}
        events.append(choice({"tool_calls": [call]}))
        for part in fragments(arguments):
            piece = {"index": number, "function": {"arguments": part}}
            events.append(choice({"tool_calls": [piece]}))
    if error is not None:
        return [*events, data({"error": error_object(error, type="server_error", code=None)})]
    events.append(choice({}, finish_reason or ("tool_calls" if tool_calls else "stop")))
    return [*events, *_usage(envelope, usage), b"data: [DONE]\n\n"]


def openai_completions(
    text: str = "",
    *,
    model: str = "gpt-test",
    id: str = "cmpl-test",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """OpenAI's legacy completions. Content type text/event-stream; ``usage`` as for the chat.

    Raises ValueError for ``reasoning`` and ``tool_calls``: this API has none.
    """
    only_text("openai_completions", reasoning=reasoning, tool_calls=tool_calls)
    envelope = {"id": id, "object": "text_completion", "created": 1, "model": model}

    def choice(text: str, finish: Optional[str] = None) -> bytes:
        one = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
        return data({**envelope, "choices": [one]})

    events = [choice(token) for token in tokens(text)]
    if error is not None:
        return [*events, data({"error": error_object(error, type="server_error", code=None)})]
    events.append(choice("", finish_reason or "stop"))
    return [*events, *_usage(envelope, usage), b"data: [DONE]\n\n"]


def responses(
    text: str = "",
    *,
    model: str = "gpt-test",
    id: str = "resp_test",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """OpenAI's Responses API. Content type text/event-stream.

    ``finish_reason`` "max_output_tokens" or "content_filter" makes the response incomplete;
    ``error`` ends in response.failed. ``reasoning`` comes as a summary.
    """
    base = {"id": id, "object": "response", "created_at": 1, "model": model, "error": None,
            "incomplete_details": None}  # fmt: skip
    begun = {**base, "status": "in_progress", "output": [], "usage": None}
    payloads: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    output: list[dict[str, Any]] = []
    for item, parts in _items(text, reasoning, tool_calls):
        place = {"output_index": len(output)}
        payloads.append({"type": "response.output_item.added", **place, "item": item[0]})
        payloads += [{**part, "item_id": item[1]["id"], **place} for part in parts]
        payloads.append({"type": "response.output_item.done", **place, "item": item[1]})
        output.append(item[1])
    into, out = usage or (INPUT, len(tokens(reasoning + text)))
    counts = {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}
    end = {**base, "status": "completed", "output": output, "usage": counts}
    if error is not None:
        end.update(status="failed", error=error_object(error, code="server_error"))
    elif finish_reason not in ("", "completed"):
        end.update(status="incomplete", incomplete_details={"reason": finish_reason})
    payloads.append({"type": f"response.{end['status']}", "response": end})
    return named({**payload, "sequence_number": n} for n, payload in enumerate(payloads))


def _usage(envelope: Mapping[str, Any], usage: Optional[tuple[int, int]]) -> list[bytes]:
    """The chunk without choices in which the counts come, if they were asked for."""
    if usage is None:
        return []
    counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return [data({**envelope, "choices": [], "usage": counts})]


def _items(
    text: str, reasoning: str, tool_calls: Calls
) -> Iterator[tuple[tuple[dict[str, Any], dict[str, Any]], list[dict[str, Any]]]]:
    """Responses: each output item as it begins and as it ends, and the events in between."""
    if reasoning:
        item: dict[str, Any] = {"id": "rs_test", "type": "reasoning", "summary": []}
        kind = "response.reasoning_summary_text.delta"
        deltas = [{"type": kind, "summary_index": 0, "delta": t} for t in tokens(reasoning)]
        done = {**item, "summary": [{"type": "summary_text", "text": reasoning}]}
        yield (item, done), deltas
    if text or not (reasoning or tool_calls):
        item = {"id": "msg_test", "type": "message", "role": "assistant"}
        part = {"type": "output_text", "annotations": [], "text": ""}
        place = {"content_index": 0}
        events = [
            {"type": "response.content_part.added", **place, "part": part},
            *({"type": "response.output_text.delta", **place, "delta": t} for t in tokens(text)),
            {"type": "response.output_text.done", **place, "text": text},
            {"type": "response.content_part.done", **place, "part": {**part, "text": text}},
        ]
        begun = {**item, "status": "in_progress", "content": []}
        yield (begun, {**item, "status": "completed", "content": [{**part, "text": text}]}), events
    for number, (name, arguments) in enumerate(calls(tool_calls), 1):
        item = {"id": f"fc_{number}", "type": "function_call", "call_id": f"call_{number}",
                "name": name}  # fmt: skip
        kind = "response.function_call_arguments"
        events = [{"type": f"{kind}.delta", "delta": part} for part in fragments(arguments)]
        events.append({"type": f"{kind}.done", "name": name, "arguments": arguments})
        begun = {**item, "status": "in_progress", "arguments": ""}
        yield (begun, {**item, "status": "completed", "arguments": arguments}), events
