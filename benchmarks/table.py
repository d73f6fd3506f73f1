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
    measured; ``more``: the median of what it was above the baseline's in the same round;
    ``goal`` and ``most``: those of the case; ``failed``: why there is none of this."""

    workload: str
    case: str
    peer: str
    figure: Optional[float]
    unit: str
    ratio: Optional[float]
    more: Optional[float]
    goal: Optional[float]
    most: Optional[float]
    others: dict[str, float]
    failed: str = ""

    @property
    def met(self) -> Optional[bool]:
        """Whether the goals were reached, or None if there is none."""
        if self.goal is None and self.most is None:
            return None
        pairs = ((self.ratio, self.goal), (self.more, self.most))
        return all(
            found is not None and found <= goal for found, goal in pairs if goal is not None
        )


def rows(workload: str, unit: str, case: Case, rounds: Rounds) -> list[Row]:
    """The case's rows, in the peers' order of the first round."""
    return [_row(workload, unit, case, peer, rounds) for peer in (rounds[0] if rounds else ())]


def _row(workload: str, unit: str, case: Case, peer: str, rounds: Rounds) -> Row:
    runs = [found[peer] for found in rounds if peer in found]
    good = [run for run in runs if "failed" not in run]
    row = Row(
        workload, case.name, peer, None, case.unit or unit, None, None,
        case.goal if peer == "streamsafe" else case.goals.get(peer), case.most.get(peer), {},
    )  # fmt: skip
    if len(good) < len(runs):
        return row._replace(failed=next(run["failed"] for run in runs if "failed" in run))
    pairs = [
        (run["figure"], found[case.baseline]["figure"])
        for found, run in zip((found for found in rounds if peer in found), runs)
        if "figure" in found.get(case.baseline, {})
    ]
    # A measure that compares by itself has its own ratio.
    own = [run["ratio"] for run in good if "ratio" in run]
    ratios = own or [figure / base for figure, base in pairs]
    names = [name for name in good[0] if name not in ("figure", "ratio")]
    return row._replace(
        figure=median(run["figure"] for run in good),
        ratio=median(ratios) if ratios else None,
        more=median(figure - base for figure, base in pairs) if pairs else None,
        others={name: median(run[name] for run in good) for name in names},
    )


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
    met = "" if row.met is None else "met" if row.met else "MISSED"
    goals = [f"x {row.goal:g}"] if row.goal is not None else []
    goals += [f"+{row.most:g} {row.unit}"] if row.most is not None else []
    goal = f"goal {' '.join(goals)} {met}" if goals else ""
    others = "  ".join(f"{name} {value:.4g}" for name, value in row.others.items())
    if row.most is not None:
        others = f"above {row.more:.4g}  {others}"
    line = f"{row.peer:<22}{row.figure:>10.3f} {row.unit:<5}{ratio:>9}  {goal:<19}{others}"
    return line.rstrip()
