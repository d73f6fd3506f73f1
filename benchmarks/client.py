"""A client: a fresh process in which one peer reads what one case serves, and is measured.

``python -m benchmarks.client TASK`` prints one line of JSON: the figures, or "wrong" if the text
that came out is not what the server sent.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import zlib
from typing import Any, Callable, NamedTuple, Optional

from benchmarks import clients
from benchmarks.bodies import Facts


class Task(NamedTuple):
    """What the runner asks. ``url`` and ``warm`` end where a vendor's SDK wants its base URL to
    begin, as does ``beside``, the case's other body; ``core``: the one to run on, or None."""

    workload: str
    peer: str
    url: str
    warm: str
    api: str
    facts: list[Any]
    beside: Optional[str]
    beside_facts: Optional[list[Any]]
    arguments: dict[str, Any]
    core: Optional[int]


class Job(NamedTuple):
    """What a workload's ``measure`` is given. ``stream(take)`` reads one answer and hands each
    token to ``take``; it is warm. ``beside``: the same of the case's other body, if it has one."""

    stream: Callable[[Callable[[str], object]], None]
    facts: Facts
    arguments: dict[str, Any]
    peer: str
    beside: Optional[Callable[[Callable[[str], object]], None]] = None
    beside_facts: Optional[Facts] = None


class WrongText(Exception):
    """The client gave other text than the server sent."""


def check(tokens: list[str], facts: Facts) -> None:
    """Raise WrongText unless nothing was lost, doubled or changed."""
    text = "".join(tokens)
    crc = None if facts.crc is None else zlib.crc32(text.encode())
    found = Facts(len(tokens), len(text), crc)
    if found != facts:
        raise WrongText(f"expected {facts}, got {found}")


def run(task: Task) -> dict[str, Any]:
    """Warm up, then measure."""
    if task.core is not None:
        os.sched_setaffinity(0, {task.core})
    workload = importlib.import_module(f"benchmarks.workloads.{task.workload}")
    connect = clients.connector(task.peer)
    connect(task.warm, task.api)([].append)
    job = Job(connect(task.url, task.api), Facts(*task.facts), task.arguments, task.peer)
    if task.beside is not None:
        facts = Facts(*(task.beside_facts or ()))
        job = job._replace(beside=connect(task.beside, task.api), beside_facts=facts)
    try:
        return dict(workload.measure(job))
    except WrongText as error:
        return {"wrong": str(error)}


if __name__ == "__main__":
    print(json.dumps(run(Task(**json.loads(sys.argv[1])))), flush=True)
    # Some clients leave threads behind that a normal exit would wait for.
    os._exit(0)
