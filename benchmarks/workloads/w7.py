"""W7: what costs something only when it is on: journal, monitor, debugger, callbacks."""

from __future__ import annotations

from benchmarks.bodies import Spec
from benchmarks.case import Case, Size
from benchmarks.workloads.w1 import TIMES, measure

__all__ = ["TITLE", "UNIT", "cases", "measure"]

TITLE = "what is switched on besides, CPU an event"
UNIT = "µs"

PEERS = (
    "streamsafe", "streamsafe+monitor", "streamsafe+debugger", "streamsafe+journal",
    "streamsafe+callbacks",
)  # fmt: skip


def cases(size: Size) -> list[Case]:
    """A stream in which a read brings many events, and one in which it brings one."""
    fast = Spec(events=max(4000, int(200_000 * size.scale) // TIMES))
    slow = Spec(events=max(200, int(8000 * size.scale) // TIMES), pace=0.001)
    goals = {"streamsafe+monitor": 1.03, "streamsafe+debugger": 1.25}
    return [
        Case("as fast as it goes", fast, peers=PEERS, baseline="streamsafe", goals=goals),
        Case(
            "an event a read", slow, peers=PEERS, baseline="streamsafe", goals=goals,
            most={"streamsafe+journal": 25.0},
        ),
    ]  # fmt: skip
