"""Run: the life of one stream, over as many attempts as it takes.

Here lives THE loop over attempts: retry, resume, the total deadline, the callbacks and the
verdict. What an attempt does is in ``engine.attempt``; the decisions are taken by
``engine.retry`` and ``engine.resume``; what the program holds in its hands is ``stream.Stream``.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Generator, Iterator
from typing import Any, Callable, NamedTuple, Optional

from streamsafe.engine import resume, watchdog
from streamsafe.engine.accumulator import Accumulator, estimate_usage
from streamsafe.engine.attempt import Attempt, Terms
from streamsafe.engine.joint import Joint
from streamsafe.engine.retry import Decision, RetryPolicy
from streamsafe.engine.rhythm import Rhythm
from streamsafe.engine.timing import Clock, Deadline, Timeouts
from streamsafe.errors import (
    LimitExceededError,
    StreamCancelledError,
    StreamingError,
)
from streamsafe.lifecycle import (
    AttemptEnded,
    Cancelled,
    Completed,
    Failed,
    Observer,
    Record,
    Resumed,
    Retrying,
    Stalled,
    Started,
)
from streamsafe.limits import Limits
from streamsafe.models import Attempt as AttemptRecord
from streamsafe.models import (
    CONTENT_KINDS,
    Call,
    Chunk,
    Completion,
    Outcome,
    Seam,
    Timings,
    Usage,
)
from streamsafe.providers.base import Provider, Target
from streamsafe.wire.transport import Transport

logger = logging.getLogger("streamsafe")

#: How often a cancel token of the program's own kind is looked at, in seconds.
TOKEN_LOOK = 0.1

_OUTCOMES = {"length": Outcome.TRUNCATED, "content_filter": Outcome.FILTERED}
_OUTCOMES["refusal"] = Outcome.FILTERED


class Callbacks(NamedTuple):
    """The program's own functions, or None; see ``StreamSession.stream``."""

    on_token: Optional[Callable[[str], object]] = None
    on_error: Optional[Callable[[StreamingError], object]] = None
    on_complete: Optional[Callable[[Completion], object]] = None
    on_retry: Optional[Callable[[AttemptRecord], object]] = None
    on_stall: Optional[Callable[[float], object]] = None


class Setup(NamedTuple):
    """All that a stream is made of; the session makes it."""

    call: Call
    provider: Provider
    target: Target
    transport: Transport
    timeouts: Timeouts
    retry: RetryPolicy
    resume: str
    limits: Limits
    clock: Clock
    stream_id: str
    callbacks: Callbacks = Callbacks()
    observers: tuple[Observer, ...] = ()
    cancel: Optional[Any] = None
    skip_malformed: bool = False
    random: Callable[[], float] = random.random


class _ProgramError(Exception):
    """Carries what a callback raised past the loop over attempts."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Run:
    """The state of a stream, and the body of the generator that the reading thread runs.

    The Stream and the generator both hold it; it holds neither, so that a dropped generator is
    closed at once.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.status = "pending"
        self.error: Optional[BaseException] = None
        self.final: Optional[Completion] = None
        self.records: list[AttemptRecord] = []
        self.observer_faults = 0
        self.cancelled: Optional[StreamCancelledError] = None
        # Guards cancelled, _attempt and final against each other: an attempt that begins
        # while a cancel comes must not be missed by it.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._accumulator = Accumulator()
        self._rhythm: Optional[Rhythm] = None
        self._deadline = Deadline(None, setup.clock)
        self._attempt: Optional[Attempt] = None
        self._joint: Optional[Joint] = None
        self._recorded = True
        self._chars_before = 0
        self._waited = 0.0
        self._failures = 0
        self._malformed = 0
        self._seams: list[Seam] = []
        self._spent: Optional[Usage] = None

    # -- from any thread ---------------------------------------------------------------------

    def cancel(self, reason: Optional[str]) -> None:
        """Have the reader leave at once; without effect on a stream that has ended."""
        with self._lock:
            if self.cancelled is not None or self.final is not None:
                return
            self.cancelled = StreamCancelledError(reason)
            attempt = self._attempt
        self._wake.set()
        if attempt is not None:
            attempt.scope.abort(self.cancelled)
        elif self.status == "pending":
            self.end(self.cancelled, Outcome.CANCELLED)

    def completion(self, outcome: Outcome = Outcome.PENDING) -> Completion:
        """What has been delivered so far, or the final completion."""
        if self.final is not None:
            return self.final
        setup, attempt = self.setup, self._attempt
        usage = self._usage()
        timings = Timings()
        if self._rhythm is not None:
            timings = self._rhythm.timings(setup.clock.now(), usage)
        decoder = attempt.decoder if attempt is not None else None
        completion = self._accumulator.completion(
            outcome=outcome,
            usage=usage,
            usage_total=self._spent if self._recorded else _sum(self._spent, usage),
            model=(decoder and decoder.model) or setup.call.model,
            id=decoder and decoder.id,
            provider=setup.provider.name,
            provider_state=decoder and decoder.state,
            seams=tuple(self._seams),
            attempts=tuple(self.records),
            timings=timings,
            stream_id=setup.stream_id,
            malformed=self._malformed,
        )
        message = decoder.message(completion) if decoder is not None else None
        return completion if message is None else completion.replace(message=message)

    def _usage(self) -> Optional[Usage]:
        """What the current attempt cost: as the server says, else a guess from the lengths."""
        if self._accumulator.usage is not None:
            return self._accumulator.usage
        attempt = self._attempt
        if attempt is None or attempt.status is None or attempt.status >= 300:
            return None  # a request that was refused costs nothing
        written = self._accumulator.output_chars() - self._chars_before
        if self._joint is not None:
            written += self._joint.discarded
        return estimate_usage(_chars(self.setup.call), written) if written > 0 else None

    # -- the generator's body, on the reading thread -------------------------------------------

    def chunks(self) -> Generator[Chunk, None, None]:
        """The whole life of the stream; runs once."""
        try:
            self._begin()
            yield from self._attempts()
        except GeneratorExit:
            self._left()
            raise
        except StreamCancelledError as error:
            self.end(error, Outcome.CANCELLED)
            raise
        except StreamingError as error:
            self.end(error, Outcome.FAILED)
            raise
        except _ProgramError as carrier:
            self.end(carrier.error, Outcome.FAILED)
            raise carrier.error from carrier.error.__cause__
        except BaseException as error:
            # KeyboardInterrupt and the like: the program wants out, the answer did not fail.
            self.end(error, Outcome.CANCELLED)
            raise

    def _begin(self) -> None:
        setup = self.setup
        if self.cancelled is not None:
            raise self.cancelled
        self._rhythm = Rhythm(setup.clock.now())
        self._deadline = Deadline(setup.timeouts.total, setup.clock)
        self.status = "streaming"
        if setup.cancel is not None:
            watchdog.watch(watchdog.now(), self._look_at_token)
        self._notify(Started, setup.clock.wall(), setup.provider.name, setup.call.model)

    def _attempts(self) -> Iterator[Chunk]:
        """THE loop: an attempt, its failure, the decision, the wait, and the next."""
        call = self.setup.call
        joint: Optional[Joint] = None
        terms = self._terms()
        while True:
            attempt = self._new_attempt(terms, call, joint)
            try:
                yield from self._one(attempt, joint)
                break
            except StreamCancelledError as error:
                self._record(attempt, "cancelled", joint, error)
                raise
            except StreamingError as error:
                call, joint = self._after(error, attempt, call, joint)
            except BaseException as error:
                outcome = "complete" if attempt.decoder.finished else "cancelled"
                left = isinstance(error, GeneratorExit)
                self._record(attempt, outcome, joint, None if left else error)
                raise
        verdict = self._outcome()
        self._record(attempt, verdict.value, joint)
        self._complete(verdict)

    def _new_attempt(self, terms: Terms, call: Call, joint: Optional[Joint]) -> Attempt:
        setup = self.setup
        request = setup.provider.request(call, setup.target)
        decoder = setup.provider.decoder(call)
        number = len(self.records) + 1
        attempt = Attempt(terms, request, setup.provider, decoder, number, self._waited)
        self._accumulator.usage = None
        self._chars_before = self._accumulator.output_chars()
        self._joint, self._recorded = joint, False
        with self._lock:
            self._attempt = attempt
            cancelled = self.cancelled
        if cancelled is not None:
            raise cancelled
        self.status = "streaming"
        return attempt

    def _one(self, attempt: Attempt, joint: Optional[Joint]) -> Iterator[Chunk]:
        """One attempt's chunks: joined, gathered, told, handed out. The hot loop."""
        rhythm, accumulator = self._rhythm, self._accumulator
        on_token, limit = self.setup.callbacks.on_token, self.setup.limits.max_text_chars
        add = accumulator.first_text.add
        for chunks in self._joined(attempt, joint):
            if attempt.brought_content:
                rhythm.content(attempt.read_at, attempt.held)  # type: ignore[union-attr]
            for chunk in chunks:
                if chunk[0] == "text" and not chunk[6]:
                    add(chunk[1])
                    accumulator.has_content = True
                else:
                    accumulator.add(chunk)
                    if chunk[0] == "restart":
                        add = accumulator.first_text.add
                        self._chars_before = 0
                if on_token is not None and chunk[1]:
                    self._call(on_token, chunk[1])
                yield chunk
                if self.cancelled is not None:
                    raise self.cancelled
            accumulator.fold()
            if limit is not None and accumulator.text_chars > limit:
                raise LimitExceededError("max_text_chars", accumulator.text_chars, limit, "the text")

    def _joined(self, attempt: Attempt, joint: Optional[Joint]) -> Iterator[list[Chunk]]:
        """The attempt's lists as the program is to see them; says so if there is progress."""
        if joint is None:
            for chunks in attempt.chunks():
                if attempt.brought_content:
                    self._failures = 0
                yield chunks
            return
        for received in attempt.chunks():
            chunks = joint.feed(received)
            self._note_seam(joint)
            if any(chunk.kind in CONTENT_KINDS for chunk in chunks):
                self._failures = 0
            yield chunks
        yield joint.end()
        self._note_seam(joint)

    def _note_seam(self, joint: Joint) -> None:
        if joint.seam is not None and joint.seam not in self._seams:
            self._seams.append(joint.seam)
            self._notify(Resumed, joint.seam)

    # -- after a failure -----------------------------------------------------------------------

    def _after(
        self, error: StreamingError, attempt: Attempt, call: Call, joint: Optional[Joint]
    ) -> tuple[Call, Optional[Joint]]:
        """Decide, tell, wait; the next call and its joint, or the error raised."""
        setup = self.setup
        self._failures += 1
        number = len(self.records) + 2
        partial = self.completion()
        plan = resume.plan(
            setup.resume, setup.call, partial, self._accumulator.has_content, setup.provider, number
        )
        if plan.refusal:
            decision = Decision(False, 0.0, plan.refusal)
        else:
            decision = setup.retry.decide(
                error,
                failures=self._failures,
                attempts=len(self.records) + 1,
                elapsed=self._deadline.elapsed(),
                remaining=self._deadline.remaining(),
                random=setup.random,
            )
        error.will_retry = decision.retry
        record = self._record(attempt, "failed", joint, error)
        self._attach(error, partial)
        if setup.callbacks.on_error is not None:
            self._call(setup.callbacks.on_error, error)
        if not decision.retry:
            raise error
        self._notify(Retrying, number, error, decision.delay, decision.reason)
        if setup.callbacks.on_retry is not None:
            self._call(setup.callbacks.on_retry, record)
        self._wait(decision.delay)
        return plan.call, plan.joint

    def _wait(self, seconds: float) -> None:
        self.status = "retrying"
        began = self.setup.clock.now()
        if seconds > 0 and self.cancelled is None:
            self.setup.clock.sleep(seconds, self._wake)
        if self.cancelled is not None:
            raise self.cancelled
        self._waited = self.setup.clock.now() - began

    def _record(
        self,
        attempt: Attempt,
        outcome: str,
        joint: Optional[Joint],
        error: Optional[BaseException] = None,
    ) -> AttemptRecord:
        usage = self._usage()
        record = attempt.record(
            outcome,
            error,
            model=attempt.decoder.model or self.setup.call.model,
            usage=usage,
            discarded=joint.discarded if joint is not None else 0,
        )
        self.records.append(record)
        self._spent, self._recorded = _sum(self._spent, usage), True
        self._notify(AttemptEnded, record)
        return record

    # -- ends ----------------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        """The verdict of an answer that the API calls ended."""
        reason = self._accumulator.choices()[0].finish_reason
        return _OUTCOMES.get(reason or "", Outcome.COMPLETE)

    def _complete(self, outcome: Outcome) -> None:
        completion = self._settle(outcome, "complete")
        if self.setup.retry.budget is not None:
            self.setup.retry.budget.refund()
        self._notify(Completed, completion)
        if self.setup.callbacks.on_complete is not None:
            self._call(self.setup.callbacks.on_complete, completion)

    def _left(self) -> None:
        """The program left the loop, or dropped the stream."""
        if self._accumulator.choices()[0].finish_reason is not None:
            self._notify(Completed, self._settle(self._outcome(), "complete"))
            return
        self.error = StreamCancelledError("the program left the stream before its end")
        completion = self._settle(Outcome.CANCELLED, "cancelled")
        self._attach(self.error, completion)
        self._notify(Cancelled, completion, "left")

    def end(self, error: BaseException, outcome: Outcome) -> None:
        """The stream ends by an error; the first end counts."""
        if self.final is not None:
            return
        self.error = error
        completion = self._settle(outcome, outcome.value)
        if isinstance(error, StreamingError):
            error.will_retry = False
            self._attach(error, completion)
        if outcome is Outcome.CANCELLED:
            self._notify(Cancelled, completion, getattr(error, "reason", None))
        else:
            self._notify(Failed, error, completion)

    def _settle(self, outcome: Outcome, status: str) -> Completion:
        if self._rhythm is not None:
            self._rhythm.ended = self.setup.clock.now()
        completion = self.completion(outcome)
        with self._lock:
            self.final, self.status = completion, status
        self._wake.set()
        return completion

    def _attach(self, error: StreamingError, partial: Completion) -> None:
        error.partial = partial
        error.attempts = tuple(self.records)
        error.stream_id = self.setup.stream_id

    # -- whoever is told -------------------------------------------------------------------------

    def _terms(self) -> Terms:
        setup = self.setup
        return Terms(
            transport=setup.transport,
            timeouts=setup.timeouts,
            limits=setup.limits,
            clock=setup.clock,
            deadline=self._deadline,
            stream_id=setup.stream_id,
            secrets=tuple(key for key in (setup.target.api_key,) if key),
            skip_malformed=setup.skip_malformed,
            notify=self._observe if setup.observers else None,
            on_malformed=self._on_malformed,
            on_silence=self._on_silence,
        )

    def _call(self, function: Callable[[Any], object], argument: object) -> None:
        try:
            function(argument)
        except Exception as error:
            raise _ProgramError(error) from error

    def _on_malformed(self, error: StreamingError) -> None:
        self._malformed += 1
        self._attach(error, self.completion())
        if self.setup.callbacks.on_error is not None:
            self._call(self.setup.callbacks.on_error, error)

    def _on_silence(self, seconds: float) -> None:
        """Called by the watchdog's thread, which must not run a program's code."""
        if self.setup.observers or self.setup.callbacks.on_stall is not None:
            watchdog.tell(lambda: self._tell_stall(seconds))

    def _tell_stall(self, seconds: float) -> None:
        self._notify(Stalled, seconds)
        if self.setup.callbacks.on_stall is None:
            return
        try:
            self.setup.callbacks.on_stall(seconds)
        except Exception as error:
            # The reader is blocked in the socket: it is woken and raises what was raised here.
            attempt = self._attempt
            if attempt is not None:
                attempt.scope.abort(_ProgramError(error))

    def _notify(self, kind: Callable[..., Record], *facts: Any) -> None:
        if self.setup.observers:
            self._observe(kind(self.setup.stream_id, self.setup.clock.now(), *facts))

    def _observe(self, record: Record) -> None:
        for observer in self.setup.observers:
            try:
                observer.observe(record)
            except Exception:
                self.observer_faults += 1
                logger.exception("an observer of stream %s raised", self.setup.stream_id)

    def _look_at_token(self, now: float) -> Optional[float]:
        """Called by the watchdog's thread: has the program's own cancel token been set?"""
        if self.final is not None or self.cancelled is not None:
            return None
        if self.setup.cancel.is_set():  # type: ignore[union-attr]
            self.cancel("the cancel token was set")
            return None
        return now + TOKEN_LOOK


def _sum(one: Optional[Usage], other: Optional[Usage]) -> Optional[Usage]:
    if one is None or other is None:
        return one or other
    return one.plus(other)


def _chars(call: Call) -> int:
    """Characters of what was asked, for an estimate of its tokens; images count nothing."""
    total = 0
    for message in call.messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        texts = [part.get("text") for part in parts if isinstance(part, dict)]
        total += sum(len(text) for text in texts if isinstance(text, str))
    return total
