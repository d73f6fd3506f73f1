"""Case: one line of questions of a workload: what is served, who reads it, what is the goal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from benchmarks.bodies import Spec


class Size(NamedTuple):
    """How much is measured. ``scale``: of the events of a workload, which are stated in full."""

    name: str
    scale: float
    rounds: int


QUICK = Size("quick", 0.025, 1)
DEFAULT = Size("default", 0.25, 3)
FULL = Size("full", 1.0, 7)


class Case(NamedTuple):
    """``spec``: the body, or None if nothing is asked of a server; ``beside``: another one, for a
    workload that compares two. ``goal``: the most that streamsafe's figure may be of the
    baseline's, ``goals``: the same for others; ``most``: the most that it may be above that.
    ``peers``: those that the case is about, None = all that know the API. ``baseline``: whose
    figure the ratios are of. ``unit``: if it is not the workload's. ``seconds``: after which a
    run counts as not done. ``arguments``: for the workload's ``measure``.
    """

    name: str
    spec: Optional[Spec]
    goal: Optional[float] = None
    peers: Optional[tuple[str, ...]] = None
    baseline: str = "limit"
    beside: Optional[Spec] = None
    goals: Mapping[str, float] = {}
    most: Mapping[str, float] = {}
    unit: str = ""
    seconds: float = 45.0
    arguments: Mapping[str, Any] = {}
