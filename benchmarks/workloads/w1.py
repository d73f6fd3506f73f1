"""W1: one long stream of events of about 240 bytes, as fast as it goes: CPU an event."""

from __future__ import annotations

import gc
from typing import Any

from benchmarks import usage
from benchmarks.bodies import Spec
from benchmarks.case import Case, Size
from benchmarks.client import Job, check

#: A stream is read so many times, of which the cheapest counts: on a machine that others use, too,
#: a core is now and then half as fast for a second, and what disturbs only ever adds.
TIMES = 5

TITLE = "one long stream, CPU an event"
UNIT = "µs"


def cases(size: Size) -> list[Case]:
    """Framings of the same events; Anthropic's; some in which more than the text differs."""
    events = max(4000, int(200_000 * size.scale) // TIMES)
    return [
        Case("one event a chunk", Spec(events=events), 1.0),
        Case("16 events a chunk", Spec(events=events, framing="16"), 1.15),
        Case("Content-Length", Spec(events=events, framing="length"), 1.2),
        Case("cut anywhere", Spec(events=events, framing="cut"), 1.0),
        Case("CRLF", Spec(events=events, line_end="\r\n"), 1.0),
        Case("Anthropic", Spec("anthropic", events=events), 1.0),
        Case("OpenAI's padding", Spec(events=events, framing="16", payload="padded"), 1.15),
    ]


def measure(job: Job) -> dict[str, Any]:
    """CPU of reading one stream, without what the client does once."""
    return {"figure": min(_once(job) for _ in range(TIMES)) * 1e6}


def _once(job: Job) -> float:
    tokens: list[str] = []
    gc.collect()
    before = usage.cpu()
    job.stream(tokens.append)
    used = usage.cpu() - before
    check(tokens, job.facts)
    return used / len(tokens)
