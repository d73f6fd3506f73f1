"""W5: large things: an answer of 100 MB, events of 20 and 4 MB, and the package itself."""

from __future__ import annotations

import gc
import sys
import time
import zlib
from typing import Any

from benchmarks import clients, usage
from benchmarks.bodies import Facts, Spec
from benchmarks.case import Case, Size
from benchmarks.client import Job, WrongText, check

TITLE = "large answers, large events, import"
UNIT = "ms"

#: What an event of 4 MiB may take, in seconds of CPU.
PROMPT = 0.2

_PEERS = (
    "naive", "iter_lines", "requests_sse", "launchdarkly", "httpx_sse", "openai", "limit", "floor",
)  # fmt: skip


def cases(size: Size) -> list[Case]:
    """The short way has a shorter answer; the events are of full size always."""
    answer = Spec(events=1000, payload="long", size=500, repeat=max(10, int(176 * size.scale)))
    # A character is 1.13 bytes on the wire; memory wants 4 for each as soon as one is an emoji.
    event = Spec(events=1, payload="long", size=17_600_000)
    large = ("streamsafe+large", *_PEERS)
    return [
        Case("a long answer, CPU", answer, peers=("streamsafe", "streamsafe+sink", *_PEERS)),
        Case(
            "its memory, against the text's", answer, 1.3, unit="MB", baseline="streamsafe",
            peers=("streamsafe", "streamsafe+sink"), goals={"streamsafe+sink": 0.1},
            arguments={"of": "memory"},
        ),
        Case("an event of 20 MB", event, peers=large, seconds=20),
        Case(
            "the same in chunks of 1 KB, against itself whole", event._replace(framing="small"),
            beside=event, peers=large, goals={"streamsafe+large": 1.5}, seconds=20,
        ),
        Case(
            f"an event of 4 MiB, against {PROMPT} s", event._replace(size=3_700_000), 1.0,
            peers=("streamsafe", *_PEERS), arguments={"of": "time"}, seconds=20,
        ),
        Case("import", None, 1.15, baseline="iter_lines", seconds=120),
    ]  # fmt: skip


def command(peer: str, case: Case) -> list[str]:
    """For the case in which nothing is read."""
    return [sys.executable, "-m", "benchmarks.imports", *clients.load(peer).MODULES]


def measure(job: Job) -> dict[str, Any]:
    """CPU of reading one answer and what it took of memory at most; the ratio asked for."""
    if job.arguments.get("of") == "memory":
        return _memory(job)
    if job.beside is not None and job.beside_facts is not None:
        whole = _read(job.beside, job.beside_facts)
        figures = _read(job.stream, job.facts)
        return {**figures, "ratio": figures["figure"] / whole["figure"]}
    figures = _read(job.stream, job.facts)
    if job.arguments.get("of") == "time":
        return {**figures, "ratio": figures["figure"] / 1e3 / PROMPT}
    return figures


def _read(stream: Any, facts: Facts) -> dict[str, Any]:
    """The cheapest of three readings."""
    return min((_once(stream, facts) for _ in range(3)), key=lambda found: found["figure"])


def _once(stream: Any, facts: Facts) -> dict[str, Any]:
    tokens: list[str] = []
    gc.collect()
    usage.reset_peak()
    memory, before, began = usage.memory(), usage.cpu(), time.perf_counter()
    stream(tokens.append)
    used, took, peak = usage.cpu() - before, time.perf_counter() - began, usage.peak()
    check(tokens, facts)
    return {"figure": used * 1e3, "wall ms": took * 1e3, "peak MB": (peak - memory) / 1e6}


def _memory(job: Job) -> dict[str, Any]:
    """Of a client whose program keeps nothing."""
    crc = chars = tokens = 0

    def take(text: str) -> None:
        nonlocal crc, chars, tokens
        crc, chars, tokens = zlib.crc32(text.encode(), crc), chars + len(text), tokens + 1

    gc.collect()
    usage.reset_peak()
    before = usage.memory()
    job.stream(take)
    taken = usage.peak() - before
    if (tokens, chars, crc) != tuple(job.facts):
        raise WrongText(f"expected {job.facts}, got {(tokens, chars, crc)}")
    return {"figure": taken / 1e6, "ratio": taken / (4 * chars)}
