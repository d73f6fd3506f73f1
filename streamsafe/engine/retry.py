"""Retry: whether to try again, and after how long. Pure: history in, decision out.

Here live the policy, the budget and the decision. Nothing here sleeps, connects or knows an
API: an error says by ``retryable`` and ``retry_after`` what its status meant.

The backoff before retry n (0, 1, …) is, with full jitter, a random number between 0 and
``min(cap, base * multiplier ** n)``; full jitter spreads a crowd of clients best
(Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Callable, NamedTuple, Optional

from streamsafe.engine import forks
from streamsafe.errors import ConfigurationError, StreamingError
from streamsafe.models import Frozen


class Decision(NamedTuple):
    """``retry`` or not, after ``delay`` seconds, and why in a few words."""

    retry: bool
    delay: float
    reason: str


class RetryBudget:
    """A token bucket that many sessions and threads share, against retry storms.

    Every retry takes one token; every finished stream gives back ``refund`` of one; besides,
    ``per_second`` tokens come back with time. Empty, nothing is retried. The defaults let a tenth
    of the traffic be retries once the first ``tokens`` are used up, as Finagle's and gRPC's
    budgets do. Thread-safe; pickles to a full bucket.
    """

    def __init__(
        self,
        tokens: float = 10.0,
        refund: float = 0.1,
        per_second: float = 0.0,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("tokens", tokens), ("refund", refund), ("per_second", per_second)):
            _check_number("RetryBudget", name, value, least=0.0)
        self._settings = (tokens, refund, per_second)
        self._now = now
        self._lock = threading.Lock()  # guards _left and _filled
        self._left = float(tokens)
        self._filled = now()
        forks.tell(self)

    def forked(self) -> None:
        """In a forked child, which has a bucket of its own: see ``forks``."""
        self._lock = threading.Lock()

    @property
    def remaining(self) -> float:
        """Tokens left at this moment."""
        with self._lock:
            self._refill()
            return self._left

    def take(self) -> bool:
        """Take a token for one retry; False if there is none."""
        with self._lock:
            self._refill()
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True

    def refund(self) -> None:
        """A stream ended well: put a part of a token back."""
        with self._lock:
            self._refill()
            self._left = min(self._settings[0], self._left + self._settings[1])

    def _refill(self) -> None:
        now = self._now()
        gained = (now - self._filled) * self._settings[2]
        self._left = min(self._settings[0], self._left + gained)
        self._filled = now

    def __reduce__(self) -> tuple[type, tuple[float, ...]]:
        return (RetryBudget, self._settings)


class RetryPolicy(Frozen):
    """When to try again; seconds where not said otherwise.

    ``max_retries`` (0 or more) counts consecutive failures without progress: 3 is at most four
    requests without a token; content sets the count back. ``max_attempts`` (1 or more) bounds the
    whole. ``base``, ``multiplier`` and ``cap`` make the backoff; ``jitter`` is "full" (default),
    "equal" (half fixed, half random) or "none". A server's Retry-After goes before the backoff,
    unless it is longer than ``max_retry_after`` (None = no bound): then the error is raised and
    carries it. ``max_elapsed`` bounds the time from the first request to the start of a retry.
    ``budget`` is a RetryBudget to share. Raises ConfigurationError for values out of range.
    """

    # The SDKs of OpenAI and Anthropic back off from 0.5 s up to 8 s as well; they retry twice.
    __slots__ = (
        "max_retries", "base", "cap", "multiplier", "jitter", "max_retry_after",
        "max_elapsed", "budget", "max_attempts",
    )  # fmt: skip

    max_retries: int
    base: float
    cap: float
    multiplier: float
    jitter: str
    max_retry_after: Optional[float]
    max_elapsed: Optional[float]
    budget: Optional[RetryBudget]
    max_attempts: int

    def __init__(
        self,
        max_retries: int = 3,
        base: float = 0.5,
        cap: float = 8.0,
        multiplier: float = 2.0,
        jitter: str = "full",
        max_retry_after: Optional[float] = 60.0,
        max_elapsed: Optional[float] = None,
        budget: Optional[RetryBudget] = None,
        max_attempts: int = 10,
    ) -> None:
        _check_count("max_retries", max_retries, least=0)
        _check_count("max_attempts", max_attempts, least=1)
        _check_number("RetryPolicy", "base", base, least=0.0)
        _check_number("RetryPolicy", "cap", cap, least=0.0)
        _check_number("RetryPolicy", "multiplier", multiplier, least=1.0)
        for name, value in (("max_retry_after", max_retry_after), ("max_elapsed", max_elapsed)):
            if value is not None:
                _check_number("RetryPolicy", name, value, least=0.0)
        if jitter not in ("full", "equal", "none"):
            raise ConfigurationError(
                f"RetryPolicy(jitter={jitter!r}): expected 'full', 'equal' or 'none'"
            )
        if budget is not None and not hasattr(budget, "take"):
            raise ConfigurationError(
                f"RetryPolicy(budget={budget!r}): expected a RetryBudget or None"
            )
        self._set(
            max_retries=max_retries, base=float(base), cap=float(cap),
            multiplier=float(multiplier), jitter=jitter, max_retry_after=max_retry_after,
            max_elapsed=max_elapsed, budget=budget, max_attempts=max_attempts,
        )  # fmt: skip

    @classmethod
    def of(cls, value: object) -> RetryPolicy:
        """A RetryPolicy as it is; an int as ``max_retries``; else ConfigurationError."""
        if isinstance(value, RetryPolicy):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(max_retries=value)
        raise ConfigurationError(
            f"retry={value!r}: expected a RetryPolicy or the number of retries"
        )

    def backoff(self, failures: int, random: Callable[[], float]) -> float:
        """The wait after ``failures`` (1 or more) consecutive ones; ``random`` gives [0, 1)."""
        try:
            top = min(self.cap, self.base * self.multiplier ** (failures - 1))
        except OverflowError:
            top = self.cap if self.base else 0.0
        if self.jitter == "none":
            return top
        if self.jitter == "equal":
            return top / 2 + top / 2 * random()
        return top * random()

    def decide(
        self,
        error: BaseException,
        *,
        failures: int,
        attempts: int,
        elapsed: float,
        remaining: Optional[float],
        random: Callable[[], float],
    ) -> Decision:
        """Whether to try again after ``error``.

        ``failures``: consecutive ones without progress, this one included; ``attempts``: requests
        made so far; ``elapsed``: seconds since the first; ``remaining``: what the total deadline
        leaves, or None. Takes a token of the budget if the answer is yes, and only then.
        """
        refusal = self._refusal(error, failures, attempts)
        if refusal:
            return Decision(False, 0.0, refusal)
        asked = getattr(error, "retry_after", None)
        delay = self.backoff(failures, random) if asked is None else float(asked)
        reason = "backoff" if asked is None else "the server's Retry-After"
        refusal = self._too_late(asked, delay, elapsed, remaining)
        if refusal:
            return Decision(False, 0.0, refusal)
        if self.budget is not None and not self.budget.take():
            return Decision(False, 0.0, "the retry budget is used up")
        return Decision(True, delay, reason)

    def _refusal(self, error: BaseException, failures: int, attempts: int) -> str:
        if not isinstance(error, StreamingError) or not error.retryable:
            return "another try would not help"
        if failures > self.max_retries:
            return f"no progress with RetryPolicy(max_retries={self.max_retries})"
        if attempts >= self.max_attempts:
            return f"{attempts} attempts in all (RetryPolicy.max_attempts)"
        return ""

    def _too_late(
        self, asked: Optional[float], delay: float, elapsed: float, remaining: Optional[float]
    ) -> str:
        if asked is not None and self.max_retry_after is not None and asked > self.max_retry_after:
            return (
                f"the server asks to wait {asked:g} s, more than "
                f"RetryPolicy.max_retry_after={self.max_retry_after:g}"
            )
        if self.max_elapsed is not None and elapsed + delay > self.max_elapsed:
            return f"RetryPolicy.max_elapsed={self.max_elapsed:g} s would be over"
        if remaining is not None and delay >= remaining:
            return "the total clock would be over (Timeouts.total)"
        return ""


def _check_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"RetryPolicy({name}={value!r}): expected an int >= {least}")


def _check_number(owner: str, name: str, value: object, least: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= sys.float_info.max:  # type: ignore[operator]
        raise ConfigurationError(f"{owner}({name}={value!r}): expected a number >= {least:g}")
