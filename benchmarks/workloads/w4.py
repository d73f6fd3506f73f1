"""W4: short answers in turn: CPU a request, time to the first token, connections opened."""

from __future__ import annotations

import gc
import time
from statistics import median
from typing import Any

from benchmarks import usage
from benchmarks.bodies import Spec
from benchmarks.case import Case, Size
from benchmarks.client import Job, check
from benchmarks.workloads.w1 import TIMES

TITLE = "answers of one token in turn, CPU a request"
UNIT = "ms"


def cases(size: Size) -> list[Case]:
    """One."""
    turns = max(50, int(500 * min(1.0, 4 * size.scale)))
    return [Case(f"{turns} requests", Spec(), 0.9, arguments={"turns": turns})]


def measure(job: Job) -> dict[str, Any]:
    """CPU of a request, and how long its only token took: of the cheapest of some rounds."""
    return min((_round(job) for _ in range(TIMES)), key=lambda found: found["figure"])


def _round(job: Job) -> dict[str, Any]:
    turns = job.arguments["turns"] // TIMES
    waits: list[float] = []
    answers: list[list[str]] = []
    gc.collect()
    before = usage.cpu()
    for _ in range(turns):
        asked, arrived, tokens = time.perf_counter(), [], []

        def take(text: str) -> None:
            arrived.append(time.perf_counter())
            tokens.append(text)

        job.stream(take)
        waits.append(arrived[0] - asked)
        answers.append(tokens)
    used = usage.cpu() - before
    for tokens in answers:
        check(tokens, job.facts)
    return {"figure": used / turns * 1e3, "first token ms": median(waits) * 1e3}
