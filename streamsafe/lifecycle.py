"""The records of a stream's life, and the Observer that is told of them.

Here live frozen records alone. The stream makes them, in their order, on the thread that
reads (``Stalled`` on the watchdog's helper thread), and only if somebody observes. Every
record carries the ``stream_id`` and ``at``, the seconds of a monotonic clock.

A stream tells, in this order: Started, then for every attempt AttemptStarted, Step …,
Opened, Chunks …, AttemptEnded, and between two attempts Retrying and, once a join was
made, Resumed; at last exactly one of Completed, Failed, Cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Protocol, Union

from streamsafe.models import Attempt, Chunk, Completion, Request, Seam


class Started(NamedTuple):
    """The iteration began. ``wall`` is seconds since the epoch."""

    stream_id: str
    at: float
    wall: float
    provider: str
    model: Optional[str]


class AttemptStarted(NamedTuple):
    """A request is about to be made; ``request`` still has its credentials: mask it."""

    stream_id: str
    at: float
    number: int
    request: Request


class Step(NamedTuple):
    """A step of the transport was reached.

    ``name``: "resolving", "resolved", "connecting", "connected", "tls", "reused", "stale", "sent",
    "read" when no more events are read (``held``: the seconds that the program held the last
    ones), "ended" when it was the server that ended the body (``unfinished``: the characters left
    of an event). ``detail`` holds what there is to say (address, protocol, cipher).
    """

    stream_id: str
    at: float
    name: str
    detail: Mapping[str, Any]


class Opened(NamedTuple):
    """Status and headers are here."""

    stream_id: str
    at: float
    number: int
    status: int
    headers: Mapping[str, str]
    request_id: Optional[str]
    reused: bool


class Chunks(NamedTuple):
    """One network read and what came of it, before the program is handed the chunks.

    ``data`` are the bytes read; ``events`` and ``heartbeats`` how many there were in it;
    ``waited`` the seconds the server kept the reader waiting, ``held`` the seconds that the
    program held the stream before it asked for more. Of a body that is no stream (an error, a web
    page) one record holds all that was read, without events.
    """

    stream_id: str
    at: float
    data: bytes
    events: int
    heartbeats: int
    chunks: Sequence[Chunk]
    waited: float
    held: float


class Malformed(NamedTuple):
    """An event could not be read and was skipped (``on_malformed="skip"``)."""

    stream_id: str
    at: float
    error: BaseException


class Stalled(NamedTuple):
    """Nothing of the answer came for ``silent_for`` seconds; nothing is cut yet."""

    stream_id: str
    at: float
    silent_for: float


class AttemptEnded(NamedTuple):
    """An attempt is over, well or not."""

    stream_id: str
    at: float
    attempt: Attempt


class Retrying(NamedTuple):
    """Attempt ``number`` will be made in ``delay`` seconds because of ``error``."""

    stream_id: str
    at: float
    number: int
    error: BaseException
    delay: float
    reason: str


class Resumed(NamedTuple):
    """A resumed answer was joined to what had been delivered."""

    stream_id: str
    at: float
    seam: Seam


class Completed(NamedTuple):
    """The stream has its verdict: complete, truncated or filtered."""

    stream_id: str
    at: float
    completion: Completion


class Failed(NamedTuple):
    """The stream ended in ``error``, which carries the partial completion."""

    stream_id: str
    at: float
    error: BaseException
    completion: Completion


class Cancelled(NamedTuple):
    """The stream was cancelled or left before its end."""

    stream_id: str
    at: float
    completion: Completion
    reason: Optional[str]


Record = Union[
    Started,
    AttemptStarted,
    Step,
    Opened,
    Chunks,
    Malformed,
    Stalled,
    AttemptEnded,
    Retrying,
    Resumed,
    Completed,
    Failed,
    Cancelled,
]


class Observer(Protocol):
    """Whoever wants to see what happens to a stream.

    ``observe`` is called on the reading thread (for ``Stalled`` on the watchdog's helper
    thread), so it should be quick. What it raises is logged and counted; the stream goes on.
    One observer may serve many streams and threads at once.
    """

    def observe(self, record: Record) -> None:
        """Take note of one record."""
