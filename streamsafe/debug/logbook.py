"""Logbook: gathers the records of one stream, masked and bounded, and gives its timeline.

Here lives the only state of the room. It is written by the stream's reading thread (``Stalled``
by the watchdog's helper: it only appends) and read by any: lists are appended to and slices
replaced in one operation each, so no lock is needed, and none is taken in the hot path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.debug.fault import fault_of
from streamsafe.debug.masking import Masker, secrets_of
from streamsafe.debug.shape import shape
from streamsafe.debug.timeline import Fault, Mark, Read, Step, Timeline, Try
from streamsafe.lifecycle import (
    AttemptEnded,
    AttemptStarted,
    Cancelled,
    Chunks,
    Completed,
    Failed,
    Malformed,
    Opened,
    Record,
    Resumed,
    Retrying,
    Stalled,
    Started,
    Step as StepRecord,
)
from streamsafe.models import CONTENT_KINDS, Chunk, Completion

#: Bytes of an answer's beginning and end that are kept while it is read, to see its shape; they
#: are given to nobody, and so need no mask.
HEAD = 4096
TAIL = 1024
#: Attempts of one stream that are kept; max_attempts is 10 by default.
MAX_TRIES = 40


class _Open:
    """The attempt under way: what a Try is made of, while it changes."""

    __slots__ = (
        "facts", "steps", "details", "head", "tail", "size", "reads", "events",
        "heartbeats", "beats", "first_read", "last_read", "first_content", "last_content",
        "held_last", "finish_reason",
    )  # fmt: skip

    def __init__(self, number: int, at: float) -> None:
        self.facts: dict[str, Any] = {"number": number, "at": at}
        self.steps: dict[str, float] = {}
        self.details: dict[str, Mapping[str, Any]] = {}
        self.head = self.tail = b""
        self.size = self.reads = self.events = self.heartbeats = self.beats = 0
        self.first_read: Optional[float] = None
        self.last_read: Optional[float] = None
        self.first_content: Optional[float] = None
        self.last_content: Optional[float] = None
        self.held_last = 0.0
        self.finish_reason: Optional[str] = None

    def read(self, record: Chunks, content: bool) -> None:
        """The hot path: one network read."""
        data, at = record.data, record.at
        if self.size < HEAD:
            self.head = (self.head + data)[:HEAD]
        self.tail = (self.tail + data)[-TAIL:]
        self.size += len(data)
        self.reads += 1
        self.events += record.events
        self.heartbeats += record.heartbeats
        self.beats += record.heartbeats
        if self.first_read is None:
            self.first_read = at
        self.last_read = at
        if content:
            self.beats = 0
            self.last_content = at
            if self.first_content is None:
                self.first_content = at

    def view(self) -> Try:
        """As it stands."""
        names = self.__slots__[5:]
        return Try(
            **self.facts,
            **{name: getattr(self, name) for name in names},
            steps=dict(self.steps),
            details=dict(self.details),
            shape=shape(self.head, self.tail),
        )


class Logbook:
    """What is gathered of one stream. ``max_steps`` bounds the steps that are kept."""

    __slots__ = (
        "started", "last", "_max", "_bodies", "_steps", "_tries", "_open", "_attempts", "_mask",
        "_malformed", "_merged", "_dropped", "_verdict", "_ended", "_fault", "_reason",
        "_completion", "_held",
    )  # fmt: skip

    def __init__(self, started: Started, max_steps: int, mask_bodies: bool) -> None:
        self.started = started
        self.last = started.at
        self._max = max_steps
        self._bodies = mask_bodies
        self._steps: list[Step] = []
        self._tries: list[Try] = []
        self._open: Optional[_Open] = None
        self._attempts = self._malformed = self._merged = self._dropped = 0
        self._mask = Masker(bodies=mask_bodies)
        self._verdict = "running"
        self._ended: Optional[float] = None
        self._fault: Optional[Fault] = None
        self._reason: Optional[str] = None
        self._completion: Optional[Mapping[str, Any]] = None
        self._held = 0.0

    @property
    def running(self) -> bool:
        """Whether the stream has no verdict yet."""
        return self._ended is None

    # -- records in ----------------------------------------------------------------------------

    def read(self, record: Chunks) -> None:
        """Note a network read: one append."""
        chunks, opened = record.chunks, self._open
        content = chars = 0
        finish: Optional[str] = None
        for chunk in chunks:
            if chunk[0] in CONTENT_KINDS:
                content = 1
                chars += len(chunk[1]) or _chars(chunk)
            elif chunk[5] is not None:
                finish = chunk[5]
        self._steps.append(
            Read(
                record.at, self._attempts, len(record.data), record.events, record.heartbeats,
                len(chunks), content, record.waited, record.held, chars=chars,
            )
        )  # fmt: skip
        self.last = record.at
        self._held += record.held
        if opened is not None:
            if content and opened.first_content is None:
                self._mark(record.at, "first token")
            opened.read(record, bool(content))
            if finish is not None:
                if opened.finish_reason is None:
                    self._mark(record.at, "finish", reason=finish)
                opened.finish_reason = finish
        if len(self._steps) > self._max:
            self._shorten()

    def note(self, record: Record) -> None:
        """Note any other record."""
        self.last = max(self.last, record.at)
        handler = _HANDLERS.get(type(record))
        if handler is not None:
            handler(self, record)

    def _mark(self, at: float, kind: str, **facts: Any) -> None:
        self._steps.append(Mark(at, kind, self._attempts, facts))
        if len(self._steps) > self._max and kind != "stalled":
            self._shorten()

    def _attempt_started(self, record: AttemptStarted) -> None:
        self._close()
        self._attempts = record.number
        request = record.request
        mask = self._mask = Masker(secrets_of(request.url, request.headers), self._bodies)
        opened = self._open = _Open(record.number, record.at)
        opened.facts.update(
            method=request.method,
            url=mask.url(request.url),
            request_headers=mask.headers(request.headers),
            body=mask.body(request.json),
            fingerprint=_fingerprint(request.method, request.url, request.json),
        )
        self._mark(record.at, "attempt", url=opened.facts["url"], method=request.method)

    def _step(self, record: StepRecord) -> None:
        if record.name == "read":
            # The end of the reading is no step of its own; what it tells of is the program's.
            self._held += record.detail["held"]
            if self._open is not None:
                self._open.held_last = record.detail["held"]
            return
        detail = {name: _plain(value) for name, value in record.detail.items()}
        if self._open is not None:
            self._open.steps[record.name] = record.at
            self._open.details[record.name] = detail
        self._mark(record.at, record.name, **detail)

    def _opened(self, record: Opened) -> None:
        if self._open is not None:
            self._open.facts.update(
                opened=record.at, status=record.status, headers=self._mask.headers(record.headers),
                request_id=record.request_id, reused=record.reused,
            )  # fmt: skip
        kind = record.headers.get("content-type", "")
        self._mark(record.at, "opened", status=record.status, content_type=kind)

    def _malform(self, record: Malformed) -> None:
        self._malformed += 1
        self._mark(record.at, "malformed", fault=fault_of(record.error, self._mask))

    def _stalled(self, record: Stalled) -> None:
        self._mark(record.at, "stalled", silent_for=record.silent_for)

    def _attempt_ended(self, record: AttemptEnded) -> None:
        attempt = record.attempt
        fault = fault_of(attempt.error, self._mask) if attempt.error is not None else None
        if self._open is not None:
            self._open.facts.update(
                ended=record.at, outcome=attempt.outcome, fault=fault, waited=attempt.waited
            )
        self._mark(record.at, "over", outcome=attempt.outcome, fault=fault)
        self._close()

    def _close(self) -> None:
        """The attempt under way joins those that are over; of too many the middle goes."""
        if self._open is not None:
            self._tries.append(self._open.view())
            self._open = None
            if len(self._tries) > MAX_TRIES:
                del self._tries[MAX_TRIES // 2]

    def _retrying(self, record: Retrying) -> None:
        self._mark(
            record.at, "retrying", number=record.number, delay=record.delay, reason=record.reason,
            error=type(record.error).__name__,
        )  # fmt: skip

    def _resumed(self, record: Resumed) -> None:
        seam = record.seam
        self._mark(
            record.at, "resumed", offset=seam.at, how=seam.how, confidence=seam.confidence,
            dropped=len(seam.dropped),
        )  # fmt: skip

    def _completed(self, record: Completed) -> None:
        self._end(record.at, record.completion.outcome.value, record.completion)

    def _failed(self, record: Failed) -> None:
        self._fault = fault_of(record.error, self._mask)
        self._end(record.at, "failed", record.completion)

    def _cancelled(self, record: Cancelled) -> None:
        self._reason = self._mask.text(record.reason) if record.reason else None
        self._end(record.at, "cancelled", record.completion)

    def _end(self, at: float, verdict: str, completion: Completion) -> None:
        self._close()
        usage = completion.usage
        self._completion = {
            "output_tokens": usage.output_tokens if usage is not None else None,
            "tokens_estimated": usage.estimated if usage is not None else False,
            "text_chars": completion.text_chars,
            "finish_reason": completion.finish_reason,
            "model": completion.model or self.started.model,
        }
        self._verdict, self._ended = verdict, at
        self._mark(at, "verdict", verdict=verdict)

    # -- bounds --------------------------------------------------------------------------------

    def _shorten(self) -> None:
        """Merge the oldest reads of the middle in pairs; the first quarter and the last half stay.

        Where there are no reads to merge the middle's oldest steps go."""
        first, stop = self._max // 4, len(self._steps) - self._max // 2
        middle = self._steps[first:stop]
        shorter: list[Step] = []
        for step in middle:
            before = shorter[-1] if shorter else None
            if _pair(before, step):
                shorter[-1] = merged(before, step)  # type: ignore[arg-type]
            else:
                shorter.append(step)
        self._merged += len(middle) - len(shorter)
        if len(shorter) > 3 * len(middle) // 4:
            excess = len(shorter) // 2
            self._dropped += excess
            del shorter[:excess]
        self._steps[first:stop] = shorter

    # -- out -----------------------------------------------------------------------------------

    def timeline(self) -> Timeline:
        """What is known by now. Any thread may call it."""
        tries = tuple(self._tries)
        opened = self._open
        if opened is not None:
            tries += (opened.view(),)
        started = self.started
        facts = {"model": started.model, **(self._completion or {})}
        return Timeline(
            stream_id=started.stream_id, provider=started.provider, at=started.at,
            wall=started.wall, now=self.last, verdict=self._verdict, ended=self._ended,
            fault=self._fault, reason=self._reason, steps=tuple(self._steps), tries=tries,
            attempts=self._attempts, malformed=self._malformed, merged=self._merged,
            dropped=self._dropped, held=self._held, **facts,
        )  # fmt: skip


_HANDLERS: dict[type, Any] = {
    AttemptStarted: Logbook._attempt_started,
    StepRecord: Logbook._step,
    Opened: Logbook._opened,
    Malformed: Logbook._malform,
    Stalled: Logbook._stalled,
    AttemptEnded: Logbook._attempt_ended,
    Retrying: Logbook._retrying,
    Resumed: Logbook._resumed,
    Completed: Logbook._completed,
    Failed: Logbook._failed,
    Cancelled: Logbook._cancelled,
}


def _pair(one: Optional[Step], other: Step) -> bool:
    """Whether two steps may become one: reads of one attempt, the first not already the coarser,
    so that a pass halves what there is and does not heap all on one."""
    return (
        isinstance(one, Read)
        and isinstance(other, Read)
        and one.attempt == other.attempt
        and one.count <= other.count
    )


def merged(one: Read, other: Read) -> Read:
    """Two reads in a row as one."""
    return Read(
        one.at, one.attempt, one.size + other.size, one.events + other.events,
        one.heartbeats + other.heartbeats, one.chunks + other.chunks,
        one.content + other.content, one.waited + other.waited, one.held + other.held,
        one.count + other.count, other.until,
        max(one.longest or one.waited, other.longest or other.waited),
        max(one.largest or one.size, other.largest or other.size),
        one.chars + other.chars,
    )  # fmt: skip


def _chars(chunk: Chunk) -> int:
    """The length of what a chunk brought that is no text."""
    call = chunk.tool_call
    return len(chunk.reasoning) + len(chunk.refusal) + (len(call.arguments) if call else 0)


def _fingerprint(method: str, url: str, body: Any) -> str:
    """Equal for equal requests, and nothing can be read out of it."""
    text = json.dumps([method, url.partition("?")[0], body], sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value]
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)
