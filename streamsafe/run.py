"""Run: the life of one stream, over as many attempts as it takes.

Here lives THE loop over attempts, the total deadline and the end. What an attempt does is in
``engine.attempt``; what is asked for next, and of whom, is the ``course``'s; what has come so far
is the ``ledger``'s; what the program holds in its hands is ``stream.Stream``.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Optional

from streamsafe.course import Course, Received
from streamsafe.engine import forks, watchdog
from streamsafe.engine.accumulator import FOLD
from streamsafe.engine.attempt import Attempt, Terms
from streamsafe.engine.joint import Joint
from streamsafe.engine.rhythm import Rhythm
from streamsafe.engine.timing import Deadline
from streamsafe.errors import ResumeError, StreamCancelledError, StreamingError
from streamsafe.keeper import Keeper
from streamsafe.ledger import Ledger
from streamsafe.lifecycle import (
    AttemptEnded,
    Cancelled,
    Completed,
    Failed,
    Resumed,
    Retrying,
    Started,
)
from streamsafe.models import Attempt as AttemptRecord
from streamsafe.models import CONTENT_KINDS, Chunk, Completion, Outcome
from streamsafe.notices import Notices, ProgramError
from streamsafe.setup import Route, Setup

#: How often a cancel token of the program's own kind is looked at, in seconds.
TOKEN_LOOK = 0.1


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
        self.cancelled: Optional[StreamCancelledError] = None
        # Guards cancelled, final, _wake and the ledger's attempt against each other: an attempt or
        # a wait that begins while a cancel comes must not be missed by it.
        # Reentrant: a signal's handler may cancel wherever the reader is.
        self._lock = threading.RLock()
        # Of a wait between two attempts: most streams have none.
        self._wake: Optional[threading.Event] = None
        self._notices = Notices(
            setup.stream_id, setup.clock, setup.callbacks, setup.observers, self._fail
        )
        claimed = setup.saved is not None and setup.saved.completion is None
        self._keeper = Keeper(setup.stream_id, setup.journal, setup.sink, claimed)
        self._deadline = Deadline(None, setup.clock)
        self._course = Course(setup, 0 if setup.saved is None else setup.saved.attempts)
        self.ledger = Ledger(setup, self._course)
        self._waited = 0.0
        if setup.saved is not None:
            self.ledger.restore(setup.saved)
            if setup.saved.completion is not None:
                self.final, self.status = setup.saved.completion, "complete"

    # -- from any thread ---------------------------------------------------------------------

    def cancel(self, reason: Optional[str]) -> None:
        """Have the reader leave at once; without effect on a stream that has ended."""
        with self._lock:
            if self.cancelled is not None or self.final is not None:
                return
            self.cancelled = StreamCancelledError(reason)
            attempt, begun = self.ledger.attempt, self.status != "pending"
            wake = self._wake
        if wake is not None:
            wake.set()
        if attempt is not None:
            attempt.scope.abort(self.cancelled)
        elif not begun:
            self._end(self.cancelled, Outcome.CANCELLED)

    def forked(self) -> None:
        """In a forked child: the stream is the parent's; see ``forks``."""
        self._lock, self._wake = threading.RLock(), None
        self.ledger.forked()
        if self.cancelled is None and self.final is None:
            self.cancelled = StreamCancelledError(forks.REASON)

    def _fail(self, error: ProgramError) -> None:
        attempt = self.ledger.attempt
        if attempt is not None:
            attempt.scope.abort(error)

    def completion(self) -> Completion:
        """What has been delivered so far, or the final completion."""
        pending = None if self.final else self.ledger.completion(Outcome.PENDING)
        return self.final or pending  # type: ignore[return-value]  # the final one, if it came now

    # -- the generator's body, on the reading thread -------------------------------------------

    def chunks(self) -> Generator[Chunk, None, None]:
        """The whole life of the stream, and THE loop over its attempts; runs once.

        Each chunk passes each level of generators: two here, one in the attempt, one of a joint.
        """
        try:
            self._begin()
            more = self._goes_on()
            while more:
                attempt = self._new_attempt()
                try:
                    with attempt:
                        yield from self._one(attempt)
                except BaseException as error:
                    if not self._tries_again(attempt, error):
                        raise
                else:
                    more = self._is_continued(attempt)
        except ProgramError as carrier:
            self._end(carrier.error, Outcome.FAILED)
            raise carrier.error from carrier.error.__cause__
        except BaseException as error:
            self._left_by(error)
            raise

    def _begin(self) -> None:
        setup = self.setup
        with self._lock:
            if self.cancelled is not None:
                raise self.cancelled
            self.status = "streaming"
        forks.tell(self)
        self.ledger.rhythm = Rhythm(setup.clock.now())
        self._deadline = Deadline(setup.timeouts.total, setup.clock)
        if setup.cancel is not None:
            watchdog.watch(watchdog.now(), self._look_at_token)
        route = self._course.route
        if setup.saved is None:
            settings = {"resume": setup.resume}
            self._keeper.begin(setup.call, route.provider.name, settings, setup.secrets)
        else:
            self._keeper.again(setup.saved.chunks)
        self._notices.tell(Started, setup.clock.wall(), route.provider.name, route.model)

    def _goes_on(self) -> bool:
        """Plan to go on with what a journal has, if it has anything; False if that is all."""
        if self.setup.saved is None:
            return True
        if all(choice.finish_reason for choice in self.ledger.answer.choices()):
            # The process died between the answer's end and the journal's.
            self._keeper.finish()
            self._complete(self.ledger.verdict())
            return False
        self._course.resumed(self._received(self.completion()))
        refusal = self._course.plan.refusal
        if refusal:
            raise ResumeError(f"stream {self.setup.stream_id!r} can't be gone on with: {refusal}")
        return True

    def _new_attempt(self) -> Attempt:
        route, call = self._course.route, self._course.plan.call
        request = self.setup.first if self._course.made == 0 and call is self.setup.call else None
        attempt = Attempt(
            self._terms(route),
            request or route.provider.request(call, route.target),
            route.provider,
            route.provider.decoder(call),
            self._course.made + 1,
            self._waited,
        )
        self._course.begins()
        with self._lock:
            self.ledger.begins(attempt)
            cancelled = self.cancelled
        if cancelled is not None:
            raise cancelled
        self.status = "streaming"
        return attempt

    def _terms(self, route: Route) -> Terms:
        setup = self.setup
        return Terms(
            transport=route.transport,
            timeouts=setup.timeouts,
            limits=setup.limits,
            clock=setup.clock,
            deadline=self._deadline,
            stream_id=setup.stream_id,
            secrets=route.target.secrets,
            skip_malformed=setup.skip_malformed,
            notify=self._notices.record,
            on_malformed=self._on_malformed,
            on_silence=self._notices.stall,
        )

    def _one(self, attempt: Attempt) -> Iterator[Chunk]:
        """One attempt's chunks: joined, gathered, told, handed out. The hot loop."""
        ledger, keeper, rhythm = self.ledger, self._keeper, self.ledger.rhythm
        accumulator = ledger.answer
        on_token, limit = self.setup.callbacks.on_token, self.setup.limits.max_text_chars
        text, joint = accumulator.first_text, self._course.plan.joint
        add, pieces = text.add, text.pieces
        for chunks in attempt.chunks() if joint is None else self._joined(attempt, joint):
            if keeper.keeps:
                keeper.chunks(chunks, attempt.decoder.state)
            if attempt.brought_content:
                rhythm.content(attempt.read_at, attempt.held)  # type: ignore[union-attr]
                if joint is None:
                    self._course.progress()
            for chunk in chunks:
                if chunk[0] == "text" and not chunk[6]:
                    add(chunk[1])
                    accumulator.has_content = True
                else:
                    accumulator.add(chunk)
                    if chunk[0] == "restart":
                        text = accumulator.first_text
                        add, pieces = text.add, text.pieces
                        ledger.restarted(joint.kept if joint is not None else 0)
                if on_token is not None and chunk[1]:
                    self._notices.call(on_token, chunk[1])
                yield chunk
                if self.cancelled is not None:
                    raise self.cancelled
            if len(pieces) >= FOLD or chunks[-1:] and chunks[-1][0] != "text":
                ledger.fold()
            if limit is not None:
                ledger.check_length(limit)

    def _joined(self, attempt: Attempt, joint: Joint) -> Iterator[list[Chunk]]:
        """The attempt's lists as the program is to see them; what it had is no progress."""
        for chunks in attempt.chunks():
            chunks = joint.feed(chunks)
            self._note_seam(joint)
            if any(chunk.kind in CONTENT_KINDS for chunk in chunks):
                self._course.progress()
            yield chunks
        if attempt.decoder.continuation is None:
            yield joint.end()
            self._note_seam(joint)

    def _note_seam(self, joint: Joint) -> None:
        if self.ledger.joins(joint.seam):
            self._notices.tell(Resumed, joint.seam)

    # -- after an attempt ------------------------------------------------------------------------

    def _tries_again(self, attempt: Attempt, error: BaseException) -> bool:
        """An attempt was ended by this; False if the stream is, too. It is not raised here: what
        is raised in a frame that knows it waits for the collector, with a dropped stream."""
        if isinstance(error, StreamCancelledError):
            self._record("cancelled", error)
            return False
        if isinstance(error, StreamingError):
            return self._after(error)
        left = isinstance(error, GeneratorExit)
        whole = left and attempt.decoder.finished
        self._record("complete" if whole else "cancelled", None if left else error)
        return False

    def _is_continued(self, attempt: Attempt) -> bool:
        """The answer's end, or that of a part of it: then the next is planned."""
        continuation = attempt.decoder.continuation
        if continuation is not None:
            self._record("complete")
            self._waited = 0.0
            self._course.follow(continuation, self.ledger.written())
            return True
        verdict = self.ledger.verdict()
        self._record(verdict.value)
        self._keeper.finish()
        self._complete(verdict)
        return False

    def _after(self, error: StreamingError) -> bool:
        """Decide, tell, wait: the plan is then that of the next attempt. False: no other."""
        callbacks = self.setup.callbacks
        partial = error.partial = self.completion()
        decision = self._course.after(error, self._received(partial), self._deadline)
        error.will_retry = decision.retry
        if error.retryable and not decision.retry:
            error.given_up = decision.reason
        record = self._record("failed", error)
        self._attach(error, partial)
        self._notices.call(callbacks.on_error, error)
        if not decision.retry:
            return False
        self._course.go_on()
        number = self._course.made + 1
        self._notices.tell(Retrying, number, error, decision.delay, decision.reason)
        self._notices.call(callbacks.on_retry, record)
        self._wait(decision.delay)
        return True

    def _received(self, partial: Completion) -> Received:
        """For the next plan."""
        if self.setup.resume != "never":
            partial = self._keeper.recalled(partial)
        return Received(partial, self.ledger.answer.has_content, self.ledger.written())

    def _wait(self, seconds: float) -> None:
        self.status = "retrying"
        began = self.setup.clock.now()
        with self._lock:
            wake = self._wake = threading.Event()
            if self.cancelled is not None:
                raise self.cancelled
        if seconds > 0:
            self.setup.clock.sleep(seconds, wake)
        if self.cancelled is not None:
            raise self.cancelled
        self._waited = self.setup.clock.now() - began

    def _record(self, outcome: str, error: Optional[BaseException] = None) -> AttemptRecord:
        record = self.ledger.ended(outcome, error)
        self._keeper.attempt(record, self.ledger.state)
        self._notices.tell(AttemptEnded, record)
        return record

    # -- ends ----------------------------------------------------------------------------------

    def _complete(self, outcome: Outcome) -> None:
        completion = self._settle(outcome, "complete")
        if self.setup.retry.budget is not None:
            self.setup.retry.budget.refund()
        self._notices.tell(Completed, completion)
        self._notices.call(self.setup.callbacks.on_complete, completion)

    def _left_by(self, error: BaseException) -> None:
        """The generator is over, by this."""
        dropped = isinstance(error, GeneratorExit)
        if dropped and self.ledger.answer.finish_reason is not None:
            self._notices.tell(Completed, self._settle(self.ledger.verdict(), "complete"))
        elif isinstance(error, Exception):  # a hook's of the program's, a provider's, ours, too
            cancelled = isinstance(error, StreamCancelledError)
            self._end(error, Outcome.CANCELLED if cancelled else Outcome.FAILED)
        else:
            # Or KeyboardInterrupt and the like: the program wants out, the answer did not fail.
            how = "the program left the stream before its end"
            left = how if dropped else f"left by {type(error).__name__}"
            self._end(StreamCancelledError(left), Outcome.CANCELLED)

    def _end(self, error: BaseException, outcome: Outcome) -> None:
        """The stream ends by an error; the first end counts."""
        with self._lock:
            if self.error is not None or self.final is not None:
                return
            self.error = error
        completion = self._settle(outcome, outcome.value)
        if isinstance(error, StreamingError):
            error.will_retry = False
            self._attach(error, completion)
        if outcome is Outcome.CANCELLED:
            self._notices.tell(Cancelled, completion, getattr(error, "reason", None))
        else:
            self._notices.tell(Failed, error, completion)

    def _settle(self, outcome: Outcome, status: str) -> Completion:
        rhythm = self.ledger.rhythm
        if rhythm is not None:
            rhythm.ended = self.setup.clock.now()
        completion = self.ledger.completion(outcome)
        with self._lock:
            self.final, self.status = completion, status
        # It knows this run: a stream that is dropped shall be gone, not wait for the collector.
        self.ledger.attempt = None
        if rhythm is not None:
            self._keeper.end(completion, status, self.error)
        else:
            self._keeper.leave()
        return completion

    def _attach(self, error: StreamingError, partial: Completion) -> None:
        error.partial = partial
        error.attempts = tuple(self.ledger.records)
        error.stream_id = self.setup.stream_id

    def _on_malformed(self, error: StreamingError) -> None:
        self.ledger.malformed += 1
        self._attach(error, self.completion())
        self._notices.call(self.setup.callbacks.on_error, error)

    def _look_at_token(self, now: float) -> Optional[float]:
        """Called by the watchdog's thread: has the program's own cancel token been set?"""
        if self.final is not None or self.cancelled is not None:
            return None
        if self.setup.cancel.is_set():  # type: ignore[union-attr]
            self.cancel("the cancel token was set")
            return None
        return now + TOKEN_LOOK
