"""Windows: the figures of the last minute, five minutes and hour.

Here live the rings of buckets. A window slides by its bucket's width: what is older than the
window falls out with its bucket, and nothing has to be remembered of single streams.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from streamsafe.errors import ConfigurationError
from streamsafe.observe.figures import Figures


class Span(NamedTuple):
    """A window: its name, its length and the width of its buckets, in seconds."""

    name: str
    seconds: int
    width: int

    def slot(self, now: float) -> int:
        """The number of the bucket for a time."""
        return int(now // self.width)

    @property
    def slots(self) -> int:
        """How many buckets it has."""
        return self.seconds // self.width


#: Twelve to sixty buckets each: a window is off by at most a twelfth of its length.
SPANS = (Span("1m", 60, 5), Span("5m", 300, 15), Span("1h", 3600, 60))


def span(name: str) -> Span:
    """The window of that name; ConfigurationError for another one."""
    for found in SPANS:
        if found.name == name:
            return found
    names = ", ".join(repr(known.name) for known in SPANS)
    raise ConfigurationError(f"window={name!r}: expected one of {names}")


class Window:
    """The buckets of one span. Whoever holds it guards it."""

    __slots__ = ("span", "_ring")

    def __init__(self, of: Span) -> None:
        self.span = of
        self._ring: deque[tuple[int, Figures]] = deque(maxlen=of.slots)

    def add(self, figures: Figures, now: float) -> None:
        """Add to the bucket of ``now`` (seconds of the clock that the reader goes by)."""
        slot = self.span.slot(now)
        # A clock that goes back a little adds to the last bucket: older ones never change.
        if not self._ring or self._ring[-1][0] < slot:
            self._ring.append((slot, Figures()))
        self._ring[-1][1].add(figures)

    def recent(self, now: float) -> list[Figures]:
        """The buckets that are within the window. Only the last one is still written to, so it
        is copied; the sum over all can be made when the lock is given back."""
        first = self.span.slot(now) - self.span.slots
        found = [figures for slot, figures in self._ring if slot > first]
        if found:
            found[-1] = found[-1].copy()
        return found

    def every(self, now: float) -> list[Figures]:
        """All buckets of the window, the oldest first, those that stayed empty too."""
        known = dict(self._ring)
        if self._ring:
            slot, figures = self._ring[-1]
            known[slot] = figures.copy()  # the only one that is still written to
        last = self.span.slot(now)
        return [known.get(slot, Figures()) for slot in range(last + 1 - self.span.slots, last + 1)]


class Windows:
    """One window for each of ``SPANS``. Whoever holds it guards it."""

    __slots__ = ("_windows",)

    def __init__(self) -> None:
        self._windows = {of.name: Window(of) for of in SPANS}

    def add(self, figures: Figures, now: float) -> None:
        """Add to all windows."""
        for window in self._windows.values():
            window.add(figures, now)

    def recent(self, name: str, now: float) -> list[Figures]:
        """The buckets of one window; their sum is what happened in it."""
        return self._windows[name].recent(now)

    def every(self, name: str, now: float) -> list[Figures]:
        """All buckets of one window, the oldest first, empty ones too."""
        return self._windows[name].every(now)
