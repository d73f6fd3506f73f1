"""Sketch: a distribution kept as counts, so that it never grows and can be added up.

Here lives the arithmetic alone. The buckets grow geometrically, as in DDSketch (Masson, Rim and
Lee, VLDB 2019): a percentile is off by at most ``ACCURACY`` of itself, whatever the shape, and
two sketches merge without a loss, over time, threads and machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2, pow
from typing import Optional

#: The relative error of a percentile: 2 % is finer than any alert or chart needs, and all
#: that lies between a microsecond and a day still fits into some 640 buckets.
ACCURACY = 0.02

_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
#: ``ceil(log2(value) * _SCALE)`` is the value's bucket; log2 is called at half of log's price.
_SCALE = 1 / log2(_GAMMA)
#: Seconds (or whatever is measured) below this are counted as this: zero has no logarithm.
SMALLEST = 1e-6
_LOWEST = ceil(log2(SMALLEST) * _SCALE)

#: The percentiles that every report shows.
SHOWN = (("p50", 0.50), ("p90", 0.90), ("p99", 0.99))


class Sketch:
    """Counts of positive values by bucket, and their sum. One writer at a time; ``copy`` and
    the reading methods may be called while it writes."""

    __slots__ = ("counts", "total")

    def __init__(self, counts: Optional[dict[int, float]] = None, total: float = 0.0) -> None:
        self.counts: dict[int, float] = {} if counts is None else counts
        self.total = total

    def add(self, value: float) -> None:
        """Count one value; zero and less count as the smallest."""
        index = ceil(log2(value) * _SCALE) if value > SMALLEST else _LOWEST
        counts = self.counts
        counts[index] = counts.get(index, 0) + 1
        self.total += value

    def merge(self, other: Sketch) -> None:
        """Add the counts of another one to this one's."""
        counts = self.counts
        for index, times in other.counts.copy().items():
            counts[index] = counts.get(index, 0) + times
        self.total += other.total

    def copy(self) -> Sketch:
        """A sketch of its own with the same counts."""
        # dict.copy is one step of the interpreter's: safe beside a thread that adds.
        return Sketch(self.counts.copy(), self.total)

    @property
    def count(self) -> int:
        """How many values were counted."""
        return int(sum(self.counts.copy().values()))

    def quantile(self, part: float) -> Optional[float]:
        """The value below which ``part`` (0.0 to 1.0) of the values lie; None of an empty one."""
        counts = self.counts.copy()
        if not counts:
            return None
        rank = part * (sum(counts.values()) - 1)
        seen = 0.0
        index = 0
        for index in sorted(counts):
            seen += counts[index]
            if seen > rank:
                break
        return _value(index)

    def below(self, bound: float) -> int:
        """How many values are at most ``bound``, to the sketch's accuracy."""
        return int(sum(n for index, n in self.counts.copy().items() if _value(index) <= bound))

    def summary(self) -> dict[str, Optional[float]]:
        """``count``, ``mean``, ``p50``, ``p90``, ``p99`` and ``max``; None where there is none."""
        count = self.count
        found: dict[str, Optional[float]] = {"count": count}
        found["mean"] = self.total / count if count else None
        for name, part in SHOWN:
            found[name] = self.quantile(part)
        found["max"] = self.quantile(1.0)
        return found

    def flat(self) -> dict[str, float]:
        """Named numbers that can be added up by a store: ``#bucket`` and ``sum``."""
        numbers: dict[str, float] = {f"#{index}": n for index, n in self.counts.items()}
        numbers["sum"] = self.total
        return numbers

    @classmethod
    def of_flat(cls, numbers: Mapping[str, float]) -> Sketch:
        """The sketch whose ``flat`` this is."""
        counts = {int(name[1:]): n for name, n in numbers.items() if name.startswith("#")}
        return cls(counts, numbers.get("sum", 0.0))


def _value(index: int) -> float:
    """The value that stands for a bucket: its middle, off by ACCURACY from either end."""
    return pow(2.0, 1 + index / _SCALE) / (_GAMMA + 1)
