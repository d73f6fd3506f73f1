"""Time: the clock that is handed in, deadlines, and the settings of the five clocks.

Here live values and pure sums over them. Who enforces a limit is told in ``watchdog`` and
``attempt``. Durations are seconds of a monotonic clock: a stepped wall clock changes none.
"""

from __future__ import annotations

import threading
import time
from typing import Optional, Protocol

from streamsafe.errors import ConfigurationError
from streamsafe.models import Frozen

#: After the terminal event some APIs send usage and an end mark, within milliseconds. A
#: server that stays silent instead may keep the program waiting no longer than this.
FINISH_GRACE = 2.0

#: What is longer no lock can wait for; a hundred years and no limit are the same to everybody.
_LONGEST = threading.TIMEOUT_MAX


class Clock(Protocol):
    """Where time comes from; tests hand in one that they turn by hand."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""

    def wall(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float, wake: threading.Event) -> bool:
        """Wait; True if ``wake`` was set before the time was over."""


class SystemClock:
    """The clock of the machine."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    def sleep(self, seconds: float, wake: threading.Event) -> bool:
        """Wait; True if ``wake`` was set before the time was over."""
        return wake.wait(min(max(0.0, seconds), _LONGEST))


class Deadline:
    """A budget of seconds over several steps; None = no limit."""

    __slots__ = ("started", "limit", "_clock")

    def __init__(self, limit: Optional[float], clock: Clock) -> None:
        self.limit = limit
        self.started = clock.now()
        self._clock = clock

    @property
    def at(self) -> Optional[float]:
        """When it ends, on the clock, or None."""
        return None if self.limit is None else self.started + self.limit

    def remaining(self) -> Optional[float]:
        """Seconds left, never negative; None = no limit."""
        if self.limit is None:
            return None
        return max(0.0, self.started + self.limit - self._clock.now())

    def elapsed(self) -> float:
        """Seconds since it was set."""
        return self._clock.now() - self.started


class Timeouts(Frozen):
    """The five clocks and the warning, in seconds (int or float > 0); None = no limit.

    ``connect``: name look-up, TCP and TLS together, for each attempt. ``first_token``: from
    sending the request to the first content. ``inactivity``: not one byte for this long after
    the first content. ``stall``: bytes, but no content (heartbeats only). ``total``: wall clock
    over all attempts and waits. ``warn_after``: after this much silence ``on_stall`` is told,
    before anything is cut.

    ``first_token``, ``inactivity`` and ``stall`` tick only while streamsafe waits for the
    server, never while the program holds a chunk. Content is what an answer is made of: text,
    reasoning, refusal, tool call fragments, citations; not heartbeats, roles or usage.

    Raises ConfigurationError for a value that is no positive number.
    """

    __slots__ = ("connect", "first_token", "inactivity", "stall", "total", "warn_after")

    connect: Optional[float]
    first_token: Optional[float]
    inactivity: Optional[float]
    stall: Optional[float]
    total: Optional[float]
    warn_after: Optional[float]

    # The precedents: 10 s to connect is what browsers give an address; the SDKs' 600 s for
    # everything is far past what a user waits for, and proxies cut at 60 s of silence.
    def __init__(
        self,
        connect: Optional[float] = 10,
        first_token: Optional[float] = 120,
        inactivity: Optional[float] = 60,
        stall: Optional[float] = 120,
        total: Optional[float] = None,
        warn_after: Optional[float] = 10,
    ) -> None:
        self._set(
            connect=_seconds("connect", connect),
            first_token=_seconds("first_token", first_token),
            inactivity=_seconds("inactivity", inactivity),
            stall=_seconds("stall", stall),
            total=_seconds("total", total),
            warn_after=_seconds("warn_after", warn_after),
        )

    @classmethod
    def of(cls, value: object) -> Timeouts:
        """A Timeouts as it is; a number as the ``total``; else ConfigurationError."""
        if isinstance(value, Timeouts):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return cls(total=value)
        raise ConfigurationError(
            f"timeouts={value!r}: expected a Timeouts or a number of seconds for the total"
        )


def _seconds(name: str, value: object) -> Optional[float]:
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value < float("inf"):  # type: ignore[operator]
        raise ConfigurationError(
            f"Timeouts({name}={value!r}): expected seconds > 0, or None for no limit"
        )
    return float(min(value, _LONGEST))  # type: ignore[call-overload]
