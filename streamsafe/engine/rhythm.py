"""Rhythm: when content came, and what that says of the server and of the program.

Here lives the arithmetic behind ``Completion.timings``; the stream stamps, once a read.
"""

from __future__ import annotations

import math
from typing import Optional

from streamsafe.models import Timings, Usage

#: Gaps kept exactly; past that every second one is thinned out, again and again, so that the
#: percentiles stay right and the memory bounded.
MAX_GAPS = 4096


class Rhythm:
    """Times of one stream, in seconds of its clock. Used by the reading thread."""

    __slots__ = (
        "started", "first", "last", "held", "ended", "_before", "_held_then", "_gaps", "_stride",
        "_seen", "_max",
    )  # fmt: skip

    def __init__(self, started: float) -> None:
        self.started = started
        self.first: Optional[float] = None
        self.last = started
        self.held = 0.0
        self.ended: Optional[float] = None
        self._before = 0.0  # held in the attempts that have ended
        self._held_then = 0.0  # held until the last content
        self._gaps: list[float] = []
        self._stride = 1
        self._seen = 0
        self._max = 0.0

    def content(self, at: float, held: float) -> None:
        """A read brought content at ``at``; ``held`` is how long the program has held the stream
        since the attempt began."""
        held += self._before
        self.held = held
        since, self._held_then = held - self._held_then, held
        if self.first is None:
            self.first = self.last = at
            return
        # The program's own time is not a gap of the server's.
        gap = at - self.last - since
        self.last = at
        if gap > self._max:
            self._max = gap
        self._seen += 1
        if self._seen % self._stride == 0:
            self._gaps.append(gap)
            if len(self._gaps) >= MAX_GAPS:
                del self._gaps[::2]
                self._stride *= 2

    def attempt_over(self, held: float) -> None:
        """An attempt has ended, through which the program held the stream for ``held`` seconds."""
        self._before += held
        self.held = self._before

    def timings(self, now: float, usage: Optional[Usage]) -> Timings:
        """What was measured until ``now``, or until the end where there was one."""
        end = now if self.ended is None else self.ended
        gaps = sorted(self._gaps)
        ttft = rate = None
        if self.first is not None:
            ttft = self.first - self.started
            busy = end - self.first - self.held
            if usage is not None and usage.output_tokens and busy > 0:
                rate = usage.output_tokens / busy
        return Timings(
            ttft,
            percentile(gaps, 0.50),
            percentile(gaps, 0.90),
            percentile(gaps, 0.99),
            self._max if gaps else None,
            end - self.started,
            self.held,
            rate,
        )


def percentile(ordered: list[float], part: float) -> Optional[float]:
    """The nearest-rank percentile of an ordered list; None of an empty one."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
