"""Tallies: the tallies of the streams that run; what every observer here starts from.

Here live the book of them and the clock that it goes by.
"""

from __future__ import annotations

import time
from typing import Optional, Protocol

from streamsafe.lifecycle import Chunks, Record, Started
from streamsafe.observe.tally import Tally

#: A stream that was not heard of for so long is lost: its thread died with its process's fork,
#: or the program holds it and may never come back. No timeout of ours is that long.
FORGET_AFTER = 3600.0


class Ticks(Protocol):
    """The part of a clock that figures need."""

    def now(self) -> float:
        """Seconds of a monotonic clock, the one that records carry."""

    def wall(self) -> float:
        """Seconds since the epoch."""


class MachineTicks:
    """The clock of the machine."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


class Tallies:
    """The tallies of the streams that run, by stream id.

    No lock: it lives of single steps of ``dict``, which are atomic. Bounded: a stream that was
    not heard of for ``forget_after`` seconds is let go, and taken up again if it speaks.
    """

    #: Lost streams that can still be taken up again.
    MAX_LOST = 1000

    def __init__(self, clock: Optional[Ticks] = None, forget_after: float = FORGET_AFTER) -> None:
        self.clock: Ticks = MachineTicks() if clock is None else clock
        self.forget_after = forget_after
        self.running: dict[str, Tally] = {}
        self.lost: dict[str, Tally] = {}
        self._sweep_at = self.clock.now() + forget_after / 4

    def start(self, record: Started) -> Tally:
        """A new tally; it takes the place of a running one of the same stream id."""
        self.lost.pop(record.stream_id, None)
        tally = self.running[record.stream_id] = Tally(record)
        return tally

    def get(self, stream_id: str) -> Optional[Tally]:
        """The tally of a stream; None if its start was not seen, for half figures are wrong."""
        tally = self.running.get(stream_id)
        if tally is None:
            tally = self.lost.pop(stream_id, None)
            if tally is not None:
                tally.status = "streaming"
                self.running[stream_id] = tally
        return tally

    def fold(self, record: Record) -> Optional[Tally]:
        """Fold a record into its stream's tally, which is let go of at its end; None as ``get``."""
        if isinstance(record, Started):
            self.sweep()
            return self.start(record)
        tally = self.get(record.stream_id)
        if tally is None:
            return None
        if isinstance(record, Chunks):
            tally.read(record)
        else:
            tally.fold(record)
            if tally.ended is not None:
                self.running.pop(record.stream_id, None)
        return tally

    def sweep(self) -> list[Tally]:
        """Let go of the lost ones and hand them out; looks every quarter of ``forget_after``."""
        now = self.clock.now()
        if now < self._sweep_at:
            return []
        self._sweep_at = now + self.forget_after / 4
        gone = [t for t in list(self.running.values()) if now - t.last > self.forget_after]
        for tally in gone:
            tally.status = "lost"
            self.running.pop(tally.stream_id, None)
            self.lost[tally.stream_id] = tally
        for stream_id in list(self.lost)[: -self.MAX_LOST]:
            self.lost.pop(stream_id, None)
        return gone
