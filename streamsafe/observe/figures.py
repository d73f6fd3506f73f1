"""Figures: what can be said of many streams by numbers that add up.

Here live the sums and what is derived from them (a rate, a mean). Who counts, and over what
time, is told in ``tally``, ``windows`` and ``share``: all of them hand figures on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Optional

from streamsafe.observe.sketch import Sketch

#: The outcomes that are a verdict of the server's: the answer ended as the protocol says.
SUCCESSES = ("complete", "truncated", "filtered")
ENDS = (*SUCCESSES, "failed", "cancelled")
#: What is measured as a distribution, in seconds.
MEASURED = ("ttft", "gap", "duration")

_ERROR = "error:"


class Figures:
    """Sums and distributions; ``add`` is all that two of them need.

    ``counts``: "started", each of ``ENDS``, "retries", "reconnects", "stalls", "seams",
    "malformed", "bytes", "events", "chunks", "heartbeats", "input_tokens", "output_tokens",
    "tokens", "estimated_tokens", "generating" (seconds from first content to end, without what
    the program held), "ended_bytes", and "error:Type". ``sketches``: each of ``MEASURED``.
    Whoever holds it guards it.
    """

    __slots__ = ("counts", "sketches")

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}
        self.sketches: dict[str, Sketch] = {}

    def count(self, name: str, times: float = 1) -> None:
        """Add to one sum."""
        if times:
            self.counts[name] = self.counts.get(name, 0) + times

    def error(self, kind: str) -> None:
        """Count a failure by the name of its type."""
        self.count(_ERROR + kind)

    def sketch(self, name: str) -> Sketch:
        """The distribution of that name, for adding to."""
        found = self.sketches.get(name)
        if found is None:
            found = self.sketches[name] = Sketch()
        return found

    def add(self, other: Figures) -> Figures:
        """Add another's to these; returns itself."""
        counts = self.counts
        for name, times in other.counts.items():
            counts[name] = counts.get(name, 0) + times
        for name, sketch in other.sketches.items():
            self.sketch(name).merge(sketch)
        return self

    def copy(self) -> Figures:
        """Figures of their own with the same sums."""
        return Figures().add(self)

    @classmethod
    def sum(cls, many: Iterable[Figures]) -> Figures:
        """All of them together, in new figures."""
        total = cls()
        for figures in many:
            total.add(figures)
        return total

    def __bool__(self) -> bool:
        return bool(self.counts or self.sketches)

    # -- what they say -----------------------------------------------------------------------

    def __getitem__(self, name: str) -> int:
        return int(self.counts.get(name, 0))

    @property
    def successful(self) -> int:
        """Streams that got their verdict: complete, cut off by length, or filtered."""
        return sum(self[name] for name in SUCCESSES)

    @property
    def ended(self) -> int:
        """Streams that ended in any way."""
        return sum(self[name] for name in ENDS)

    @property
    def success_rate(self) -> float:
        """From 0.0 to 1.0; what was cancelled counts on neither side.

        1.0 where nothing has ended yet: no stream failed, and ``rate < 0.95`` must not ring
        on a program that is idle.
        """
        judged = self.successful + self["failed"]
        return self.successful / judged if judged else 1.0

    def errors(self) -> list[tuple[str, int]]:
        """The types of all failures met, also of those mended by a retry, commonest first."""
        found = [
            (name[len(_ERROR) :], int(times))
            for name, times in self.counts.items()
            if name.startswith(_ERROR)
        ]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def mean(self, name: str) -> float:
        """A sum divided by the streams that ended; 0.0 if none did."""
        ended = self.ended
        return self.counts.get(name, 0.0) / ended if ended else 0.0

    @property
    def tokens_per_second(self) -> Optional[float]:
        """Output tokens over the seconds in which streams that ended were being written."""
        seconds = self.counts.get("generating", 0.0)
        return self.counts.get("output_tokens", 0.0) / seconds if seconds > 0 else None

    def measured(self, name: str) -> dict[str, Optional[float]]:
        """The summary of a distribution, an empty one included."""
        return self.sketches.get(name, Sketch()).summary()

    # -- as numbers that a store can add up -----------------------------------------------------

    def flat(self) -> dict[str, float]:
        """All of it as one mapping of names to numbers; adding them by name adds the figures."""
        numbers = dict(self.counts)
        for name, sketch in self.sketches.items():
            numbers.update((f"{name}|{part}", n) for part, n in sketch.flat().items())
        return numbers

    @classmethod
    def of_flat(cls, numbers: Mapping[str, Any]) -> Figures:
        """The figures whose ``flat`` this is."""
        figures = cls()
        parts: dict[str, dict[str, float]] = {}
        for name, number in numbers.items():
            sketch, bar, part = name.partition("|")
            if bar:
                parts.setdefault(sketch, {})[part] = float(number)
            else:
                figures.counts[name] = float(number)
        for name, flat in parts.items():
            figures.sketches[name] = Sketch.of_flat(flat)
        return figures


class Ledger:
    """Figures by provider and model; the whole is their sum.

    Bounded: past ``MAX_GROUPS`` pairs, what is new goes to ("other", "other"), so that a program
    that makes model names up cannot fill the memory. Whoever holds it guards it.
    """

    MAX_GROUPS = 100
    OTHER = ("other", "other")

    __slots__ = ("groups",)

    def __init__(self) -> None:
        self.groups: dict[tuple[str, str], Figures] = {}

    def add(self, group: tuple[str, str], figures: Figures) -> None:
        """Add figures of one provider and model."""
        found = self.groups.get(group)
        if found is None:
            if len(self.groups) >= self.MAX_GROUPS:
                group = self.OTHER
            found = self.groups.setdefault(group, Figures())
        found.add(figures)

    def merge(self, other: Ledger) -> None:
        """Add all groups of another ledger."""
        for group, figures in other.groups.items():
            self.add(group, figures)

    def copy(self) -> Ledger:
        """A ledger of its own with the same figures."""
        ledger = Ledger()
        ledger.merge(self)
        return ledger

    def total(self) -> Figures:
        """The figures of all groups together."""
        return Figures.sum(self.groups.values())

    def by_provider(self) -> dict[str, Figures]:
        """The figures of each provider."""
        return self._by(0)

    def by_model(self) -> dict[str, Figures]:
        """The figures of each model."""
        return self._by(1)

    def _by(self, place: int) -> dict[str, Figures]:
        found: dict[str, Figures] = {}
        for group, figures in self.groups.items():
            found.setdefault(group[place], Figures()).add(figures)
        return found
