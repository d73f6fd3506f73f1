"""Timeline: what happened to one stream, as frozen values. Figures, rules and reports read these.

Here live the values alone; nothing in them is secret any more, and nothing keeps a connection, a
frame or an answer alive. What gathers them is ``logbook``. Times are seconds of the stream's
clock; ``Timeline.since`` makes them relative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from streamsafe.debug.shape import Shape


class Mark(NamedTuple):
    """One step that is no read.

    ``kind``: "attempt", a transport's step ("resolving", "resolved", "connecting", "connected",
    "tls", "reused", "stale", "sent"), "opened", "first token", "finish" (the answer's reason to
    end), "ended" (of the body), "malformed", "stalled", "over" (the attempt), "retrying",
    "resumed", "verdict".
    """

    at: float
    kind: str
    attempt: int
    facts: Mapping[str, Any] = {}


class Read(NamedTuple):
    """One network read, or ``count`` of them in a row that were merged to bound the memory.

    ``at`` is the time of the first; ``last`` of the last one (0 where it is the same). The sums
    are over all of them; ``longest`` is the longest ``waited`` and ``largest`` the largest size
    among merged ones (0 where it is the one). ``content``: how many brought some of the answer,
    ``chars`` characters of it.
    """

    at: float
    attempt: int
    size: int
    events: int
    heartbeats: int
    chunks: int
    content: int
    waited: float
    held: float
    count: int = 1  # type: ignore[assignment]  # shadows tuple.count
    last: float = 0.0
    longest: float = 0.0
    largest: int = 0
    chars: int = 0

    @property
    def until(self) -> float:
        """When the last of the reads was done."""
        return self.last or self.at


Step = Union[Mark, Read]


class Fault(NamedTuple):
    """An error as it is shown: masked, and without the frames that an exception holds."""

    type: str
    message: str
    hint: str = ""
    status: Optional[int] = None
    code: Optional[str] = None
    kind: Optional[str] = None
    retry_after: Optional[float] = None
    headers: Mapping[str, str] = {}
    body: str = ""
    in_stream: bool = False
    clock: Optional[str] = None
    limit: Optional[float] = None
    elapsed: Optional[float] = None
    #: The exceptions that it came of, "type: text" each, the root last.
    causes: tuple[str, ...] = ()
    retryable: bool = False
    will_retry: bool = False
    #: Why there was no other try, though one might have helped.
    given_up: str = ""


class Try(NamedTuple):
    """One attempt. None and 0 stand for what did not happen (yet).

    ``size`` are the bytes of the body, ``shape`` how it is made. ``fingerprint`` is equal for
    equal requests. ``steps`` are the times of its steps by name, the last time counts.
    ``first_content`` and ``last_content`` are times of reads.
    """

    number: int
    at: float
    method: str = ""
    url: str = ""
    request_headers: Mapping[str, str] = {}
    body: Any = None
    fingerprint: str = ""
    steps: Mapping[str, float] = {}
    details: Mapping[str, Mapping[str, Any]] = {}
    opened: Optional[float] = None
    status: Optional[int] = None
    headers: Mapping[str, str] = {}
    request_id: Optional[str] = None
    shape: Shape = Shape()
    size: int = 0
    reads: int = 0
    events: int = 0
    heartbeats: int = 0
    #: Heartbeats since the last content.
    beats: int = 0
    first_read: Optional[float] = None
    last_read: Optional[float] = None
    first_content: Optional[float] = None
    last_content: Optional[float] = None
    #: Seconds that the program held what was read last.
    held_last: float = 0.0
    finish_reason: Optional[str] = None
    ended: Optional[float] = None
    outcome: str = ""
    fault: Optional[Fault] = None
    waited: float = 0.0
    reused: bool = False

    @property
    def https(self) -> bool:
        """Whether it goes over TLS."""
        return self.url.lower().startswith("https:")

    @property
    def content_type(self) -> str:
        """The answer's Content-Type in lower case, without parameters."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def sent(self) -> Optional[float]:
        """When the request had gone out."""
        return self.steps.get("sent")

    @property
    def silence(self) -> float:
        """Seconds that were waited in vain at the end: since the last byte, or the request."""
        last = self.last_read or self.opened or self.sent
        if self.ended is None or last is None:
            return 0.0
        return max(0.0, self.ended - last - self.held_last)


class Timeline(NamedTuple):
    """One stream, as far as it is known.

    ``verdict``: "running", "complete", "truncated", "filtered", "cancelled" or "failed".
    ``steps`` are in their order; ``merged`` reads were folded into others and ``dropped`` steps
    forgotten to bound the memory. ``now`` is the time of the last record; ``held`` is how long the
    program kept the stream.
    """

    stream_id: str
    provider: str
    model: Optional[str]
    at: float
    wall: float
    now: float
    verdict: str = "running"
    ended: Optional[float] = None
    fault: Optional[Fault] = None
    reason: Optional[str] = None
    steps: Sequence[Step] = ()
    tries: tuple[Try, ...] = ()
    attempts: int = 0
    malformed: int = 0
    merged: int = 0
    dropped: int = 0
    held: float = 0.0
    output_tokens: Optional[int] = None
    tokens_estimated: bool = False
    text_chars: int = 0
    finish_reason: Optional[str] = None

    @property
    def duration(self) -> float:
        """Seconds from the start to the end, or to now."""
        return (self.now if self.ended is None else self.ended) - self.at

    def since(self, at: float) -> float:
        """Seconds since the stream's start."""
        return at - self.at

    @property
    def reads(self) -> list[Read]:
        """The reads alone."""
        return [step for step in self.steps if isinstance(step, Read)]

    @property
    def marks(self) -> list[Mark]:
        """All that is no read."""
        return [step for step in self.steps if isinstance(step, Mark)]
