"""Tally: the figures of one stream, folded from its records.

Here lives what one stream is worth knowing of. Which streams run is told in ``tallies``, what many
of them come to in ``figures``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

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
)
from streamsafe.models import CONTENT_KINDS, Chunk, Completion, Seam, Usage
from streamsafe.observe.figures import Figures
from streamsafe.observe.sketch import Sketch
from streamsafe.observe.words import plain

#: Seconds of a stream's time after which its running sums are handed on: the width of the
#: narrowest bucket of a window, so that nothing is counted a bucket too late.
HAND_ON_EVERY = 5.0
#: The latest errors and seams of a stream that are kept, and the characters of a message.
MAX_KEPT = 20
MAX_MESSAGE = 500
#: Characters of a model's name; the longest that vendors have are ARNs and paths of some 100.
MAX_NAME = 200
#: Characters to a token where the server gave no count, as OpenAI's own rule of thumb has it.
CHARS_PER_TOKEN = 4


class Tally:
    """What is known of one stream.

    Written by the stream's reading thread alone (``stalls`` by the watchdog's helper alone), so
    it takes no lock; ``view`` may be called by any thread and sees each number whole, if not all
    of the same moment. ``note`` is for whoever keeps the tally: an exporter's open spans.
    """

    __slots__ = (
        "stream_id", "provider", "model", "at", "wall", "last", "due", "ended", "status", "outcome",
        "bytes", "events", "chunks", "heartbeats", "held", "first", "attempts", "retries", "stalls",
        "malformed", "seams", "errors", "error_count", "http_status", "request_id",
        "finish_reason", "note", "group", "_silence", "_fresh", "_chars", "_told", "_usage",
        "_spent", "_gaps", "_gaps_taken", "_taken", "_ttft_taken",
    )  # fmt: skip

    def __init__(self, started: Started) -> None:
        self.stream_id = started.stream_id
        self.provider = started.provider
        self.model = _name(started.model)
        #: The provider and model that its figures go to. Where no model was asked for it is
        #: "unknown", though the answer names one: of what failed nobody does.
        self.group = _group(self.provider, self.model)
        self.at = self.last = started.at
        self.wall = started.wall
        self.due = started.at + HAND_ON_EVERY
        self.ended: Optional[float] = None
        self.status = "pending"
        self.outcome = "pending"
        self.bytes = self.events = self.chunks = self.heartbeats = 0
        self.held = 0.0
        self.first: Optional[float] = None
        self.attempts = self.retries = self.stalls = self.malformed = self.error_count = 0
        self.seams: deque[Seam] = deque(maxlen=MAX_KEPT)
        self.errors: deque[dict[str, Any]] = deque(maxlen=MAX_KEPT)
        self.http_status: Optional[int] = None
        self.request_id: Optional[str] = None
        self.finish_reason: Optional[str] = None
        self.note: Any = None
        self._silence = 0.0  # waited for the server since the last content
        self._fresh = True  # no content in this attempt yet: the first one ends no gap
        self._chars = 0  # of the current attempt, for the estimate
        self._told = 0  # of these, how many had come when the server last gave a count
        self._usage: Optional[Usage] = None  # of the current attempt, as the server says
        self._spent = Usage()  # of the attempts before
        self._gaps = Sketch()
        self._gaps_taken = Sketch()
        self._taken = (0, 0, 0, 0)
        self._ttft_taken = False

    # -- records in ----------------------------------------------------------------------------

    def read(self, record: Chunks) -> Optional[float]:
        """Fold one network read; the gap between contents that it ended, in seconds, or None.

        Runs once a read of every stream: tuple positions and locals, because attribute look-ups
        would double its cost.
        """
        _, at, data, events, heartbeats, chunks, waited, held = record
        self.last = at
        self.bytes += len(data)
        self.events += events
        if heartbeats:
            self.heartbeats += heartbeats
        self.held += held
        silence = self._silence + waited
        many = len(chunks)
        self.chunks += many
        chars, content = 0, True
        # Nearly all reads bring text alone: one piece, or many that the interpreter's own loops
        # turn into columns, of which the first two are the kinds and the texts.
        columns = zip(*chunks) if many > 1 else None
        if many == 1 and chunks[0][0] == "text":
            chars = len(chunks[0][1])
        elif columns is not None and next(columns).count("text") == many:
            chars = len("".join(next(columns)))
        else:
            chars, content = self._mixed(chunks)
        if not content:
            self._silence = silence
            return None
        self._chars += chars
        self._silence = 0.0
        if not self._fresh:
            self._gaps.add(silence)
            return silence
        self._fresh = False
        if self.first is None:
            self.first, self.held = at, 0.0
        return None

    def _mixed(self, chunks: Sequence[Chunk]) -> tuple[int, bool]:
        """Characters of the content in these chunks, and whether there is some."""
        chars, content = 0, False
        for chunk in chunks:
            kind = chunk[0]
            if kind in CONTENT_KINDS:
                chars += _chars(chunk)
                content = True
            elif kind == "usage":
                self._usage, self._told = chunk.usage, self._chars + chars
        return chars, content

    def fold(self, record: Record) -> Figures:
        """Fold any record but Chunks; what it, and all since the last time, adds to the sums."""
        if isinstance(record, Stalled):
            # From the watchdog's thread: nothing else of the tally may be touched here.
            self.stalls += 1
            figures = Figures()
            figures.count("stalls")
            return figures
        self.last = record.at
        figures = self.take()
        handler = _HANDLERS.get(type(record))
        if handler is not None:
            handler(self, record, figures)
        return figures

    def take(self) -> Figures:
        """What came since the last time: bytes, events, chunks, heartbeats, gaps and ttft."""
        figures = Figures()
        now = (self.bytes, self.events, self.chunks, self.heartbeats)
        for name, total, before in zip(_FLOWS, now, self._taken):
            figures.count(name, total - before)
        self._taken = now
        if self._gaps.counts:
            gaps, self._gaps = self._gaps, Sketch()
            self._gaps_taken.merge(gaps)
            figures.sketch("gap").merge(gaps)
        if self.first is not None and not self._ttft_taken:
            self._ttft_taken = True
            figures.sketch("ttft").add(self.first - self.at)
        self.due = self.last + HAND_ON_EVERY
        return figures

    def _attempt_started(self, record: AttemptStarted, figures: Figures) -> None:
        self.attempts += 1
        self._fresh, self._silence = True, 0.0
        if self.attempts > 1:
            figures.count("reconnects")

    def _opened(self, record: Opened, figures: Figures) -> None:
        self.http_status = record.status
        self.request_id = record.request_id
        self.status = "streaming"

    def _attempt_ended(self, record: AttemptEnded, figures: Figures) -> None:
        attempt = record.attempt
        self._spent = self._spent.plus(attempt.usage or self._current())
        self._usage, self._chars, self._told = None, 0, 0
        if attempt.provider and attempt.provider != self.provider:
            # A fallback: what follows is on the other provider's account.
            self.provider, self.model = attempt.provider, _name(attempt.model)
            self.group = _group(self.provider, self.model)
        self.model = self.model or _name(attempt.model)

    def _retrying(self, record: Retrying, figures: Figures) -> None:
        self.status = "retrying"
        self.retries += 1
        figures.count("retries")
        self._failure(record.at, record.error, figures, will_retry=True)

    def _resumed(self, record: Resumed, figures: Figures) -> None:
        self.seams.append(record.seam)
        figures.count("seams")

    def _skipped(self, record: Malformed, figures: Figures) -> None:
        self.malformed += 1
        figures.count("malformed")
        self._failure(record.at, record.error, figures, will_retry=False)

    def _completed(self, record: Completed, figures: Figures) -> None:
        self._end("complete", record.completion.outcome.value, record, figures)

    def _failed(self, record: Failed, figures: Figures) -> None:
        self._failure(record.at, record.error, figures, will_retry=False)
        self._end("failed", "failed", record, figures)

    def _cancelled(self, record: Cancelled, figures: Figures) -> None:
        self._end("cancelled", "cancelled", record, figures)

    def _failure(
        self, at: float, error: BaseException, figures: Figures, *, will_retry: bool
    ) -> None:
        self.error_count += 1
        figures.error(type(error).__name__)
        said = describe(error)
        said.update(at=self.when(at), attempt=self.attempts, will_retry=will_retry)
        self.errors.append(said)

    def _end(self, status: str, outcome: str, record: Any, figures: Figures) -> None:
        completion: Completion = record.completion
        self.status, self.outcome = status, outcome
        self.ended = record.at
        self.finish_reason = completion.finish_reason
        self.model = self.model or _name(completion.model)
        if completion.usage_total is not None:
            self._spent, self._usage = completion.usage_total, None
            self._chars = self._told = 0
        usage = self.tokens()
        figures.count(outcome)
        figures.count("ended_bytes", self.bytes)
        figures.count("input_tokens", usage.input_tokens)
        figures.count("output_tokens", usage.output_tokens)
        figures.count("tokens", usage.total_tokens)
        if usage.estimated:
            figures.count("estimated_tokens", usage.total_tokens)
        if usage.output_tokens:
            figures.count("generating", self._generating(record.at))
        figures.sketch("duration").add(record.at - self.at)

    # -- what it says ----------------------------------------------------------------------------

    @property
    def ttft(self) -> Optional[float]:
        """Seconds from the start to the first content, or None."""
        return None if self.first is None else self.first - self.at

    def when(self, at: float) -> float:
        """A time of the stream's clock as seconds since the epoch."""
        return self.wall + (at - self.at)

    def tokens(self) -> Usage:
        """All attempts' usage so far; ``estimated`` where the server has not said."""
        usage = self._spent.plus(self._current())
        total = usage.total_tokens or usage.input_tokens + usage.output_tokens
        return usage._replace(total_tokens=total)

    def gaps(self) -> Sketch:
        """The gaps between contents so far, within attempts, without what the program held."""
        gaps = self._gaps_taken.copy()
        gaps.merge(self._gaps)
        return gaps

    def view(self, now: float) -> dict[str, Any]:
        """All of it as plain values (see ``StreamMonitor.get_stream``); ``now`` on its clock."""
        end = max(now, self.last) if self.ended is None else self.ended
        usage = self.tokens()
        generating = self._generating(end)
        return {
            "stream_id": self.stream_id,
            "provider": self.provider,
            "model": self.model,
            "status": self.status,
            "outcome": self.outcome,
            "started": self.wall,
            "ended": None if self.ended is None else self.when(self.ended),
            "duration": end - self.at,
            "silent_for": end - self.last,
            "bytes": self.bytes,
            "events": self.events,
            "chunks": self.chunks,
            "heartbeats": self.heartbeats,
            "attempts": self.attempts,
            "retries": self.retries,
            "reconnects": max(0, self.attempts - 1),
            "stalls": self.stalls,
            "malformed": self.malformed,
            "seams": [_seam(seam) for seam in self.seams.copy()],
            "errors": [dict(error) for error in self.errors.copy()],
            "error_count": self.error_count,
            "tokens": _counts(usage),
            "tokens_per_second": usage.output_tokens / generating if generating > 0 else None,
            "ttft": self.ttft,
            "gaps": self.gaps().summary(),
            "held": self.held,
            "http_status": self.http_status,
            "request_id": self.request_id,
            "finish_reason": self.finish_reason,
        }

    def _current(self) -> Usage:
        # What came after the server's count is guessed: some give one at the start (Anthropic).
        guess = -(-(self._chars - self._told) // CHARS_PER_TOKEN)
        said = self._usage or Usage()
        total = said.total_tokens or said.input_tokens + said.output_tokens
        if not guess:
            return said
        return said._replace(
            output_tokens=said.output_tokens + guess, total_tokens=total + guess, estimated=True
        )

    def _generating(self, end: float) -> float:
        return 0.0 if self.first is None else max(0.0, end - self.first - self.held)


def describe(error: BaseException) -> dict[str, Any]:
    """An error as plain values: type, message, hint, and what a server said of itself."""
    return {
        "type": type(error).__name__,
        "message": str(getattr(error, "message", error))[:MAX_MESSAGE],
        "hint": getattr(error, "hint", ""),
        "status": getattr(error, "status", None),
        "code": getattr(error, "code", None),
        "clock": getattr(error, "clock", None),
        "request_id": getattr(error, "request_id", None),
    }


def _group(provider: str, model: Optional[str]) -> tuple[str, str]:
    return provider or "unknown", model or "unknown"


def _name(model: Optional[str]) -> Optional[str]:
    """A model's name as labels and stores may have it: servers make them up, too."""
    if model is None or (len(model) <= MAX_NAME and model.isprintable()):
        return model
    return plain(model[:MAX_NAME])


def _chars(chunk: Chunk) -> int:
    """The length of a chunk's content."""
    call = chunk.tool_call
    return (
        len(chunk.text)
        + len(chunk.reasoning)
        + len(chunk.refusal)
        + (len(call.name) + len(call.arguments) if call is not None else 0)
    )


def _seam(seam: Seam) -> dict[str, Any]:
    # Without ``dropped``: a view shows where an answer was joined, never what it says.
    return {
        "at": seam.at,
        "how": seam.how,
        "confidence": seam.confidence,
        "attempt": seam.attempt,
    }


def _counts(usage: Usage) -> dict[str, Any]:
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.reasoning_tokens,
        "cached": usage.cached_tokens,
        "total": usage.total_tokens,
        "estimated": usage.estimated,
    }


_FLOWS = ("bytes", "events", "chunks", "heartbeats")

_HANDLERS: Mapping[type, Callable[[Tally, Any, Figures], None]] = {
    AttemptStarted: Tally._attempt_started,
    Opened: Tally._opened,
    AttemptEnded: Tally._attempt_ended,
    Retrying: Tally._retrying,
    Resumed: Tally._resumed,
    Malformed: Tally._skipped,
    Completed: Tally._completed,
    Failed: Tally._failed,
    Cancelled: Tally._cancelled,
}
