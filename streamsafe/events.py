"""EventStream: a plain source of Server-Sent Events, or of JSON lines, of any kind.

Here lives the reconnecting by the rules of the WHATWG standard ("Server-sent events", section
9.2.3): after a drop or the end of the body, wait the server's ``retry`` and ask again with
``Last-Event-ID``; 204 ends it; a status or a Content-Type that is no event stream fails it.
How one response is read is in ``engine.attempt``.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Generator, Iterator
from typing import Any, Callable, Generic, NamedTuple, Optional, TypeVar, cast

from streamsafe.engine import forks
from streamsafe.engine.attempt import Attempt, Terms
from streamsafe.engine.retry import RetryPolicy
from streamsafe.engine.timing import Clock, Deadline, Timeouts
from streamsafe.errors import IncompleteStreamError, StreamCancelledError, StreamingError
from streamsafe.lifecycle import (
    AttemptEnded,
    Cancelled,
    Completed,
    Failed,
    Observer,
    Retrying,
    Started,
)
from streamsafe.limits import Limits
from streamsafe.models import (
    Attempt as AttemptRecord,
    Call,
    Completion,
    Outcome,
    Request,
    ServerSentEvent,
    Timings,
)
from streamsafe.notices import Notices
from streamsafe.providers.base import Target
from streamsafe.providers.plain import Plain
from streamsafe.setup import Callbacks
from streamsafe.wire.transport import Transport

Item = TypeVar("Item")

#: Seconds before a reconnect where the server set no ``retry``: what browsers take.
RECONNECT = 3.0

#: Attempts that the verdict tells of, the last ones: a source may reconnect for months.
TOLD = 40

#: Events remembered by what they hold, so that a server which does not honour Last-Event-ID and
#: begins anew doubles none of them.
REMEMBERED = 1024


class Source(NamedTuple):
    """What a plain stream is made of; the session makes it."""

    request: Request
    framing: str
    last_event_id: str
    transport: Transport
    timeouts: Timeouts
    retry: RetryPolicy
    limits: Limits
    clock: Clock
    stream_id: str
    random: Callable[[], float]
    observers: tuple[Observer, ...] = ()


class EventStream(Generic[Item]):
    """An iterator of ``ServerSentEvent`` (or of decoded JSON lines), and a context manager.

    A GET source goes on for ever, over drops and ends, until the server answers 204, a
    failure can't be mended, or it is closed; with ``retry=0`` it is read once. Another method is
    sent again only after a drop, and only if an event had an id to go on from; the end of its body
    is its end. One thread iterates; ``cancel`` may come from any. Observers are told of it as of
    any stream: each connection is an attempt, each event a chunk.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._state = _State(source)
        self._own: Optional[Generator[Any, None, None]] = None
        self._error: Optional[StreamingError] = None

    @property
    def last_event_id(self) -> str:
        """The id to go on from: of the last event, or as it was given; "" if there is none."""
        return self._state.last_event_id

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        if self._error is not None:
            raise self._error  # a source that failed never looks like one that ended
        if self._own is None:
            self._own = self._state.items()
        try:
            return cast(Item, next(self._own))
        except StreamingError as error:
            self._error = error
            raise

    def __enter__(self) -> EventStream[Item]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def cancel(self, reason: Optional[str] = None) -> None:
        """Stop, from any thread, at once: a reader that is blocked gets StreamCancelledError."""
        self._state.cancel(reason)

    def close(self) -> None:
        """Leave the source and close its connection. From another thread it is a ``cancel``."""
        if self._own is None:
            self._own = iter_nothing()
        try:
            self._own.close()
        except ValueError:  # it is running in another thread
            self.cancel("closed while it was being read")


def iter_nothing() -> Generator[Any, None, None]:
    """A generator of nothing."""
    yield from ()


class _State:
    """The state of a plain stream and the body of its generator, which does not hold it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.last_event_id = source.last_event_id
        # Guards _cancelled and _attempt: one that begins while a cancel comes must not be missed.
        self._lock = threading.RLock()
        self._cancelled: Optional[StreamCancelledError] = None
        self._attempt: Optional[Attempt] = None
        self._wake = threading.Event()
        self._wait = RECONNECT
        self._failures = 0
        self._waited = 0.0
        self._recent: deque[int] = deque(maxlen=REMEMBERED)
        self._records: deque[AttemptRecord] = deque(maxlen=TOLD)
        self._notices = Notices(
            source.stream_id, source.clock, Callbacks(), source.observers, self._fail
        )

    def cancel(self, reason: Optional[str]) -> None:
        with self._lock:
            if self._cancelled is not None:
                return
            self._cancelled = StreamCancelledError(reason)
            attempt = self._attempt
        self._wake.set()
        if attempt is not None:
            attempt.scope.abort(self._cancelled)

    def forked(self) -> None:
        """In a forked child: the source is the parent's to read."""
        self._lock = threading.RLock()
        if self._attempt is not None:
            self._attempt.scope.forked()
        self._cancelled = self._cancelled or StreamCancelledError(forks.REASON)

    def _fail(self, error: BaseException) -> None:
        """What a callback raised; there are none here."""

    def items(self) -> Generator[Any, None, None]:
        """The source's whole life, with its beginning and its end told."""
        source = self.source
        began, tell = source.clock.now(), self._notices.tell
        forks.tell(self)
        tell(Started, source.clock.wall(), source.framing, None)
        try:
            yield from self._attempts()
        except StreamCancelledError as error:
            tell(Cancelled, self._completion(Outcome.CANCELLED, began), error.reason)
            raise
        except StreamingError as error:
            tell(Failed, error, self._completion(Outcome.FAILED, began))
            raise
        except BaseException:  # the program left
            tell(Cancelled, self._completion(Outcome.CANCELLED, began), None)
            raise
        tell(Completed, self._completion(Outcome.COMPLETE, began))

    def _attempts(self) -> Iterator[Any]:
        """Connect, hand out, wait, connect again."""
        deadline = Deadline(self.source.timeouts.total, self.source.clock)
        number = 0
        while True:
            number += 1
            attempt = self._connect(deadline, number)
            try:
                yield from self._received(attempt)
                self._over(attempt, "complete")
                return  # lines end with their body
            except StreamCancelledError as error:
                self._over(attempt, "cancelled", error)
                raise
            except StreamingError as error:
                error.stream_id = self.source.stream_id
                if attempt.status == 204 or (not self._goes_on(error) and self._ended_well(error)):
                    self._over(attempt, "complete")
                    return
                if not self._tries_again(attempt, error, deadline, number):
                    raise
            except BaseException:
                self._over(attempt, "cancelled")
                raise

    def _over(self, attempt: Attempt, outcome: str, error: Optional[StreamingError] = None) -> None:
        record = attempt.record(outcome, error)
        self._records.append(record)
        self._notices.tell(AttemptEnded, record)

    def _completion(self, outcome: Outcome, began: float) -> Completion:
        """The verdict: a plain source has no text of its own."""
        source = self.source
        return Completion(
            outcome=outcome, provider=source.framing, stream_id=source.stream_id,
            attempts=tuple(self._records), timings=Timings(duration=source.clock.now() - began),
        )  # fmt: skip

    def _connect(self, deadline: Deadline, number: int) -> Attempt:
        source = self.source
        plain = Plain(source.request, source.framing, self.last_event_id)
        call = Call()
        target = Target(source.request.url, None, source.request.headers)
        terms = Terms(
            source.transport, source.timeouts, source.limits, source.clock, deadline,
            source.stream_id, target.secrets, False, self._notices.record, _nothing,
            self._notices.stall,
        )  # fmt: skip
        attempt = Attempt(
            terms, plain.request(call, target), plain, plain.decoder(call), number, self._waited
        )
        with self._lock:
            self._attempt = attempt
            cancelled = self._cancelled
        if cancelled is not None:
            raise cancelled
        return attempt

    def _received(self, attempt: Attempt) -> Iterator[Any]:
        # What a server that begins anew, instead of behind this id, sends again.
        asked, seen = self.last_event_id, Counter(self._recent)
        try:
            with attempt:
                for chunks in attempt.chunks():
                    for chunk in chunks:
                        self._failures = 0
                        if isinstance(chunk.raw, ServerSentEvent):
                            if seen and _again(chunk.raw, asked, seen, attempt):
                                continue
                            self._note(chunk.raw)
                        yield chunk.raw
                        if self._cancelled is not None:
                            raise self._cancelled
        finally:
            # An id may also stand in a block without data, behind the last event.
            if attempt.framer is not None and attempt.framer.last_event_id:
                self.last_event_id = attempt.framer.last_event_id
            if attempt.framer is not None and attempt.framer.retry is not None:
                self._wait = attempt.framer.retry / 1000

    def _note(self, event: ServerSentEvent) -> None:
        self.last_event_id = event.id
        if event.id:
            self._recent.append(_key(event))

    def _goes_on(self, error: StreamingError) -> bool:
        source = self.source
        if not error.retryable or source.framing != "sse" or source.retry.max_retries == 0:
            return False
        if source.request.method == "GET":
            return True
        return bool(self.last_event_id) and not isinstance(error, IncompleteStreamError)

    def _ended_well(self, error: StreamingError) -> bool:
        """The end of a body that is not asked for again is an end, no failure."""
        source = self.source
        once = source.request.method != "GET" or source.retry.max_retries == 0
        return once and source.framing == "sse" and isinstance(error, IncompleteStreamError)

    def _tries_again(
        self, attempt: Attempt, error: StreamingError, deadline: Deadline, number: int
    ) -> bool:
        """Wait before the next attempt; False if there is none."""
        source = self.source
        if not self._goes_on(error):
            self._over(attempt, "failed", error)
            return False
        self._failures += 1
        if attempt.framer is not None and attempt.framer.heartbeats:
            # It is well and has nothing to say: no reason to give up, one to ask less often.
            self._failures = min(self._failures, source.retry.max_retries)
        decision = source.retry.replace(max_attempts=number + 1).decide(
            error,
            failures=self._failures,
            attempts=number,
            elapsed=deadline.elapsed(),
            remaining=deadline.remaining(),
            random=source.random,
        )
        error.will_retry = decision.retry
        if error.retryable and not decision.retry:
            error.given_up = decision.reason
        self._over(attempt, "failed", error)
        if not decision.retry:
            return False
        # The server's wait, spread a little so that a crowd does not come back at once; the
        # backoff comes on top while nothing gets through.
        delay = self._wait * (1 + 0.2 * source.random())
        if self._failures > 1 or getattr(error, "retry_after", None) is not None:
            delay = max(delay, decision.delay)
        self._notices.tell(Retrying, number + 1, error, delay, decision.reason)
        self._waited = delay
        source.clock.sleep(delay, self._wake)
        if self._cancelled is not None:
            raise self._cancelled
        return True


def _key(event: ServerSentEvent) -> int:
    return hash(event[:3])


def _again(event: ServerSentEvent, asked: str, seen: Counter[int], attempt: Attempt) -> bool:
    """Whether the event was handed out before, each of the ``seen`` once. One that has the id
    ``asked`` for, in a body that has restated none, is new and says nothing of the others."""
    restated = attempt.framer is not None and attempt.framer.has_ids
    if (restated or event.id != asked) and seen[_key(event)] > 0:
        seen[_key(event)] -= 1
        return True
    if event.id != asked:
        seen.clear()  # it is new, and so is all that follows
    return False


def _nothing(_: object) -> None:
    pass
