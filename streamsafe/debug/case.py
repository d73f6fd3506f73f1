"""Case: all that a rule may look at: the timeline, its figures, and the streams beside it."""

from __future__ import annotations

from typing import NamedTuple

from streamsafe.debug.analysis import Figures, analyse
from streamsafe.debug.thresholds import Thresholds
from streamsafe.debug.timeline import Timeline


class Case(NamedTuple):
    """One stream to be judged. ``others`` are those that the same debugger saw."""

    timeline: Timeline
    figures: Figures
    thresholds: Thresholds
    others: tuple[Timeline, ...] = ()

    @classmethod
    def of(
        cls, timeline: Timeline, thresholds: Thresholds, others: tuple[Timeline, ...] = ()
    ) -> Case:
        """The case of a timeline, with its figures."""
        return cls(timeline, analyse(timeline), thresholds, others)
