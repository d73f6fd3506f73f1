"""Clocks: which of an attempt's clocks has run out, if any.

Here lives the arithmetic of ``Timeouts``: the reading thread stamps what it does, any thread
asks. No thread, no socket, no waiting; who asks and cuts is told in ``attempt``.

The stamps are one tuple, replaced as a whole, so that the thread that asks never sees half
of a change, and no lock is taken per read.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from streamsafe.engine.timing import FINISH_GRACE, Timeouts


class Ring(NamedTuple):
    """A clock that ran out."""

    clock: str
    limit: float
    elapsed: float


#: Phase ("opening", "connecting", "first", "streaming", "finishing"); since when the server is
#: waited for, None while the program holds the stream; seconds waited before that since the
#: last content, or since the phase began. A plain tuple: two are made for every read.
_Stamp = tuple[str, Optional[float], float]


class Clocks:
    """The clocks of one attempt. ``total_at`` is when the stream's total ends, or None."""

    __slots__ = ("_timeouts", "_total_at", "_total_limit", "_shortest", "_stamp")

    def __init__(
        self, timeouts: Timeouts, now: float, total_at: Optional[float], total_limit: float = 0.0
    ) -> None:
        self._timeouts = timeouts
        self._total_at = total_at
        self._total_limit = total_limit
        # A phase may begin at any moment, and with it a shorter limit than those that run now.
        limits = (
            FINISH_GRACE, timeouts.connect, timeouts.first_token, timeouts.inactivity,
            timeouts.stall, timeouts.warn_after,
        )  # fmt: skip
        self._shortest = min(filter(None, limits))
        self._stamp: _Stamp = ("opening", now, 0.0)

    @property
    def phase(self) -> str:
        """Where the attempt is: opening, connecting, first, streaming or finishing."""
        return self._stamp[0]

    @property
    def since(self) -> Optional[float]:
        """Since when the server is waited for; None while the program holds the stream."""
        return self._stamp[1]

    def enter(self, phase: str, now: float) -> None:
        """A new phase begins; its wait starts from nothing."""
        waiting = self._stamp[1] is not None
        self._stamp = (phase, now if waiting else None, 0.0)

    def wait(self, now: float) -> None:
        """The reading thread waits for the server from now on."""
        phase, _, waited = self._stamp
        self._stamp = (phase, now, waited)

    def got(self, seconds: float, content: bool) -> None:
        """A read returned bytes after ``seconds``; with content or without."""
        phase, _, waited = self._stamp
        if content:
            # Anything that the answer is made of starts or restarts the stream's own clocks.
            if phase == "first":
                phase = "streaming"
            self._stamp = (phase, None, 0.0 if phase != "finishing" else waited + seconds)
        else:
            self._stamp = (phase, None, waited + seconds)

    def silence(self, now: float) -> float:
        """Seconds waited for content until now; the program's own time does not count."""
        _, since, waited = self._stamp
        return waited + (now - since if since is not None else 0.0)

    def check(self, now: float) -> tuple[Optional[Ring], float]:
        """The clock that has run out, or None; and when to ask again at the latest."""
        stamp = self._stamp
        soonest = now + self._shortest
        if self._total_at is not None:
            if now >= self._total_at:
                elapsed = self._total_limit + now - self._total_at
                return Ring("total", self._total_limit, elapsed), now
            soonest = min(soonest, self._total_at)
        phase, since, waited = stamp
        for clock, limit, before in self._running(phase, waited):
            if since is None:
                continue  # the program holds a chunk: nothing ticks
            elapsed = before + now - since
            if elapsed >= limit:
                return Ring(clock, limit, elapsed), now
            soonest = min(soonest, now + limit - elapsed)
        return None, soonest

    def warn_at(self, now: float) -> Optional[float]:
        """When the silence will have lasted ``warn_after``, if it goes on; None = never."""
        limit = self._timeouts.warn_after
        phase, since, _ = self._stamp
        if limit is None or since is None or phase not in ("first", "streaming"):
            return None
        return now + limit - self.silence(now)

    def _running(self, phase: str, waited: float) -> list[tuple[str, float, float]]:
        """The clocks that run in this phase: name, limit, seconds before the current wait."""
        timeouts = self._timeouts
        if phase == "connecting":
            running = [("connect", timeouts.connect, waited)]
        elif phase in ("opening", "first"):
            running = [("first_token", timeouts.first_token, waited)]
        elif phase == "streaming":
            # A byte ends each wait, so inactivity is the current one alone.
            running = [
                ("inactivity", timeouts.inactivity, 0.0),
                ("stall", timeouts.stall, waited),
            ]
        else:
            grace = min(FINISH_GRACE, timeouts.inactivity or FINISH_GRACE)
            running = [("inactivity", grace, waited)]
        return [(name, limit, before) for name, limit, before in running if limit is not None]
