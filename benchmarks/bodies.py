"""Bodies: what the server sends, rendered beforehand, and what must come out at the other end.

Here lives the shape of the events and of the HTTP framing round them; sending is the server's.
"""

from __future__ import annotations

import json
import random
import time
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

#: Tokens as models send them: short, with a space in front, some of them not ASCII.
WORDS = (
    " river", " the", " and", "é", " stream", ".", " of", " 河", " water", ",", " slow", "ly",
    "\n\n", " never", " \U0001f30a", " hurries",
)  # fmt: skip

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nx-request-id: req_0123456789abcdef\r\n"
)


class Spec(NamedTuple):
    """One body.

    ``api``: "chat" or "anthropic". ``framing``: "1" or "16" (events a HTTP chunk), "cut" (HTTP
    chunks that end anywhere), "small" (HTTP chunks of 1 KB), "length", "close". ``payload``:
    "text"; "padded" (with a field that differs in each event, as OpenAI's ``obfuscation``);
    "arguments" or "logprobs" (events of 8 KB); "long" (tokens of ``size`` characters); "clock"
    (each token is the sender's clock). ``pace``: seconds between events. ``crowd``: events
    begin to flow when so many connections are open. ``repeat``: the tokens come so many times.
    """

    api: str = "chat"
    events: int = 1
    framing: str = "1"
    line_end: str = "\n"
    payload: str = "text"
    size: int = 0
    pace: float = 0.0
    crowd: int = 1
    repeat: int = 1


class Facts(NamedTuple):
    """What a client must have been given: tokens, characters, CRC-32 of the text in UTF-8."""

    tokens: int
    chars: int
    crc: Optional[int]


class Body(NamedTuple):
    """``head`` with the response's headers, ``events`` sent ``repeat`` times, ``tail``.

    A paced body has one entry an event, which is sent on its own.
    """

    spec: Spec
    head: bytes
    events: list[bytes]
    tail: bytes
    facts: Facts


def render(spec: Spec) -> Body:
    """The body of ``spec``, as bytes for the socket."""
    tokens = [_token(spec, number) for number in range(spec.events)]
    before, after = _edges(spec)
    events = [_event(spec, token) for token in tokens]
    if spec.pace:
        framed = list(events) if spec.framing == "close" else [_chunk(event) for event in events]
        before, after = _framed(spec, [before]), _framed(spec, [after])
    elif spec.repeat > 1:
        framed = [b"".join(_framed_pieces(spec, events))]
        before, after = _framed(spec, [before]), _framed(spec, [after])
    else:
        framed = [b"".join(_framed_pieces(spec, [before, *events, after]))]
        before = after = b""
    length = len(before) + spec.repeat * sum(map(len, framed)) + len(after)
    if spec.framing in ("length", "close"):
        end = b""
    else:
        end = b"0\r\n\r\n"
    return Body(spec, _headers(spec, length) + before, framed, after + end, _facts(spec, tokens))


def stamped(event: bytes) -> bytes:
    """The event with the machine's monotonic clock (nanoseconds) as its token."""
    return event.replace(_NO_TIME, b"%020d" % time.monotonic_ns(), 1)


_NO_TIME = b"0" * 20
_CHANCE = random.Random(1)


def _token(spec: Spec, number: int) -> str:
    if spec.payload == "clock":
        return _NO_TIME.decode()
    if spec.payload == "long":
        words = "".join(WORDS)
        return (words * (spec.size // len(words) + 1))[: spec.size]
    if spec.payload == "arguments":
        return "for x in y:\\n\\t\u6cb3 " * 400  # of a string within the arguments
    return WORDS[number % len(WORDS)]


def _event(spec: Spec, token: str) -> bytes:
    if spec.api == "anthropic":
        delta = {"type": "text_delta", "text": token}
        return _named(spec, "content_block_delta", index=0, delta=delta)
    if spec.payload == "arguments":
        call = {"index": 0, "function": {"arguments": token}}
        return _chat(spec, {"tool_calls": [call]})
    return _chat(spec, {"content": token})


def _chat(spec: Spec, delta: dict[str, Any], finish: Optional[str] = None) -> bytes:
    logprobs = _logprobs() if spec.payload == "logprobs" and "content" in delta else None
    padding = {"obfuscation": _padding(delta)} if spec.payload == "padded" else {}
    return _data(spec, {
        "id": "chatcmpl-9aB3dE5fG7hI9jK1lM3nO5pQ7rS9t",
        "object": "chat.completion.chunk",
        "created": 1718345013,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [
            {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        ],
        **padding,
    })  # fmt: skip


def _padding(delta: dict[str, Any]) -> str:
    """So long that the lengths of events tell nothing of those of their tokens."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return "".join(_CHANCE.choices(letters, k=max(1, 16 - len(str(delta.get("content", ""))))))


def _logprobs() -> dict[str, Any]:
    """Of one token with the twenty likeliest, five times: about 8 KB."""
    top = [
        {"token": word, "logprob": -0.0123456789 * n, "bytes": list(word.encode())}
        for n, word in enumerate((*WORDS, *WORDS[:4]))
    ]
    one = {"token": " river", "logprob": -0.01, "bytes": [32, 114, 105, 118, 101, 114]}
    return {"content": [{**one, "top_logprobs": top}] * 5}


def _edges(spec: Spec) -> tuple[bytes, bytes]:
    """What stands before the first token and behind the last."""
    if spec.api == "chat":
        if spec.payload == "arguments":
            function = {"name": "write", "arguments": ""}
            call = {"index": 0, "id": "call_1", "type": "function", "function": function}
            begun = {"role": "assistant", "content": None, "tool_calls": [call]}
            return _chat(spec, begun), _chat(spec, {}, "tool_calls") + _block(spec, "data: [DONE]")
        first = _chat(spec._replace(payload="text"), {"role": "assistant", "content": ""})
        return first, _chat(spec, {}, "stop") + _block(spec, "data: [DONE]")
    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [], "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }  # fmt: skip
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    block = {"type": "text", "text": ""}
    before = _named(spec, "message_start", message=message)
    before += _named(spec, "content_block_start", index=0, content_block=block)
    after = _named(spec, "content_block_stop", index=0)
    after += _named(spec, "message_delta", delta=end, usage={"output_tokens": spec.events})
    return before, after + _named(spec, "message_stop")


def _named(spec: Spec, name: str, **payload: Any) -> bytes:
    text = json.dumps({"type": name, **payload}, ensure_ascii=False, separators=(",", ":"))
    return _block(spec, f"event: {name}", f"data: {text}")


def _data(spec: Spec, payload: Any) -> bytes:
    return _block(spec, "data: " + json.dumps(payload, ensure_ascii=False, separators=(",", ":")))


def _block(spec: Spec, *lines: str) -> bytes:
    return (spec.line_end.join(lines) + spec.line_end * 2).encode()


def _headers(spec: Spec, length: int) -> bytes:
    if spec.framing == "length":
        return _HEAD + b"Content-Length: %d\r\n\r\n" % length
    if spec.framing == "close":
        return _HEAD + b"Connection: close\r\n\r\n"
    return _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def _framed(spec: Spec, events: list[bytes]) -> bytes:
    return b"".join(_framed_pieces(spec, events))


def _framed_pieces(spec: Spec, events: list[bytes]) -> Iterator[bytes]:
    """The events in the spec's HTTP framing."""
    if spec.framing in ("length", "close"):
        yield from events
    elif spec.framing in ("cut", "small"):
        yield from map(_chunk, _cut(spec, b"".join(events)))
    else:
        step = int(spec.framing)
        for at in range(0, len(events), step):
            yield _chunk(b"".join(events[at : at + step]))


def _cut(spec: Spec, data: bytes) -> Iterator[bytes]:
    """Pieces of 1 KB, or of any length with the mean of an event's; the same in each run."""
    chance, at = random.Random(1), 0
    while at < len(data):
        size = 1024 if spec.framing == "small" else chance.randint(1, 500)
        yield data[at : at + size]
        at += size


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _facts(spec: Spec, tokens: list[str]) -> Facts:
    text = "".join(tokens).encode()
    crc = 0
    for _ in range(spec.repeat):
        crc = zlib.crc32(text, crc)
    chars = spec.repeat * sum(map(len, tokens))
    return Facts(spec.repeat * len(tokens), chars, None if spec.payload == "clock" else crc)
