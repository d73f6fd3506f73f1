"""Course: what a stream asks for next, and of whom.

Here lives what is remembered from attempt to attempt for that decision: the routes that are left,
the plan of the current attempt, how many failures came in a row, what the server has let go, and
which part of an answer of several parts is asked for. The decisions are ``engine.retry``'s and
``engine.resume``'s; what an attempt brings is the ``run``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.engine import resume
from streamsafe.engine.retry import Decision
from streamsafe.engine.timing import Deadline
from streamsafe.errors import (
    APIError,
    ConfigurationError,
    IncompleteStreamError,
    LimitExceededError,
    StreamingError,
    StreamTimeoutError,
)
from streamsafe.models import Completion
from streamsafe.setup import Route, Setup

#: A server that has let the events go is asked whether the answer is done after 1 s, 2 s, 4 s ...
#: and then every 15 s (OpenAI's own example polls every 2 s), for an hour: a deep research takes
#: half of one.
POLL_BASE, POLL_CAP, POLL_LONGEST = 1.0, 15.0, 3600.0

#: Rungs of what the server keeps of one answer.
KEPT = ("cursor", "poll")


class Received(NamedTuple):
    """What the program has of the answer: the completion, whether anything of it is content, and
    how many characters the model wrote."""

    partial: Completion
    has_content: bool
    chars: int


class Course:
    """The course of one stream. Used by the reading thread; ``route`` may be read by any."""

    def __init__(self, setup: Setup, made: int = 0) -> None:
        self._setup = setup
        self._routes = setup.routes
        self.plan = resume.Plan(setup.call)
        #: Attempts so far, those of an earlier process included, which are not the policy's.
        self.made = self._before = made
        self._failures = 0
        self._polls = 0
        self._polled = 0.0  # seconds that were waited between them
        self._undone = 0  # attempts that found the server still at it: no policy's either
        self._lapsed: set[str] = set()  # rungs that the server has let go, for this answer alone
        self._part: Optional[resume.Plan] = None  # of an answer of several, that asked for now
        self._part_begins = 0
        self._next: Optional[tuple[tuple[Route, ...], resume.Plan]] = None

    @property
    def route(self) -> Route:
        """Whom the current attempt asks."""
        return self._routes[0]

    @property
    def _own(self) -> int:
        return self.made - self._before - self._undone

    def resumed(self, received: Received) -> None:
        """Plan the first attempt behind what a journal has; the plan may be a refusal."""
        self.plan = self._planned(self._routes, received)
        if self.plan.refusal and self._setup.resume == "continue":
            fallen = self._fallen_back(received)
            if fallen is not None:
                self._routes, self.plan, _ = fallen

    def begins(self) -> None:
        """An attempt by the plan begins."""
        self.made += 1
        if self.plan.how not in KEPT:
            self._lapsed.clear()  # the server begins, and keeps, an answer anew
            self._polls, self._polled = 0, 0.0

    def progress(self) -> None:
        """Content came that the program did not have."""
        self._failures = 0

    def after(self, error: StreamingError, received: Received, deadline: Deadline) -> Decision:
        """Whether there is to be another attempt; ``go_on`` takes that course."""
        routes, plan, decision = self._decided(error, received, deadline)
        self._next = (routes, plan) if decision.retry else None
        return decision

    def go_on(self) -> None:
        """Take the course that was decided on."""
        if self._next is not None:
            self._routes, self.plan = self._next

    def follow(self, continuation: Mapping[str, Any], chars: int) -> None:
        """The API itself says that the answer goes on in another request."""
        extra = {**self.plan.call.extra, **continuation}
        # What is left to compare with an answer before, is left to the next part.
        self.plan = self._part = resume.Plan(
            self.plan.call.replace(extra=extra), self.plan.joint, how="follow"
        )
        self._part_begins = chars
        most = self._setup.retry.max_attempts
        if self._own >= most:
            raise LimitExceededError(
                "max_attempts", self._own + 1, most, "the answer", "RetryPolicy"
            )

    # -- the decision ------------------------------------------------------------------------

    def _decided(
        self, error: StreamingError, received: Received, deadline: Deadline
    ) -> tuple[tuple[Route, ...], resume.Plan, Decision]:
        """Mend, switch the rung, ask again, or fall back."""
        routes = self._routes
        if self._was_barred(error):
            plan = self._planned(routes, received)
            why = "the model refuses to be continued so"
            return routes, plan, Decision(not plan.refusal, 0.0, why)
        plan = self._planned(routes, received)
        wait = min(POLL_CAP, POLL_BASE * 2**self._polls)
        if self._may_ask_again(error, wait, deadline):
            self._polls += 1
            self._polled += wait
            self._undone += 1
            return routes, plan, Decision(True, wait, "the server is still at it")
        self._failures += 1
        decision = Decision(False, 0.0, plan.refusal)
        if not plan.refusal:
            decision = self._setup.retry.decide(
                error,
                failures=self._failures,
                attempts=self._own,
                elapsed=deadline.elapsed(),
                remaining=deadline.remaining(),
                random=self._setup.random,
            )
        if not decision.retry and self._may_fall_back(error, received):
            return self._fallen_back(received) or (routes, plan, decision)
        return routes, plan, decision

    def _planned(self, routes: tuple[Route, ...], received: Received) -> resume.Plan:
        if self._part is not None and received.chars == self._part_begins:
            return self._part  # nothing came of it yet
        route = routes[0]
        refused = {rung for model, rung in route.barred if model == route.model}
        return resume.plan(
            self._setup.resume,
            self._setup.asked(route),
            received.partial,
            received.has_content,
            route.provider,
            self.made + 1,
            frozenset(self._lapsed | refused),
        )

    def _was_barred(self, error: StreamingError) -> bool:
        """The server refused the way of going on itself: that is learnt, and is no failure."""
        how = self.plan.how
        if isinstance(error, APIError) and error.in_stream:
            self._lapsed.update(KEPT)  # what the server keeps is the failure
        if how not in (*KEPT, "prefill") or not isinstance(error, APIError):
            return False
        if error.in_stream or error.status not in (400, 404, 410, 422):
            return False
        if how == "prefill":
            self.route.barred.add((self.route.model, how))
        else:
            self._lapsed.add(how)
        return True

    def _may_ask_again(self, error: StreamingError, wait: float, deadline: Deadline) -> bool:
        """The whole answer was asked for, and there is none yet: no failure either."""
        if self.plan.how != "poll" or not isinstance(error, IncompleteStreamError):
            return False
        left = deadline.remaining()
        return self._polled + wait <= POLL_LONGEST and (left is None or wait < left)

    def _may_fall_back(self, error: StreamingError, received: Received) -> bool:
        if isinstance(error, (LimitExceededError, ConfigurationError)):
            return False
        if isinstance(error, StreamTimeoutError) and error.clock == "total":
            return False
        return not received.has_content or self._setup.resume == "continue"

    def _fallen_back(
        self, received: Received
    ) -> Optional[tuple[tuple[Route, ...], resume.Plan, Decision]]:
        """The first of the other routes that can take the answer on; None if there is none."""
        for place in range(1, len(self._routes)):
            self._failures, self._part = 0, None
            routes = self._routes[place:]
            plan = self._planned(routes, received)
            if not plan.refusal:
                why = f"fallback: {routes[0].provider.name}"
                return routes, plan, Decision(True, 0.0, why)
        return None
