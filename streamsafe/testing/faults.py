"""Faults: what can become of a healthy answer, each under a name.

Here lives the table from a name to an exchange. A fault is told in the words of the API whose
events it is given. Which one comes when is the test's to say, or ``chaos``'s by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from streamsafe.testing import answers
from streamsafe.testing.script import (
    HEARTBEAT,
    Exchange,
    Step,
    fin,
    heartbeats,
    pause,
    raw,
    reply,
    rst,
    split,
    stall,
    stream,
)

#: How many heartbeats come in place of the answer's next event before it goes on.
_BEATS = 5
#: "slow" is ten times as slow, and at least so many seconds between two events.
_SLOW, _SLOWEST = 10, 0.05
#: "buffered" keeps all back for as long as it would have taken, and at least so many seconds:
#: a proxy that holds nothing for longer is not noticed.
_HELD = 1.2
#: "split" cuts after so many bytes: 7 falls inside names, escapes and characters.
_PIECE = 7

_PAGE = "<!doctype html><title>Sign in</title><p>Please sign in to the network."


def _drop(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    return _stream(events, [*events[:at], fin()], pace)


def _reset(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    return _stream(events, [*events[:at], rst()], pace)


def _stall(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    return _stream(events, [*events[:at], stall()], pace)


def _malformed(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    cut = [_cut(event) for event in events[at : at + 1]]
    return _stream(events, [*events[:at], *cut, *events[at + 1 :]], pace)


def _heartbeats(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    beat = b"\n" if events and events[0][:1] == b"{" else HEARTBEAT
    beats = heartbeats(_BEATS, every=max(pace, 0.01), data=beat)
    return _stream(events, [*events[:at], beats, *events[at:]], pace)


def _slow(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    return _stream(events, events, max(_SLOW * pace, _SLOWEST))


def _error(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    return _stream(events, [*events[:at], *_inline(events)], pace)


def _truncated(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    return _stream(events, events[:at], pace)


def _buffered(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    whole = [pause(max(_HELD, pace * len(events))), b"".join(events)]
    return _stream(events, whole, 0.0)


def _split(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    return _stream(events, split(b"".join(events), every=_PIECE), 0.0)


def _compressed(events: Sequence[bytes], at: int, pace: float) -> Exchange:
    return stream(
        _paced(events, pace), content_type=answers.content_type(events), encoding="gzip",
        flush=False,
    )  # fmt: skip


def _refusing(status: int, message: str, **headers: str) -> Callable[..., Exchange]:
    """A status and the API's own error document."""

    def exchange(events: Sequence[bytes], at: int, pace: float) -> Exchange:
        return reply(status, json=_document(events, status, message), headers=headers)

    return exchange


#: The faults by name: functions of the healthy answer's events, the place, and the pace.
TABLE: Mapping[str, Callable[[Sequence[bytes], int, float], Exchange]] = {
    "drop": _drop,
    "reset": _reset,
    "stall": _stall,
    "rate_limit": _refusing(429, "chaos: slow down", **{"Retry-After": "1"}),
    "unavailable": _refusing(503, "chaos: overloaded"),
    "malformed": _malformed,
    "slow": _slow,
    "heartbeats": _heartbeats,
    "error": _error,
    "timeout": lambda events, at, pace: raw(stall()),
    "no_answer": lambda events, at, pace: raw(fin()),
    "truncated": _truncated,
    "buffered": _buffered,
    "html": lambda events, at, pace: reply(200, _PAGE),
    "split": _split,
    "compressed": _compressed,
    "unauthorized": _refusing(401, "chaos: invalid API key"),
}

#: Their names, in the order in which ``Chaos`` reads its dice; "ok" is none of them.
FAULTS = tuple(TABLE)


def fault(
    name: str, events: Sequence[bytes], at: Optional[int] = None, *, pace: float = 0.0
) -> Exchange:
    """The exchange of an answer that has this fault; "ok" = the healthy one.

    In the middle of the answer, before event number ``at`` (from 0; None = half way): ``drop``:
    the connection is closed. ``reset``: it is reset. ``stall``: silence for good. ``truncated``:
    the body ends as if all were well. ``error``: an error inside the stream. ``malformed``: this
    event's JSON is cut short, the rest is whole. ``heartbeats``: comments for a while, then the
    rest.

    From the start: ``timeout``: not one byte comes. ``no_answer``: the connection is closed
    instead of an answer. ``rate_limit``: status 429, Retry-After one second. ``unavailable``:
    status 503. ``unauthorized``: status 401. ``html``: a web page with status 200.

    All along, but whole: ``slow``: ten times as slow. ``buffered``: all at once, at the end.
    ``split``: cut every 7 bytes. ``compressed``: by gzip, and held back.

    ``events`` is an answer of ``answers``; ``pace`` the seconds between two events. Raises
    ValueError for a name that is not known.
    """
    if name == "ok":
        return _stream(events, events, pace)
    if name not in TABLE:
        raise ValueError(f"no fault {name!r}; there are ok, {', '.join(FAULTS)}")
    return TABLE[name](events, len(events) // 2 if at is None else at, pace)


def _stream(events: Sequence[bytes], steps: Sequence[Step], pace: float) -> Exchange:
    return stream(_paced(steps, pace), content_type=answers.content_type(events))


def _paced(steps: Sequence[Step], pace: float) -> list[Step]:
    if not pace:
        return list(steps)
    return [each for step in steps for each in (pause(pace), step)]


def _cut(event: bytes) -> bytes:
    """The event with the second half of its text gone, its end in place."""
    text = event.rstrip(b"\r\n")
    return text[: len(text) // 2] + event[len(text) :]


#: How the first event of an API's answers can be told: a mark in it, and the API's answer.
_MARKS: tuple[tuple[bytes, answers.Answer], ...] = (
    (b'"type":"message_start"', answers.anthropic),
    (b'"type":"message-start"', answers.cohere),
    (b'"type":"response.', answers.responses),
    (b'"candidates"', answers.gemini),
)


def _family(events: Sequence[bytes]) -> answers.Answer:
    """Whose events these are; OpenAI's chat where it can't be told."""
    first = events[0] if events else b""
    if first.startswith(b"{"):
        return answers.ollama
    return next((answer for mark, answer in _MARKS if mark in first), answers.openai_chat)


def _inline(events: Sequence[bytes]) -> list[bytes]:
    """The last events of an answer of this API that breaks off with an error."""
    family = _family(events)
    broken = family(error="chaos: the server had an error")
    return broken[-2:] if family is answers.cohere else broken[-1:]


def _document(events: Sequence[bytes], status: int, message: str) -> dict[str, Any]:
    """The error document of this API."""
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "overloaded_error")
    family = _family(events)
    if family is answers.ollama:
        return {"error": message}
    if family is answers.cohere:
        return {"message": message}
    if family is answers.gemini:
        words = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}
        return {"error": {"code": status, "message": message,
                          "status": words.get(status, "UNAVAILABLE")}}  # fmt: skip
    if family is answers.anthropic:
        return {"type": "error", "error": {"type": kind, "message": message}}
    return {"error": {"message": message, "type": kind, "code": None}}
