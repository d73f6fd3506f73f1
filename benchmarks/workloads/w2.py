"""W2: an event every 5 ms that carries the sender's clock: how much later the program has it."""

from __future__ import annotations

import time
from typing import Any

from benchmarks import usage
from benchmarks.bodies import Spec
from benchmarks.case import Case, Size
from benchmarks.client import Job, check

TITLE = "an event every 5 ms, from send to program, calmest median"
UNIT = "µs"

PACE = 0.005
#: The median is that of the calmest so many events: others use the machine, too.
SLICE = 50


def cases(size: Size) -> list[Case]:
    """Chunked, and closed by the connection's end."""
    spec = Spec(events=max(100, int(4000 * size.scale)), payload="clock", pace=PACE)
    return [
        Case("chunked", spec, 1.1),
        Case("to the connection's end", spec._replace(framing="close"), 1.1),
    ]


def measure(job: Job) -> dict[str, Any]:
    """Latencies of one stream, and its CPU."""
    tokens: list[str] = []
    waits: list[int] = []
    clock = time.monotonic_ns

    def take(text: str) -> None:
        waits.append(clock() - int(text))
        tokens.append(text)

    before = usage.cpu()
    job.stream(take)
    used = usage.cpu() - before
    check(tokens, job.facts)
    p50, p99 = percentiles(waits)
    slices = [waits[at : at + SLICE] for at in range(0, len(waits) - SLICE + 1, SLICE)]
    calm = min(percentiles(some)[0] for some in slices)
    return {"figure": calm, "p50 µs": p50, "p99 µs": p99, "CPU µs": used / len(tokens) * 1e6}


def percentiles(waits: list[int]) -> tuple[float, float]:
    """Median and 99th percentile of nanoseconds, in microseconds."""
    ordered = sorted(waits)
    return ordered[len(ordered) // 2] / 1e3, ordered[int(len(ordered) * 0.99)] / 1e3
