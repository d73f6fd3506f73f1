"""W6: events of 8 KB: tool arguments, log probabilities."""

from __future__ import annotations

from benchmarks.bodies import Spec
from benchmarks.case import Case, Size
from benchmarks.workloads.w1 import TIMES, measure

__all__ = ["TITLE", "UNIT", "cases", "measure"]

TITLE = "events of 8 KB, CPU an event"
UNIT = "µs"


def cases(size: Size) -> list[Case]:
    """One big string, and hundreds of small values."""
    events = max(200, int(8000 * size.scale) // TIMES)
    return [
        Case("tool arguments", Spec(events=events, payload="arguments"), 1.0),
        Case("log probabilities", Spec(events=events, payload="logprobs"), 1.0),
    ]
