"""FakeClock: time that a test turns by hand.

Here lives a clock with the methods of ``engine.timing.Clock``. It sleeps no longer than it
takes to notice that its time has come: tests of hours of backoff end at once.
"""

from __future__ import annotations

import threading

#: A sleeper can't wait for its event and for the clock at once: it looks at both this often.
_TICK = 0.005


class FakeClock:
    """A clock for ``StreamSession(clock=...)`` that stands until it is turned.

    ``autojump=False``: a sleep lasts until ``advance`` has turned the clock far enough, from
    another thread. ``autojump=True``: a sleep turns the clock itself and is over at once; meant
    for one thread, since two that sleep would turn it twice.

    ``start`` is the first ``now()`` in seconds, ``wall`` the first ``wall()`` (seconds since the
    epoch; the default is the first second of 2026). ``sleeps`` lists the seconds of all sleeps
    begun so far. All methods may be called from any thread.
    """

    def __init__(
        self, start: float = 0.0, *, wall: float = 1767225600.0, autojump: bool = False
    ) -> None:
        self.autojump = autojump
        self.sleeps: list[float] = []
        self._now = start
        self._wall = wall - start
        self._changed = threading.Condition()  # guards _now, _wall and sleeps

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        return self._now

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self._now + self._wall

    def advance(self, seconds: float) -> None:
        """Turn the clock forward. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError(f"advance({seconds}): a monotonic clock does not go back")
        with self._changed:
            self._now += seconds

    def step_wall(self, seconds: float) -> None:
        """Move the wall clock alone, either way, as when somebody sets the machine's time."""
        with self._changed:
            self._wall += seconds

    def sleep(self, seconds: float, wake: threading.Event) -> bool:
        """Wait; True if ``wake`` was set before the time was over."""
        with self._changed:
            self.sleeps.append(seconds)
            self._changed.notify_all()
            until = self._now + max(0.0, seconds)
            if self.autojump and not wake.is_set():
                self._now = until
        while self._now < until:
            if wake.wait(_TICK):
                return True
        return wake.is_set()

    def wait_for_sleep(self, number: int = 1, timeout: float = 5.0) -> float:
        """Wait (at most ``timeout`` real seconds) until ``number`` sleeps have begun.

        Returns the seconds of the last of them, so that a test can ``advance`` by them. Raises
        AssertionError when the time is over.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.sleeps) >= number, timeout):
                raise AssertionError(f"{len(self.sleeps)} of {number} sleeps began: {self.sleeps}")
            return self.sleeps[number - 1]
