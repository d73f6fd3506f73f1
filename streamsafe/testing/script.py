"""The script of a fault server, as frozen values: what one exchange does.

Here live the exchange, the steps of its body and the functions that read well in a test.
They do nothing by themselves: ``player`` plays them on a connection.

A body is made of steps. ``bytes`` (or ``str``) are sent at once, in one HTTP chunk; lists
and tuples of steps are taken apart. A step that ends the exchange (``finish``, ``fin``, ``rst``,
``stall``) stands last; where none does, ``finish()`` is added::

    stream(b"data: 1\\n\\n", pause(0.2), b"data: 2\\n\\n")          # whole, kept alive
    stream(events[:3], then=rst())                              # three events, then a reset
    stream(events, then=[finish(), fin()])                      # whole; the connection goes stale
    stream(chunk(b"data: hal", fin(), size=64))                 # cut inside an announced chunk
    raw(b"HTTP/1.1 200 OK\\r\\nContent-Ty", fin())                # cut inside the headers
    on_connect(stall())                                         # no TLS handshake, no answer
"""

from __future__ import annotations

import json as _json
import threading
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, Optional, Union

from streamsafe.models import Frozen
from streamsafe.testing.gate import Gate

#: What several gateways send: a comment, which event streams ignore.
HEARTBEAT = b": keep-alive\n\n"

FRAMINGS = ("chunked", "length", "close")
ENCODINGS = ("gzip", "deflate")


class Pause(NamedTuple):
    """Silence for some seconds."""

    seconds: float


class Wait(NamedTuple):
    """Silence until a gate (or the server's gate of that name) opens or an event is set."""

    gate: Union[str, Gate, threading.Event]


class Heartbeats(NamedTuple):
    """``times`` times (None: for ever) a silence of ``every`` seconds, then ``data``."""

    times: Optional[int]
    every: float
    data: bytes


class Verbatim(NamedTuple):
    """Bytes as they are: not compressed, not framed."""

    data: bytes


class Chunk(NamedTuple):
    """One HTTP chunk, announced with ``size`` (None: what the steps send), then its steps."""

    steps: tuple[Any, ...]
    size: Optional[int]


class Finish(NamedTuple):
    """The body's proper end."""


class Fin(NamedTuple):
    """A FIN at once; over TLS with a close_notify before it or without."""

    close_notify: bool


class Rst(NamedTuple):
    """A reset at once."""


class Stall(NamedTuple):
    """Silence until the client leaves or the server stops."""


Step = Union[bytes, Pause, Wait, Heartbeats, Verbatim, Chunk, Finish, Fin, Rst, Stall]

#: What the functions here take for a body: steps, str, and iterables of them.
Body = Union[Step, str, Iterable[Any]]

_STEPS = (bytes, Pause, Wait, Heartbeats, Verbatim, Chunk, Finish, Fin, Rst, Stall)
_ENDS = (Finish, Fin, Rst, Stall)


class Exchange(Frozen):
    """What is done with one request; made by ``stream``, ``reply``, ``raw`` and ``on_connect``.

    ``kind`` is "http" (``status``, ``headers`` and a framed body), "raw" (the ``steps`` alone stand
    on the connection) or "connect" (the same, before a byte is read and before TLS). ``first``
    are the steps before the head.
    """

    __slots__ = (
        "kind", "status", "headers", "framing", "encoding", "flush", "declared", "first", "steps",
    )  # fmt: skip

    kind: str
    status: int
    headers: tuple[tuple[str, str], ...]
    framing: str
    encoding: Optional[str]
    flush: bool
    declared: Optional[int]
    first: tuple[Step, ...]
    steps: tuple[Step, ...]

    def __init__(
        self,
        kind: str,
        steps: tuple[Step, ...],
        status: int = 200,
        headers: tuple[tuple[str, str], ...] = (),
        framing: str = "chunked",
        encoding: Optional[str] = None,
        flush: bool = True,
        declared: Optional[int] = None,
        first: tuple[Step, ...] = (),
    ) -> None:
        if framing not in FRAMINGS:
            raise ValueError(f"framing={framing!r}: expected one of {', '.join(FRAMINGS)}")
        if encoding is not None and encoding not in ENCODINGS:
            raise ValueError(f"encoding={encoding!r}: expected None, {' or '.join(ENCODINGS)}")
        if declared is not None and framing != "length":
            raise ValueError(f"declared={declared} goes with framing='length' alone")
        if framing == "length" and declared is None and any(_endless(step) for step in steps):
            raise ValueError("a body without end has no length: say declared=")
        self._set(
            kind=kind, status=status, headers=headers, framing=framing, encoding=encoding,
            flush=flush, declared=declared, first=first, steps=steps,
        )  # fmt: skip


def stream(
    *body: Body,
    then: Optional[Body] = None,
    status: int = 200,
    headers: Union[Mapping[str, str], Iterable[tuple[str, str]], None] = None,
    content_type: Optional[str] = "text/event-stream",
    framing: str = "chunked",
    declared: Optional[int] = None,
    encoding: Optional[str] = None,
    flush: bool = True,
    first: Body = (),
) -> Exchange:
    """An answer whose body goes out step by step.

    ``then`` is how it ends, if not properly. ``framing``: "chunked", "close" (the body ends with
    the connection) or "length": the right one is sent, or ``declared`` in its place.
    ``encoding``: None, "gzip" or "deflate"; with ``flush=False`` the compressor holds back what it
    likes, as a careless proxy does. ``first`` are steps before status and headers:
    ``first=pause(2)`` is a model that thinks. A list of pairs as ``headers`` can repeat a name.
    Raises ValueError for what does not go together.
    """
    pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers or ())
    if content_type is not None and not any(name.lower() == "content-type" for name, _ in pairs):
        pairs = (("Content-Type", content_type), *pairs)
    steps = tuple(_flat(body)) + tuple(_flat(() if then is None else then))
    return Exchange(
        "http", _ended(steps), status=status, headers=pairs, framing=framing, encoding=encoding,
        flush=flush, declared=declared, first=tuple(_flat(first)),
    )  # fmt: skip


def reply(
    status: int = 200,
    body: Union[bytes, str] = b"",
    *,
    json: Any = None,
    headers: Union[Mapping[str, str], Iterable[tuple[str, str]], None] = None,
    content_type: Optional[str] = None,
    framing: str = "length",
    then: Optional[Body] = None,
    first: Body = (),
) -> Exchange:
    """An answer that is there at once: an error status, a JSON document, a web page.

    ``json`` is encoded in place of a ``body``. The content type is application/json with it,
    text/html for a body that begins with "<", else text/plain, if it is not given.
    """
    data = body.encode() if isinstance(body, str) else body
    guess = "text/html; charset=utf-8" if data.lstrip()[:1] == b"<" else "text/plain; charset=utf-8"
    if json is not None:
        data, guess = _json.dumps(json).encode(), "application/json"
    kind = content_type or (guess if data else None)
    return stream(
        data, then=then, status=status, headers=headers, content_type=kind, framing=framing,
        first=first,
    )  # fmt: skip


def redirect(location: str, status: int = 307) -> Exchange:
    """Send the client elsewhere; ``location`` is a path or a URL."""
    return reply(status, headers={"Location": location})


def raw(*steps: Body) -> Exchange:
    """Once the request was read, these steps alone: what stands on the connection is yours.

    ``raw(fin())`` closes without an answer, ``raw(drip(head(), every=0.1), stall())`` drips the
    headers. The connection ends with it.
    """
    return Exchange("raw", _ended(tuple(_flat(steps))), framing="close")


def on_connect(*steps: Body) -> Exchange:
    """These steps alone on the next new connection, before a byte is read and before TLS.

    ``on_connect(rst())`` resets it, ``on_connect(stall())`` never shakes hands over TLS. It takes
    the place of an exchange in the script; a request on a kept connection that comes instead is
    an error, so let the exchange before it close (``framing="close"``).
    """
    return Exchange("connect", _ended(tuple(_flat(steps))), framing="close")


def head(
    status: int = 200,
    headers: Union[Mapping[str, str], Iterable[tuple[str, str]]] = (
        ("Content-Type", "text/event-stream"),
        ("Connection", "close"),
    ),
) -> bytes:
    """The bytes of a status line and headers, for ``raw``: to be cut, split or dripped."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"HTTP/1.1 {status} {_reason(status)}", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def pause(seconds: float) -> Step:
    """Say nothing for some seconds."""
    return Pause(_seconds("pause", seconds))


def wait(gate: Union[str, Gate, threading.Event]) -> Step:
    """Say nothing until ``server.gate(name).open()``, or until a threading.Event is set."""
    return Wait(gate)


def heartbeats(count: Optional[int] = None, every: float = 0.05, data: bytes = HEARTBEAT) -> Step:
    """Nothing but heartbeats, one ``every`` so many seconds, ``count`` times.

    ``None``: until the client leaves or the server stops. The silence comes first.
    """
    return Heartbeats(count, _seconds("heartbeats", every), data)


def drip(data: Union[bytes, str], every: float, size: int = 1) -> tuple[Step, ...]:
    """``size`` bytes at a time, with a pause of ``every`` seconds between them."""
    steps: list[Step] = []
    for piece in split(data, every=size):
        steps += [piece, Pause(every)]
    return tuple(steps[:-1])


def split(
    data: Union[bytes, str],
    at: Union[int, Iterable[int], None] = None,
    *,
    every: Optional[int] = None,
) -> tuple[bytes, ...]:
    """The bytes in pieces, each an HTTP chunk: cut ``at`` offsets, or ``every`` so many bytes.

    Offsets may fall inside a line end or a UTF-8 sequence. Pieces that follow one another
    at once may share a segment on the wire, yet stay HTTP chunks of their own.
    """
    whole = data.encode() if isinstance(data, str) else data
    if (at is None) == (every is None):
        raise ValueError("split() wants either at=offset(s) or every=number of bytes")
    if every is not None:
        if every < 1:
            raise ValueError(f"every={every}: expected at least one byte")
        cuts = list(range(every, len(whole), every))
    else:
        cuts = sorted([at] if isinstance(at, int) else at or ())
    edges = [0, *(cut for cut in cuts if cut < len(whole)), len(whole)]
    return tuple(whole[start:end] for start, end in zip(edges, edges[1:]) if start < end)


def chunk(*steps: Body, size: Optional[int] = None) -> Step:
    """One HTTP chunk: ``size`` is announced (default: the bytes of the steps), then the steps.

    ``chunk(b"data: hal", fin(), size=64)`` is cut inside it; ``chunk(drip(event, 0.01))`` arrives
    byte by byte though announced at once. Without chunked framing nothing is announced.
    """
    inner = tuple(_flat(steps))
    if size is None and any(_endless(step) for step in inner):
        raise ValueError("a chunk without end has no size: say size=")
    return Chunk(inner, size)


def verbatim(data: bytes) -> Step:
    """Bytes as they are, without compression and framing: a chunk size that is no number, say."""
    return Verbatim(data)


def finish() -> Step:
    """End the body as its framing wants; the connection is kept, or closed if that is the end.

    What stands behind it happens on the idle connection: ``finish(), fin()`` makes it stale.
    """
    return Finish()


def fin(close_notify: bool = False) -> Step:
    """Close the connection here and now, as a process that dies: a FIN, and no more.

    Over TLS without the close_notify that would say that this is the end, if not asked for.
    """
    return Fin(close_notify)


def rst() -> Step:
    """Reset the connection here and now: the client reads ECONNRESET, once it has read the rest."""
    return Rst()


def stall() -> Step:
    """Say nothing more, and keep the connection until the client leaves or the server stops."""
    return Stall()


def _flat(body: Any) -> Iterator[Step]:
    if isinstance(body, str):
        body = body.encode()
    if isinstance(body, (bytearray, memoryview)):
        body = bytes(body)
    if isinstance(body, _STEPS):
        if body != b"":
            yield body
        return
    if isinstance(body, Mapping) or not isinstance(body, Iterable):
        raise TypeError(f"no step: {body!r}; expected bytes, str, a step or a list of them")
    for item in body:
        yield from _flat(item)


def _ended(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return steps if steps and isinstance(steps[-1], _ENDS) else (*steps, Finish())


def _endless(step: Step) -> bool:
    if isinstance(step, Chunk):
        return any(_endless(inner) for inner in step.steps)
    return isinstance(step, Heartbeats) and step.times is None


def _seconds(what: str, seconds: float) -> float:
    if not seconds >= 0:
        raise ValueError(f"{what}({seconds}): expected seconds, 0 or more")
    return seconds


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
