"""Analysis: a timeline to its figures. Pure sums; what they mean is the rules' to say.

Reads that were merged count with their averages, so that percentiles are approximate then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional

from streamsafe.debug.timeline import Mark, Read, Timeline, Try


class Spread(NamedTuple):
    """How a value is spread; all None where there was nothing to measure."""

    count: int = 0  # type: ignore[assignment]  # shadows tuple.count
    total: float = 0.0
    min: Optional[float] = None
    avg: Optional[float] = None
    p50: Optional[float] = None
    p99: Optional[float] = None
    max: Optional[float] = None


class Shares(NamedTuple):
    """Where the time went, in seconds. The server's is the time that the reader waited for it;
    ``rest`` is the client's own work, and what can't be told apart."""

    connecting: float = 0.0
    server: float = 0.0
    consumer: float = 0.0
    backoff: float = 0.0
    rest: float = 0.0


class Figures(NamedTuple):
    """The figures of one stream, over all of its attempts; times in seconds.

    ``waits`` are the times that single reads took, ``gaps`` those from one read with content to
    the next, without what the program held. ``first_byte`` and ``first_token`` count from the
    stream's start. ``approximate``: reads were merged.
    """

    duration: float = 0.0
    reads: int = 0
    bytes: int = 0
    events: int = 0
    heartbeats: int = 0
    chunks: int = 0
    sizes: Spread = Spread()
    waits: Spread = Spread()
    events_per_read: Spread = Spread()
    gaps: Spread = Spread()
    first_byte: Optional[float] = None
    first_token: Optional[float] = None
    tokens_per_second: Optional[float] = None
    shares: Shares = Shares()
    approximate: bool = False


def analyse(timeline: Timeline) -> Figures:
    """The figures of a timeline."""
    reads = timeline.reads
    first_token = _first(one.first_content for one in timeline.tries)
    shares = _shares(timeline)
    return Figures(
        duration=timeline.duration,
        reads=sum(read.count for read in reads),
        bytes=sum(read.size for read in reads),
        events=sum(read.events for read in reads),
        heartbeats=sum(read.heartbeats for read in reads),
        chunks=sum(read.chunks for read in reads),
        sizes=_sizes(reads),
        waits=_waits(reads),
        events_per_read=spread((read.events / read.count, read.count) for read in reads),
        gaps=spread(gaps(reads)),
        first_byte=_since(timeline, _first(one.first_read for one in timeline.tries)),
        first_token=_since(timeline, first_token),
        tokens_per_second=_rate(timeline, first_token),
        shares=shares,
        approximate=timeline.merged > 0,
    )


def spread(values: Iterable[tuple[float, int]]) -> Spread:
    """The spread of values, each with how many times it counts; percentiles by nearest rank."""
    ordered = sorted(values)
    count = sum(times for _, times in ordered)
    if not count:
        return Spread()
    total = sum(value * times for value, times in ordered)
    return Spread(
        count, total, ordered[0][0], total / count, _rank(ordered, count, 0.50),
        _rank(ordered, count, 0.99), ordered[-1][0],
    )  # fmt: skip


def gaps(reads: Iterable[Read]) -> list[tuple[float, int]]:
    """The server's pauses between reads that brought content, within each attempt."""
    found: list[tuple[float, int]] = []
    waited, attempt = 0.0, None
    for read in reads:
        if read.attempt != attempt:
            attempt, waited = read.attempt, -1.0
        if read.content:
            # The first content of an attempt ends no gap, but others in the same merged read do.
            if waited >= 0:
                found.append(((waited + read.waited) / read.content, read.content))
            elif read.content > 1:
                found.append((read.waited / read.content, read.content - 1))
            waited = 0.0
        elif waited >= 0:
            waited += read.waited
    return found


def _sizes(reads: list[Read]) -> Spread:
    found = spread((read.size / read.count, read.count) for read in reads)
    largest = max((read.largest or read.size for read in reads), default=None)
    return found._replace(max=largest)


def _waits(reads: list[Read]) -> Spread:
    found = spread((read.waited / read.count, read.count) for read in reads)
    longest = max((read.longest or read.waited for read in reads), default=None)
    return found._replace(max=longest)


def _rank(ordered: list[tuple[float, int]], count: int, part: float) -> float:
    wanted, seen = part * count, 0
    for value, times in ordered:
        seen += times
        if seen >= wanted:
            return value
    return ordered[-1][0]


def _shares(timeline: Timeline) -> Shares:
    connecting = sum(_connecting(one, timeline.now) for one in timeline.tries)
    waits = sum(read.waited for read in timeline.reads)
    server = waits + sum(_answering(one, timeline.now) for one in timeline.tries)
    consumer = timeline.held
    backoff = _backoff(timeline)
    rest = max(0.0, timeline.duration - connecting - server - consumer - backoff)
    return Shares(connecting, server, consumer, backoff, rest)


def _connecting(one: Try, now: float) -> float:
    """From the attempt's start until the request was out, or until it was over without that."""
    sent = one.sent or one.opened
    return (sent or one.ended or now) - one.at


def _answering(one: Try, now: float) -> float:
    """The waits that no read tells of: for the head and the first read, and one in vain."""
    sent = one.sent or one.opened
    if sent is None:
        return 0.0
    if one.first_read is None:
        return max(0.0, (one.ended or now) - sent)
    return max(0.0, one.first_read - sent) + (one.silence if one.outcome == "failed" else 0.0)


def _backoff(timeline: Timeline) -> float:
    """The waits between attempts."""
    total, since = 0.0, None
    for step in timeline.steps:
        if not isinstance(step, Mark):
            continue
        if step.kind == "retrying":
            since = step.at
        elif since is not None and step.kind in ("attempt", "verdict"):
            total, since = total + step.at - since, None
    return total


def _rate(timeline: Timeline, first: Optional[float]) -> Optional[float]:
    tokens, ended = timeline.output_tokens, timeline.ended
    if not tokens or first is None or ended is None:
        return None
    busy = ended - first - timeline.held
    return tokens / busy if busy > 0 else None


def _first(times: Iterable[Optional[float]]) -> Optional[float]:
    return next((at for at in times if at is not None), None)


def _since(timeline: Timeline, at: Optional[float]) -> Optional[float]:
    return None if at is None else at - timeline.at
