"""Run: the life of one stream, over as many attempts as it takes.

Here lives THE loop over attempts: retry, resume, fallbacks, the total deadline and the verdict.
What an attempt does is in ``engine.attempt``; the decisions are taken by ``engine.retry`` and
``engine.resume``; what the program holds in its hands is ``stream.Stream``.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Optional

from streamsafe.engine import resume, watchdog
from streamsafe.engine.accumulator import FOLD, Accumulator, estimate_usage
from streamsafe.engine.attempt import Attempt, Terms
from streamsafe.engine.joint import Joint
from streamsafe.engine.retry import Decision
from streamsafe.engine.rhythm import Rhythm
from streamsafe.engine.timing import Deadline
from streamsafe.errors import (
    APIError,
    ConfigurationError,
    IncompleteStreamError,
    LimitExceededError,
    ResumeError,
    StreamCancelledError,
    StreamingError,
    StreamTimeoutError,
)
from streamsafe.journal.base import Saved
from streamsafe.keeper import Keeper
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
from streamsafe.notices import Notices, ProgramError
from streamsafe.setup import Route, Setup

#: A server that has let the events go is asked whether the answer is done after 1 s, 2 s, 4 s ...
#: and then every 15 s: OpenAI's own example polls every 2 s, and an attempt is an attempt.
POLL_BASE, POLL_CAP = 1.0, 15.0

#: Rungs of what the server keeps of one answer.
KEPT = ("cursor", "poll")

#: How often a cancel token of the program's own kind is looked at, in seconds.
TOKEN_LOOK = 0.1

_OUTCOMES = {
    "length": Outcome.TRUNCATED,
    "content_filter": Outcome.FILTERED,
    "refusal": Outcome.FILTERED,
}


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
        self.cancelled: Optional[StreamCancelledError] = None
        # Guards cancelled, _attempt and final against each other: an attempt that begins
        # while a cancel comes must not be missed by it.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._notices = Notices(
            setup.stream_id, setup.clock, setup.callbacks, setup.observers, self._fail
        )
        claimed = setup.saved is not None and setup.saved.completion is None
        self._keeper = Keeper(setup.stream_id, setup.journal, setup.sink, claimed)
        self._accumulator = Accumulator(setup.keep)
        # Guards what the accumulator folds, which whoever asks for the completion does, too.
        self._folding = threading.Lock()
        self._rhythm: Optional[Rhythm] = None
        self._deadline = Deadline(None, setup.clock)
        self._routes = list(setup.routes)
        self._plan = resume.Plan(setup.call)
        self._made = 0  # attempts, those of an earlier process included
        self._state: Mapping[str, Any] = {}
        self._attempt: Optional[Attempt] = None
        self._recorded = True
        self._chars_before = 0
        self._waited = 0.0
        self._failures = 0
        self._polls = 0
        self._hop: Optional[resume.Plan] = None  # the part of an answer that is asked for now
        self._hop_chars = 0
        self._lapsed: set[str] = set()  # rungs that the server has let go, for this answer alone
        self._malformed = 0
        self._seams: list[Seam] = []
        self._spent: Optional[Usage] = None
        if setup.saved is not None:
            self._restore(setup.saved)

    def _restore(self, saved: Saved) -> None:
        """Begin where a journal says that another process was."""
        for chunk in saved.chunks:
            self._accumulator.add(chunk)
        self._made, self._state = saved.attempts, saved.state
        self.records = list(saved.records)
        for record in saved.records:
            self._spent = _sum(self._spent, record.usage)
        if saved.completion is not None:
            self.final, self.status = saved.completion, "complete"

    # -- from any thread ---------------------------------------------------------------------

    def cancel(self, reason: Optional[str]) -> None:
        """Have the reader leave at once; without effect on a stream that has ended."""
        with self._lock:
            if self.cancelled is not None or self.final is not None:
                return
            self.cancelled = StreamCancelledError(reason)
            attempt, begun = self._attempt, self.status != "pending"
        self._wake.set()
        if attempt is not None:
            attempt.scope.abort(self.cancelled)
        elif not begun:
            self._end(self.cancelled, Outcome.CANCELLED)

    def _fail(self, error: ProgramError) -> None:
        attempt = self._attempt
        if attempt is not None:
            attempt.scope.abort(error)

    def completion(self, outcome: Outcome = Outcome.PENDING) -> Completion:
        """What has been delivered so far, or the final completion."""
        if self.final is not None:
            return self.final
        usage, timings = self._usage(), Timings()
        if self._rhythm is not None:
            timings = self._rhythm.timings(self.setup.clock.now(), usage)
        decoder = self._attempt.decoder if self._attempt is not None else None
        with self._folding:
            completion = self._accumulator.completion(
                outcome=outcome,
                usage=usage,
                usage_total=self._spent if self._recorded else _sum(self._spent, usage),
                model=(decoder and decoder.model) or self._route.model,
                id=decoder and decoder.id,
                provider=self._route.provider.name,
                provider_state=self._state if decoder is None else decoder.state,
                seams=tuple(self._seams),
                attempts=tuple(self.records),
                timings=timings,
                stream_id=self.setup.stream_id,
                malformed=self._malformed,
            )
        message = decoder.message(completion) if decoder is not None else None
        return completion if message is None else completion.replace(message=message)

    @property
    def _route(self) -> Route:
        return self._routes[0]

    def _usage(self) -> Optional[Usage]:
        """What the current attempt cost: as the server says, else a guess from the lengths."""
        if self._accumulator.usage is not None:
            return self._accumulator.usage
        attempt, joint = self._attempt, self._plan.joint
        if attempt is None or attempt.status is None or attempt.status >= 300:
            return None  # a request that was refused costs nothing
        written = self._written() - self._chars_before
        if joint is not None:
            written += joint.discarded
        return estimate_usage(_chars(self._plan.call), written) if written > 0 else None

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
            self._end(error, Outcome.CANCELLED)
            raise
        except StreamingError as error:
            self._end(error, Outcome.FAILED)
            raise
        except ProgramError as carrier:
            self._end(carrier.error, Outcome.FAILED)
            raise carrier.error from carrier.error.__cause__
        except BaseException as error:
            # KeyboardInterrupt and the like: the program wants out, the answer did not fail.
            left = StreamCancelledError(f"left by {type(error).__name__}")
            self._end(left, Outcome.CANCELLED)
            raise

    def _begin(self) -> None:
        setup = self.setup
        with self._lock:
            if self.cancelled is not None:
                raise self.cancelled
            self.status = "streaming"
        self._rhythm = Rhythm(setup.clock.now())
        self._deadline = Deadline(setup.timeouts.total, setup.clock)
        if setup.cancel is not None:
            watchdog.watch(watchdog.now(), self._look_at_token)
        route, saved = self._route, setup.saved
        if saved is None:
            keys = [route.target.api_key for route in self._routes if route.target.api_key]
            self._keeper.begin(setup.call, route.provider.name, {"resume": setup.resume}, keys)
        self._notices.tell(Started, setup.clock.wall(), route.provider.name, route.model)

    def _attempts(self) -> Iterator[Chunk]:
        """THE loop: an attempt, its failure, the decision, the wait, and the next."""
        if self.setup.saved is not None:
            if all(choice.finish_reason for choice in self._accumulator.choices()):
                # The process died between the answer's end and the journal's.
                self._complete(self._outcome())
                return
            self._plan = self._planned(self.completion(), self._made + 1)
            if self._plan.refusal:
                raise ResumeError(
                    f"stream {self.setup.stream_id!r} can't be gone on with: {self._plan.refusal}"
                )
        while True:
            attempt = self._new_attempt()
            try:
                yield from self._one(attempt)
            except StreamCancelledError as error:
                self._record("cancelled", error)
                raise
            except StreamingError as error:
                self._after(error)
                continue
            except BaseException as error:
                left = isinstance(error, GeneratorExit)
                whole = left and attempt.decoder.finished
                self._record("complete" if whole else "cancelled", None if left else error)
                raise
            if attempt.decoder.continuation is None:
                break
            self._follow(attempt)
        verdict = self._outcome()
        self._record(verdict.value)
        self._keeper.finish()
        self._complete(verdict)

    def _new_attempt(self) -> Attempt:
        route, call = self._route, self._plan.call
        attempt = Attempt(
            self._terms(route),
            route.provider.request(call, route.target),
            route.provider,
            route.provider.decoder(call),
            self._made + 1,
            self._waited,
        )
        self._made += 1
        if self._plan.how not in KEPT:
            self._lapsed.clear()  # the server begins, and keeps, an answer anew
            self._polls = 0
        self._accumulator.usage = None
        self._chars_before = self._written()
        self._recorded = False
        with self._lock:
            self._attempt = attempt
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
            secrets=(route.target.api_key,) if route.target.api_key else (),
            skip_malformed=setup.skip_malformed,
            notify=self._notices.record,
            on_malformed=self._on_malformed,
            on_silence=self._notices.stall,
        )

    def _one(self, attempt: Attempt) -> Iterator[Chunk]:
        """One attempt's chunks: joined, gathered, told, handed out. The hot loop."""
        rhythm, accumulator, keeper = self._rhythm, self._accumulator, self._keeper
        on_token, limit = self.setup.callbacks.on_token, self.setup.limits.max_text_chars
        text, joint = accumulator.first_text, self._plan.joint
        add, pieces = text.add, text.pieces
        for chunks in attempt.chunks() if joint is None else self._joined(attempt, joint):
            if keeper.keeps:
                keeper.chunks(chunks, attempt.decoder.state)
            if attempt.brought_content:
                rhythm.content(attempt.read_at, attempt.held)  # type: ignore[union-attr]
                if joint is None:
                    self._failures = 0
            for chunk in chunks:
                if chunk[0] == "text" and not chunk[6]:
                    add(chunk[1])
                    accumulator.has_content = True
                else:
                    accumulator.add(chunk)
                    if chunk[0] == "restart":
                        text = accumulator.first_text
                        add, pieces = text.add, text.pieces
                        self._chars_before = 0
                if on_token is not None and chunk[1]:
                    self._notices.call(on_token, chunk[1])
                yield chunk
                if self.cancelled is not None:
                    raise self.cancelled
            if len(pieces) >= FOLD or chunks[-1:] and chunks[-1][0] != "text":
                with self._folding:
                    accumulator.fold()
            if limit is not None:
                self._check_length(limit)

    def _check_length(self, limit: int) -> None:
        with self._folding:
            chars = self._accumulator.text_chars
        if chars > limit:
            raise LimitExceededError("max_text_chars", chars, limit, "the text")

    def _written(self) -> int:
        """Characters of all that the model wrote and the program was given."""
        with self._folding:
            return self._accumulator.output_chars()

    def _joined(self, attempt: Attempt, joint: Joint) -> Iterator[list[Chunk]]:
        """The attempt's lists as the program is to see them; what it had is no progress."""
        for chunks in attempt.chunks():
            chunks = joint.feed(chunks)
            self._note_seam(joint)
            if any(chunk.kind in CONTENT_KINDS for chunk in chunks):
                self._failures = 0
            yield chunks
        if attempt.decoder.continuation is None:
            yield joint.end()
            self._note_seam(joint)

    def _note_seam(self, joint: Joint) -> None:
        if joint.seam is not None and joint.seam not in self._seams:
            self._seams.append(joint.seam)
            self._notices.tell(Resumed, joint.seam)

    # -- after an attempt ------------------------------------------------------------------------

    def _after(self, error: StreamingError) -> None:
        """Decide, tell, wait: the plan is then that of the next attempt; or raise the error."""
        callbacks = self.setup.callbacks
        number = self._made + 1
        error.partial = partial = self.completion()
        plan, decision = self._next(error, partial, number)
        error.will_retry = decision.retry
        record = self._record("failed", error)
        self._attach(error, partial)
        self._notices.call(callbacks.on_error, error)
        if not decision.retry:
            raise error
        self._plan = plan
        self._notices.tell(Retrying, number, error, decision.delay, decision.reason)
        self._notices.call(callbacks.on_retry, record)
        self._wait(decision.delay)

    def _next(
        self, error: StreamingError, partial: Completion, number: int
    ) -> tuple[resume.Plan, Decision]:
        """The way on and whether it is taken: mend, switch the rung, or fall back."""
        setup = self.setup
        if self._was_barred(error):
            plan = self._planned(partial, number)
            return plan, Decision(not plan.refusal, 0.0, "the model refuses to be continued so")
        plan = self._planned(partial, number)
        wait = min(POLL_CAP, POLL_BASE * 2**self._polls)
        if self._may_ask_again(error, wait):
            self._polls += 1
            return plan, Decision(True, wait, "the server is still at it")
        self._failures += 1
        decision = Decision(False, 0.0, plan.refusal)
        if not plan.refusal:
            decision = setup.retry.decide(
                error,
                failures=self._failures,
                attempts=self._made,
                elapsed=self._deadline.elapsed(),
                remaining=self._deadline.remaining(),
                random=setup.random,
            )
        if not decision.retry and self._may_fall_back(error):
            fallen = self._fall_back(partial, number)
            if fallen is not None:
                return fallen, Decision(True, 0.0, f"fallback: {self._route.provider.name}")
        return plan, decision

    def _planned(self, partial: Completion, number: int) -> resume.Plan:
        if self._hop is not None and self._written() == self._hop_chars:
            return self._hop  # nothing came of it yet
        route, model = self._route, self._route.model
        return resume.plan(
            self.setup.resume,
            (route.call or self.setup.call).replace(model=model),
            partial,
            self._accumulator.has_content,
            route.provider,
            number,
            frozenset(self._lapsed.union(rung for name, rung in route.barred if name == model)),
        )

    def _was_barred(self, error: StreamingError) -> bool:
        """The server refused the way of going on itself: that is learnt, and is no failure."""
        how = self._plan.how
        if isinstance(error, APIError) and error.in_stream:
            self._lapsed.update(KEPT)  # what the server keeps is the failure
        if how not in (*KEPT, "prefill") or not isinstance(error, APIError):
            return False
        if error.in_stream or error.status not in (400, 404, 410, 422):
            return False
        if how == "prefill":
            self._route.barred.add((self._route.model, how))
        else:
            self._lapsed.add(how)
        return True

    def _may_ask_again(self, error: StreamingError, wait: float) -> bool:
        """The whole answer was asked for, and there is none yet: no failure either."""
        if self._plan.how != "poll" or not isinstance(error, IncompleteStreamError):
            return False
        left = self._deadline.remaining()
        return self._made < self.setup.retry.max_attempts and (left is None or wait < left)

    def _may_fall_back(self, error: StreamingError) -> bool:
        if len(self._routes) < 2 or isinstance(error, (LimitExceededError, ConfigurationError)):
            return False
        if isinstance(error, StreamTimeoutError) and error.clock == "total":
            return False
        return not self._accumulator.has_content or self.setup.resume == "continue"

    def _fall_back(self, partial: Completion, number: int) -> Optional[resume.Plan]:
        """The plan for the next route that can take the answer on; None if there is none."""
        while len(self._routes) > 1:
            del self._routes[0]
            self._failures, self._hop = 0, None
            plan = self._planned(partial, number)
            if not plan.refusal:
                return plan
        return None

    def _follow(self, attempt: Attempt) -> None:
        """The API itself says that the answer goes on in another request."""
        self._record("complete")
        extra = {**self._plan.call.extra, **(attempt.decoder.continuation or {})}
        # What is left to compare with an answer before, is left to the next part.
        self._plan = self._hop = resume.Plan(
            self._plan.call.replace(extra=extra), self._plan.joint, how="follow"
        )
        self._hop_chars = self._written()
        self._waited = 0.0
        if self._made >= self.setup.retry.max_attempts:
            raise LimitExceededError(
                "max_attempts",
                self._made + 1,
                self.setup.retry.max_attempts,
                "the answer",
                "RetryPolicy",
            )

    def _wait(self, seconds: float) -> None:
        self.status = "retrying"
        began = self.setup.clock.now()
        if seconds > 0 and self.cancelled is None:
            self.setup.clock.sleep(seconds, self._wake)
        if self.cancelled is not None:
            raise self.cancelled
        self._waited = self.setup.clock.now() - began

    def _record(self, outcome: str, error: Optional[BaseException] = None) -> AttemptRecord:
        attempt, joint, usage = self._attempt, self._plan.joint, self._usage()
        assert attempt is not None  # there is one whenever an attempt has ended
        record = attempt.record(
            outcome,
            error,
            model=attempt.decoder.model or self._route.model,
            usage=usage,
            discarded=joint.discarded if joint is not None else 0,
        )
        if self._rhythm is not None:
            self._rhythm.attempt_over(attempt.held)
        self.records.append(record)
        self._spent, self._recorded = _sum(self._spent, usage), True
        self._keeper.attempt(record, attempt.decoder.state)
        self._notices.tell(AttemptEnded, record)
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
        self._notices.tell(Completed, completion)
        self._notices.call(self.setup.callbacks.on_complete, completion)

    def _left(self) -> None:
        """The program left the loop, or dropped the stream."""
        if self._accumulator.choices()[0].finish_reason is not None:
            self._notices.tell(Completed, self._settle(self._outcome(), "complete"))
            return
        error = StreamCancelledError("the program left the stream before its end")
        self._end(error, Outcome.CANCELLED)

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
        if self._rhythm is not None:
            self._rhythm.ended = self.setup.clock.now()
        completion = self.completion(outcome)
        with self._lock:
            self.final, self.status = completion, status
        self._wake.set()
        if self._rhythm is not None:
            self._keeper.end(completion, status, self.error)
        else:
            self._keeper.leave()
        return completion

    def _attach(self, error: StreamingError, partial: Completion) -> None:
        error.partial = partial
        error.attempts = tuple(self.records)
        error.stream_id = self.setup.stream_id

    def _on_malformed(self, error: StreamingError) -> None:
        self._malformed += 1
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
