"""Ledger: what has come of a stream so far, over all its attempts.

Here lives the adding up: the text, the records of the attempts and what they cost, the seams, the
times; and the completion of it, which any thread may ask for. How chunks come, and what is done
when they stop, is the ``run``'s.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.course import Course
from streamsafe.engine.accumulator import Accumulator, estimate_usage
from streamsafe.engine.attempt import Attempt
from streamsafe.engine.rhythm import Rhythm
from streamsafe.errors import LimitExceededError
from streamsafe.journal.base import Saved
from streamsafe.models import Attempt as AttemptRecord
from streamsafe.models import Call, Completion, Outcome, Seam, Timings, Usage
from streamsafe.setup import Route, Setup

_OUTCOMES = {
    "length": Outcome.TRUNCATED,
    "content_filter": Outcome.FILTERED,
    "refusal": Outcome.FILTERED,
}


class Ledger:
    """Kept by the reading thread; ``completion`` may be asked for by any, at any moment."""

    def __init__(self, setup: Setup, course: Course) -> None:
        self._setup = setup
        self._course = course
        self.answer = Accumulator(setup.keep)
        # Guards what the accumulator folds, which whoever asks for the completion does, too.
        self._folding = threading.RLock()
        #: None until the stream begins.
        self.rhythm: Optional[Rhythm] = None
        #: The one that is under way, or was the last; None once the stream has ended.
        self.attempt: Optional[Attempt] = None
        #: Those of the attempts that have ended.
        self.records: list[AttemptRecord] = []
        self.malformed = 0
        self._seams: list[Seam] = []
        self._state: Mapping[str, Any] = {}
        #: Who answered, as far as an attempt heard it: the route, the model, the answer's id.
        self._heard: tuple[Optional[Route], Optional[str], Optional[str]] = (None, None, None)
        self._recorded = True
        self._chars_before = 0
        self._cost: Optional[Usage] = None  # of the attempt that ended last
        self._spent: Optional[Usage] = None

    def restore(self, saved: Saved) -> None:
        """Begin where a journal says that another process was."""
        for chunk in saved.chunks:
            self.answer.add(chunk)
        self._state = saved.state
        self.records = list(saved.records)
        for record in saved.records:
            self._spent = _sum(self._spent, record.usage)

    def forked(self) -> None:
        """In a forked child: see ``forks``."""
        self._folding = threading.RLock()
        if self.attempt is not None:
            self.attempt.scope.forked()

    # -- what comes --------------------------------------------------------------------------

    def begins(self, attempt: Attempt) -> None:
        """An attempt begins, and with it what it costs."""
        self.answer.usage = None
        self._chars_before = self.written()
        self._recorded = False
        self.attempt = attempt

    def restarted(self, kept: int) -> None:
        """What was written is void, but for so many characters of what this attempt wrote."""
        self._chars_before = kept

    def fold(self) -> None:
        """Join what was gathered where it has become much."""
        with self._folding:
            self.answer.fold()

    def check_length(self, limit: int) -> None:
        """Raises LimitExceededError for a text of more characters than ``limit``."""
        with self._folding:
            chars = self.answer.text_chars
        if chars > limit:
            raise LimitExceededError("max_text_chars", chars, limit, "the text")

    def joins(self, seam: Optional[Seam]) -> bool:
        """Note where an answer was joined; False where that is known, or there is no seam."""
        if seam is None or seam in self._seams:
            return False
        self._seams.append(seam)
        return True

    def ended(self, outcome: str, error: Optional[BaseException]) -> AttemptRecord:
        """The attempt has ended: its record."""
        attempt, joint, usage = self.attempt, self._course.plan.joint, self._usage()
        assert attempt is not None  # there is one whenever an attempt has ended
        record = attempt.record(
            outcome,
            error,
            model=attempt.decoder.model or self._course.route.model,
            usage=usage,
            discarded=joint.discarded if joint is not None else 0,
        )
        self._heard = (self._course.route, *self._names())
        if self.rhythm is not None:
            self.rhythm.attempt_over(attempt.held)
        self.records.append(record)
        self._cost, self._spent, self._recorded = usage, _sum(self._spent, usage), True
        return record

    # -- what there is -----------------------------------------------------------------------

    def written(self) -> int:
        """Characters of all that the model wrote and the program was given."""
        with self._folding:
            return self.answer.output_chars()

    def verdict(self) -> Outcome:
        """Of an answer that the API calls ended."""
        return _OUTCOMES.get(self.answer.finish_reason or "", Outcome.COMPLETE)

    @property
    def state(self) -> Mapping[str, Any]:
        """What the provider keeps to go on by."""
        attempt = self.attempt
        return self._state if attempt is None else attempt.decoder.state

    def completion(self, outcome: Outcome) -> Completion:
        """What has been delivered so far."""
        ended = self._recorded and self.attempt is not None
        usage = self._cost if ended else self._usage()
        timings, route = Timings(), self._course.route
        if self.rhythm is not None:
            timings = self.rhythm.timings(self._setup.clock.now(), usage)
        attempt = self.attempt
        decoder = attempt.decoder if attempt is not None else None
        model, answer_id = self._names()
        with self._folding:
            completion = self.answer.completion(
                outcome=outcome,
                usage=usage,
                usage_total=self._spent if self._recorded else _sum(self._spent, usage),
                model=model or route.model,
                id=answer_id,
                provider=route.provider.name,
                provider_state=self.state,
                seams=tuple(self._seams),
                attempts=tuple(self.records),
                timings=timings,
                stream_id=self._setup.stream_id,
                malformed=self.malformed,
            )
        if decoder is None:
            return completion
        if decoder.failed_reason and completion.finish_reason is None:
            completion = completion.replace(
                finish_reason="error", raw_finish_reason=decoder.failed_reason
            )
        message = decoder.message(completion)
        return completion if message is None else completion.replace(message=message)

    def _names(self) -> tuple[Optional[str], Optional[str]]:
        """Model and id of the answer: an attempt that is refused takes back nothing of them."""
        route, model, answer_id = self._heard
        if route is not self._course.route:
            model = answer_id = None
        attempt = self.attempt
        if attempt is None:
            return model, answer_id
        return attempt.decoder.model or model, attempt.decoder.id or answer_id

    def _usage(self) -> Optional[Usage]:
        """What the current attempt cost: as the server says, else a guess from the lengths."""
        if self.answer.usage is not None:
            return self.answer.usage
        attempt, joint = self.attempt, self._course.plan.joint
        if attempt is None or attempt.status is None or attempt.status >= 300:
            return None  # a request that was refused costs nothing
        written = self.written() - self._chars_before
        if joint is not None:
            written += joint.discarded
        return estimate_usage(_chars(self._course.plan.call), written) if written > 0 else None


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
