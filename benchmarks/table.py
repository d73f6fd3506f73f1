"""The table: rounds -> medians of the ratios within a round -> text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple, Optional

from benchmarks.case import Case

Rounds = Sequence[dict[str, dict[str, Any]]]


class Row(NamedTuple):
    """One peer in one case. ``figure``: the median, in the workload's unit; ``ratio``: the median
    of what it was of the baseline's in the same round; ``others``: medians of what else was
    measured; ``failed``: why there is none of this."""

    workload: str
    case: str
    peer: str
    figure: Optional[float]
    unit: str
    ratio: Optional[float]
    goal: Optional[float]
    others: dict[str, float]
    failed: str = ""

    @property
    def met(self) -> Optional[bool]:
        """Whether the goal was reached, or None if there is none."""
        if self.goal is None:
            return None
        return self.ratio is not None and self.ratio <= self.goal


def rows(workload: str, unit: str, case: Case, rounds: Rounds) -> list[Row]:
    """The case's rows, in the peers' order of the first round."""
    return [_row(workload, unit, case, peer, rounds) for peer in (rounds[0] if rounds else ())]


def _row(workload: str, unit: str, case: Case, peer: str, rounds: Rounds) -> Row:
    runs = [found[peer] for found in rounds if peer in found]
    good = [run for run in runs if "failed" not in run]
    goal = case.goal if peer == "streamsafe" else case.arguments.get("goals", {}).get(peer)
    if len(good) < len(runs):
        failed = next(run["failed"] for run in runs if "failed" in run)
        return Row(workload, case.name, peer, None, unit, None, goal, {}, failed)
    ratios = [
        found[peer]["figure"] / found[case.baseline]["figure"]
        for found in rounds
        if peer in found and "figure" in found.get(case.baseline, {})
    ]
    others = {name: median(run[name] for run in good) for name in good[0] if name != "figure"}
    figure = median(run["figure"] for run in good)
    ratio = median(ratios) if ratios else None
    return Row(workload, case.name, peer, figure, unit, ratio, goal, others)


def text(found: Iterable[Row]) -> str:
    """The rows as a table for a terminal."""
    lines, last = [], None
    for row in found:
        if (row.workload, row.case) != last:
            last = (row.workload, row.case)
            lines += ["", f"{row.workload.upper()} {row.case}"]
        lines.append("  " + _line(row))
    return "\n".join(lines[1:])


def _line(row: Row) -> str:
    if row.failed:
        return f"{row.peer:<22}failed: {row.failed}"
    ratio = "" if row.ratio is None else f"x {row.ratio:.2f}"
    goal = "" if row.goal is None else f"goal {row.goal:g} {'met' if row.met else 'MISSED'}"
    others = "  ".join(f"{name} {value:.4g}" for name, value in row.others.items())
    return f"{row.peer:<22}{row.figure:>10.3f} {row.unit:<5}{ratio:>9}  {goal:<17}{others}".rstrip()
