"""W3: many streams at once, a thread each: CPU an event and more."""

from __future__ import annotations

import gc
import threading
import time
from array import array
from typing import Any, Optional

from benchmarks import usage
from benchmarks.bodies import Spec
from benchmarks.case import Case, Size
from benchmarks.client import Job, WrongText
from benchmarks.workloads.w2 import percentiles

TITLE = "streams at once in threads, CPU an event"
UNIT = "µs"


def cases(size: Size) -> list[Case]:
    """200 and 1,000 streams of 20 events/s, and 1,000 of 5: 20,000 a second in all are more than
    one core of a small machine can serve, whoever reads. The short way has shorter streams."""
    seconds = max(2.0, 20.0 * size.scale)
    return [
        Case(
            f"{streams} streams, {1 / pace:g} events/s each",
            Spec(events=int(seconds / pace), payload="clock", pace=pace, crowd=streams),
            goal,
            arguments={"streams": streams},
            seconds=60 + 3 * seconds,
        )
        for streams, pace, goal in ((200, 0.05, 1.1), (1000, 0.05, 1.2), (1000, 0.2, None))
    ]


def measure(job: Job) -> dict[str, Any]:
    """CPU of all the threads' reading while all are there; of their beginnings, of their ends."""
    streams = job.arguments["streams"]
    readers = [Reader(job, looks=not number) for number in range(streams)]
    gc.collect()
    memory, threads, before = usage.memory(), usage.threads(), usage.cpu()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    end, first = usage.cpu(), readers[0]
    for reader in readers:
        reader.check()
    p50, p99 = percentiles([wait for reader in readers for wait in reader.waits])
    return {
        "figure": (first.ended - first.begun) / (streams * (job.facts.tokens - 1)) * 1e6,
        "p50 ms": p50 / 1e3,
        "p99 ms": p99 / 1e3,
        "start ms": (first.begun - before) / streams * 1e3,
        "end ms": (end - first.ended) / streams * 1e3,
        "KB/stream": (first.memory - memory) / streams / 1024,
        "threads more": first.threads - threads - streams,
    }


class Reader(threading.Thread):
    """Reads one stream. ``looks``: at the process's CPU at its first and last token, and at its
    memory and threads in the middle."""

    def __init__(self, job: Job, looks: bool) -> None:
        super().__init__()
        self._job = job
        self._looks = looks
        self._tokens = self._chars = 0
        # Made beforehand: it is not the client's memory.
        self.waits = array("q", bytes(8 * job.facts.tokens))
        self.memory = self.threads = 0
        self.begun = self.ended = 0.0
        self.error: Optional[Exception] = None

    def run(self) -> None:
        """The thread's life."""
        try:
            self._job.stream(self._take)
        except Exception as error:
            self.error = error

    def _take(self, text: str) -> None:
        self.waits[self._tokens] = time.monotonic_ns() - int(text)
        self._tokens += 1
        self._chars += len(text)
        if self._looks:
            self._look()

    def _look(self) -> None:
        if self._tokens == 1:
            self.begun = usage.cpu()
        elif self._tokens == self._job.facts.tokens // 2:
            self.memory, self.threads = usage.memory(), usage.threads()
        elif self._tokens == self._job.facts.tokens:
            self.ended = usage.cpu()

    def check(self) -> None:
        """Raise what the client raised, or WrongText."""
        if self.error is not None:
            raise self.error
        found, facts = (self._tokens, self._chars), self._job.facts
        if found != (facts.tokens, facts.chars):
            raise WrongText(f"expected {facts}, got {found}")
