"""Narrative: a timeline in words, and long runs of reads as one line.

Here live the words that the text and the HTML report have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Optional

from streamsafe.debug.finding import Finding
from streamsafe.debug.logbook import merged
from streamsafe.debug.timeline import Mark, Read, Step, Timeline
from streamsafe.observe.words import seconds, size

#: Lines of a timeline that a reader still reads; the middle is left out where there are more.
MAX_LINES = 120
#: A read that took so many times the average of its run stands by itself, if it took this long.
OUTSTANDING, OUTSTANDING_SECONDS = 8.0, 0.5


def verdict_word(timeline: Timeline) -> str:
    """The verdict in a word or three."""
    return {"truncated": "cut off by length"}.get(timeline.verdict, timeline.verdict)


def headline(timeline: Timeline) -> str:
    """What there is to say of the verdict, to go on behind its word."""
    took = f"after {seconds(timeline.duration)}"
    tries = f"{timeline.attempts} attempt{'s' if timeline.attempts != 1 else ''}"
    got = f"{timeline.text_chars:,} characters"
    if timeline.verdict == "running":
        return f"for {seconds(timeline.duration)}, {tries}"
    if timeline.verdict == "failed":
        return f"{took} and {tries}, with {got} received"
    if timeline.verdict == "cancelled":
        why = f" ({timeline.reason})" if timeline.reason else ""
        return f"{took}{why}, with {got} received"
    finish = f", finish reason {timeline.finish_reason!r}" if timeline.finish_reason else ""
    return f"{took}, {tries}, {got}{finish}"


def complaint(timeline: Timeline) -> str:
    """The error that the stream ended in; "" if in none."""
    fault = timeline.fault
    return f"{fault.type}: {fault.message}" if fault is not None else ""


def gist(timeline: Timeline, findings: Sequence[Finding]) -> str:
    """The gravest finding in one line, and how many there are besides; "" if there is none."""
    if not findings:
        return ""
    first, more = findings[0], len(findings) - 1
    besides = f" (and {more} more)" if more else ""
    if first.severity != "error":
        return f"Worth knowing: {first.title}{besides}."
    lead = "Mended on the way" if mended(first, timeline) else "Likely cause"
    return f"{lead}: {first.title}{besides}."


def mended(finding: Finding, timeline: Timeline) -> bool:
    """Whether the stream ended well in spite of it: another attempt than the last had it."""
    well = timeline.verdict not in ("failed", "running")
    return well and bool(finding.attempts) and timeline.attempts not in finding.attempts


def level(finding: Finding, timeline: Timeline) -> str:
    """The severity in words."""
    healed = finding.severity == "error" and mended(finding, timeline)
    return f"{finding.severity}, mended" if healed else finding.severity


def collapsed(timeline: Timeline) -> list[Step]:
    """The steps with runs of reads as one; a read that was far slower than its run stands alone."""
    entries: list[Step] = []
    run: list[Read] = []
    for step in timeline.steps:
        if isinstance(step, Read) and (not run or run[-1].attempt == step.attempt):
            run.append(step)
            continue
        entries += _folded(run)
        run = []
        if isinstance(step, Read):
            run.append(step)
        else:
            entries.append(step)
    entries += _folded(run)
    if len(entries) > MAX_LINES:
        left = len(entries) - MAX_LINES
        half = MAX_LINES // 2
        gone = entries[half : half + left]
        note = Mark(gone[0].at, "omitted", gone[0].attempt, {"count": left})
        entries[half : half + left] = [note]
    return entries


def _folded(run: list[Read]) -> list[Step]:
    """First read, those between as one but for outstanding ones, last read."""
    if len(run) < 4:
        return list(run)
    usual = sum(read.waited for read in run) / sum(read.count for read in run)
    bound = max(OUTSTANDING_SECONDS, OUTSTANDING * usual)
    folded: list[Step] = [run[0]]
    together: Optional[Read] = None
    for read in run[1:-1]:
        alone = read.waited >= bound
        if together is not None and (alone or _is_beat(read) != _is_beat(together)):
            folded.append(together)
            together = None
        if alone:
            folded.append(read)
        else:
            together = read if together is None else merged(together, read)
    if together is not None:
        folded.append(together)
    return [*folded, run[-1]]


def _is_beat(read: Read) -> bool:
    return not read.content and read.heartbeats > 0


def said(step: Step) -> str:
    """One step in words."""
    if isinstance(step, Read):
        return _read(step)
    words = _WORDS.get(step.kind)
    return words(step.facts) if words is not None else step.kind


def _read(read: Read) -> str:
    what = [size(read.size)]
    if read.events:
        what.append(f"{read.events:,} event{'s' if read.events != 1 else ''}")
    if read.chars:
        what.append(f"{read.chars:,} character{'s' if read.chars != 1 else ''}")
    if read.heartbeats:
        what.append(f"{read.heartbeats:,} heartbeat{'s' if read.heartbeats != 1 else ''}")
    if read.count > 1:
        text = f"... {read.count:,} reads, {seconds(read.until - read.at)} in all: "
    else:
        text = "read "
    text += ", ".join(what) + f"; waited {seconds(read.waited)}"
    if read.count > 1:
        text += f", {seconds(read.longest)} at most"
    return text + (f"; held {seconds(read.held)} by the program" if read.held >= 0.01 else "")


def _opened(facts: Any) -> str:
    return f"HTTP {facts['status']}, {facts['content_type'] or 'no Content-Type'}"


def _over(facts: Any) -> str:
    fault = facts.get("fault")
    return f"attempt {facts['outcome']}" + (f": {fault.type}: {fault.message}" if fault else "")


def _retrying(facts: Any) -> str:
    return (
        f"retry as attempt {facts['number']} in {seconds(facts['delay'])}: {facts['reason']} "
        f"({facts['error']})"
    )


def _resumed(facts: Any) -> str:
    again = f", {facts['dropped']:,} characters came again" if facts["dropped"] else ""
    return (
        f"joined at character {facts['offset']:,} by {facts['how']}, "
        f"{facts['confidence']:.0%} sure{again}"
    )


_WORDS: dict[str, Callable[[Any], str]] = {
    "attempt": lambda facts: f"{facts['method']} {facts['url']}",
    "resolving": lambda facts: f"looking up {facts.get('host', 'the name')}",
    "resolved": lambda facts: f"addresses: {', '.join(facts.get('addresses', ())) or 'none'}",
    "connecting": lambda facts: f"connecting to {facts.get('address', 'the server')}",
    "connected": lambda facts: "connected",
    "tls": lambda facts: f"TLS: {facts.get('version')} {facts.get('cipher')}",
    "reused": lambda facts: f"connection reused: {facts.get('address', '')}",
    "stale": lambda facts: "the kept connection was dead; a new one",
    "sent": lambda facts: "request sent",
    "opened": _opened,
    "first token": lambda facts: "first token",
    "finish": lambda facts: f"finish reason {facts['reason']!r}",
    "ended": lambda facts: "the server ended the body"
    + (f", {facts['unfinished']} characters of an event left" if facts["unfinished"] else ""),
    "malformed": lambda facts: f"event skipped: {facts['fault'].message}",
    "stalled": lambda facts: f"silent for {seconds(facts['silent_for'])} (warning)",
    "over": _over,
    "retrying": _retrying,
    "resumed": _resumed,
    "verdict": lambda facts: f"verdict: {facts['verdict']}",
    "omitted": lambda facts: f"... {facts['count']:,} steps left out",
}
