"""Ready-made answers: the events by which each API would stream a given text.

Here live the bodies, as lists of ``bytes``, one item an event (or a line) with its end: they can
be cut, reordered and joined like any list, and given to ``stream``::

    events = openai_chat("The quick brown fox")
    server.expect(stream(events[:3], then=rst()), stream(events))

``openai_chat``, ``responses``, ``anthropic``, ``gemini``, ``cohere`` and ``ollama`` take the same
arguments:

``text``            the answer; it is cut into tokens at its words
``model``, ``id``     what the events carry
``finish_reason``   in the API's own words; "" = what fits the answer
``usage``           (input, output) tokens; None = counted, or left out where one must ask for it
``reasoning``       told before the text
``tool_calls``      (name, arguments) pairs, the arguments a dict or the JSON text
``error``           the answer breaks off, after the text, with an error inside the stream: a
                  message, or the API's whole error object

Whether these are what the vendors really send is told by the samples of the project's tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, Optional, Union

Calls = Sequence[tuple[str, Union[str, Mapping[str, Any]]]]
Error = Union[str, Mapping[str, Any], None]

#: The prompt's tokens where a count is wanted and none was given.
_INPUT = 12


def tokens(text: str) -> list[str]:
    """The text cut before its words, as models like to; joined again it is the text."""
    return re.findall(r"\s*\S+|\s+$", text)


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
        return _data(
            {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        )

    events = [choice({"role": "assistant", "content": ""})]
    events += [choice({"reasoning_content": token}) for token in tokens(reasoning)]
    events += [choice({"content": token}) for token in tokens(text)]
    for number, (name, arguments) in enumerate(_calls(tool_calls)):
        head = {"name": name, "arguments": ""}
        call = {"index": number, "id": f"call_{number + 1}", "type": "function", "function": head}
        events.append(choice({"tool_calls": [call]}))
        for part in _fragments(arguments):
            piece = {"index": number, "function": {"arguments": part}}
            events.append(choice({"tool_calls": [piece]}))
    if error is not None:
        return [*events, _data({"error": _error(error, type="server_error", code=None)})]
    events.append(choice({}, finish_reason or ("tool_calls" if tool_calls else "stop")))
    if usage is not None:
        counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
        events.append(
            _data({**envelope, "choices": [], "usage": {**counts, "total_tokens": sum(usage)}})
        )
    return [*events, b"data: [DONE]\n\n"]


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
    into, out = usage or (_INPUT, len(tokens(reasoning + text)))
    counts = {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}
    end = {**base, "status": "completed", "output": output, "usage": counts}
    if error is not None:
        end.update(status="failed", error=_error(error, code="server_error"))
    elif finish_reason not in ("", "completed"):
        end.update(status="incomplete", incomplete_details={"reason": finish_reason})
    payloads.append({"type": f"response.{end['status']}", "response": end})
    return _named({**payload, "sequence_number": n} for n, payload in enumerate(payloads))


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
    into, out = usage or (_INPUT, len(tokens(reasoning + text)))
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
        payloads.append({"type": "error", "error": _error(error, type="overloaded_error")})
        return _named(payloads)
    reason = finish_reason or ("tool_use" if tool_calls else "end_turn")
    payloads += [
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
         "usage": {"output_tokens": out}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return _named(payloads)


def gemini(
    text: str = "",
    *,
    model: str = "gemini-test",
    id: str = "response-test",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """Gemini's streamGenerateContent?alt=sse: CRLF line ends, no end mark, whole tool calls.

    Content type text/event-stream.
    """
    into, out = usage or (_INPUT, len(tokens(text)))
    counts = {
        "promptTokenCount": into, "candidatesTokenCount": out, "totalTokenCount": into + out
    }  # fmt: skip

    def chunk(part: Mapping[str, Any], **finish: str) -> bytes:
        candidate = {"content": {"parts": [part], "role": "model"}, "index": 0, **finish}
        return _data(
            {"candidates": [candidate], "usageMetadata": counts, "modelVersion": model,
             "responseId": id}, end="\r\n",
        )  # fmt: skip

    events = [chunk({"text": token, "thought": True}) for token in tokens(reasoning)]
    events += [chunk({"text": token}) for token in tokens(text)]
    for name, arguments in _calls(tool_calls):
        events.append(chunk({"functionCall": {"name": name, "args": json.loads(arguments)}}))
    if error is not None:
        broken = _error(error, code=503, status="UNAVAILABLE")
        return [*events, _data({"error": broken}, end="\r\n")]
    return [*events, chunk({"text": ""}, finishReason=finish_reason or "STOP")]


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
    into, out = usage or (_INPUT, len(tokens(reasoning + text)))
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
    for number, (name, arguments) in enumerate(_calls(tool_calls)):
        head = {"name": name, "arguments": ""}
        call = {"id": f"{name}_{number + 1}", "type": "function", "function": head}
        add("tool-call-start", number, tool_calls=call)
        for part in _fragments(arguments):
            add("tool-call-delta", number, tool_calls={"function": {"arguments": part}})
        payloads.append({"type": "tool-call-end", "index": number})
    counts = {"input_tokens": into, "output_tokens": out}
    end: dict[str, Any] = {"usage": {"billed_units": counts, "tokens": counts}}
    if error is not None:
        end.update(finish_reason="ERROR", error=_error(error)["message"])
    else:
        end["finish_reason"] = finish_reason or ("TOOL_CALL" if tool_calls else "COMPLETE")
    payloads.append({"type": "message-end", "delta": end})
    return [*_named(payloads), b"data: [DONE]\n\n"]


def ollama(
    text: str = "",
    *,
    model: str = "llama-test",
    id: str = "",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """Ollama's own /api/chat: a JSON object a line. Content type application/x-ndjson.

    It has no ``id``; the argument is taken so that all answers are asked for alike.
    """
    into, out = usage or (_INPUT, len(tokens(reasoning + text)))

    def line(done: bool = False, **fields: Any) -> bytes:
        message = {"role": "assistant", "content": fields.pop("content", ""), **fields}
        stamp = {"model": model, "created_at": "2026-01-01T00:00:00Z"}
        last = {"done_reason": finish_reason or "stop", "prompt_eval_count": into,
                "eval_count": out} if done else {}  # fmt: skip
        text = _json({**stamp, "message": message, "done": done, **last})
        # As Go's encoder does; clients that split with str.splitlines() lean on it.
        for mark in ("\u2028", "\u2029"):
            text = text.replace(mark.encode(), b"\\u%04x" % ord(mark))
        return text + b"\n"

    lines = [line(thinking=token) for token in tokens(reasoning)]
    lines += [line(content=token) for token in tokens(text)]
    for name, arguments in _calls(tool_calls):
        call = {"function": {"name": name, "arguments": json.loads(arguments)}}
        lines.append(line(tool_calls=[call]))
    if error is not None:
        return [*lines, _json({"error": _error(error)["message"]}) + b"\n"]
    return [*lines, line(done=True)]


#: Which answer belongs to a path, by what the path ends in (its query left out).
BY_PATH: tuple[tuple[str, Callable[..., list[bytes]]], ...] = (
    ("/chat/completions", openai_chat),
    ("/responses", responses),
    ("/messages", anthropic),
    (":streamGenerateContent", gemini),
    ("/v2/chat", cohere),
    ("/api/chat", ollama),
)


def for_path(path: str) -> Callable[..., list[bytes]]:
    """The answer's function for the path of a request; ``openai_chat`` where none is known."""
    bare = path.partition("?")[0].rstrip("/")
    return next((answer for end, answer in BY_PATH if bare.endswith(end)), openai_chat)


def content_type(events: Sequence[bytes]) -> str:
    """The content type of such a body: that of lines of JSON or that of an event stream."""
    return "application/x-ndjson" if events and events[0][:1] == b"{" else "text/event-stream"


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
    for number, (name, arguments) in enumerate(_calls(tool_calls), 1):
        item = {"id": f"fc_{number}", "type": "function_call", "call_id": f"call_{number}",
                "name": name}  # fmt: skip
        kind = "response.function_call_arguments"
        events = [{"type": f"{kind}.delta", "delta": part} for part in _fragments(arguments)]
        events.append({"type": f"{kind}.done", "name": name, "arguments": arguments})
        begun = {**item, "status": "in_progress", "arguments": ""}
        yield (begun, {**item, "status": "completed", "arguments": arguments}), events


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
    for number, (name, arguments) in enumerate(_calls(tool_calls), 1):
        block = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}
        parts = ["", *_fragments(arguments)]
        yield block, [{"type": "input_json_delta", "partial_json": part} for part in parts]


def _calls(tool_calls: Calls) -> Iterator[tuple[str, str]]:
    for name, arguments in tool_calls:
        text = arguments if isinstance(arguments, str) else _json(arguments).decode()
        yield name, text


def _fragments(arguments: str) -> list[str]:
    # In pieces of 7 characters: the cuts fall inside names and escapes, as with real models.
    return [arguments[start : start + 7] for start in range(0, len(arguments), 7)]


def _error(error: Union[str, Mapping[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"message": error, **fields} if isinstance(error, str) else dict(error)


def _named(payloads: Iterable[Mapping[str, Any]]) -> list[bytes]:
    return [b"event: %b\n%b" % (payload["type"].encode(), _data(payload)) for payload in payloads]


def _data(payload: Mapping[str, Any], end: str = "\n") -> bytes:
    return b"data: %b%b" % (_json(payload), (end * 2).encode())


def _json(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
