"""The report as text, in 80 columns: verdict, request, attempts, timeline, figures, diagnosis.

Here lives the layout alone. What comes from a server is shown without control characters.
"""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterable, Sequence
from typing import Optional

from streamsafe.debug.analysis import Spread
from streamsafe.debug.case import Case
from streamsafe.debug.diagnosis import diagnose
from streamsafe.debug.finding import Finding
from streamsafe.debug.narrative import (
    collapsed,
    complaint,
    gist,
    headline,
    level,
    said,
    verdict_word,
)
from streamsafe.debug.timeline import Fault, Timeline, Try
from streamsafe.observe.words import plain, seconds, size

WIDTH = 80


def report(case: Case) -> str:
    """The whole report."""
    findings = diagnose(case)
    sections = [
        _head(case, findings),
        _section("ASKED", _asked(case)),
        _section("ANSWERED", _answered(case)),
        _section("ATTEMPTS", _attempts(case)),
        _section("ERRORS", _errors(case)),
        _section("TIMELINE", _timeline(case)),
        _section("CHUNKS", _chunks(case)),
        _section("TIME", _time(case)),
        _section("DIAGNOSIS", _diagnosis(case.timeline, findings)),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *lines] if lines else []


def _wrapped(text: str, first: str, rest: Optional[str] = None) -> list[str]:
    indent = " " * len(first) if rest is None else rest
    return textwrap.wrap(
        plain(text), WIDTH, initial_indent=first, subsequent_indent=indent,
        break_on_hyphens=False,
    ) or [first.rstrip()]  # fmt: skip


def _head(case: Case, findings: Sequence[Finding]) -> list[str]:
    timeline = case.timeline
    model = f" / {timeline.model}" if timeline.model else ""
    lines = [f"Stream {timeline.stream_id} ({plain(timeline.provider + model)})"]
    lines += _wrapped(f"{verdict_word(timeline).upper()} {headline(timeline)}", "")
    if timeline.fault is not None:
        lines += _wrapped(complaint(timeline), "")
    if findings:
        lines += _wrapped(gist(timeline, findings), "")
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(timeline.wall))
    return [*lines, f"Began {when} UTC, took {seconds(case.figures.duration)}."]


def _asked(case: Case) -> list[str]:
    if not case.timeline.tries:
        return []
    first = case.timeline.tries[0]
    lines = _wrapped(f"{first.method} {first.url}", "  ", "    ")
    for name, value in first.request_headers.items():
        lines += _wrapped(f"{name}: {value}", "  ", "    ")
    if first.body is not None:
        text = json.dumps(first.body, ensure_ascii=False, default=str)
        shown = text if len(text) <= 600 else text[:600] + "…"
        lines += _wrapped(shown, "  ", "    ")
    return lines


def _answered(case: Case) -> list[str]:
    """Status and headers of the last attempt that had any."""
    answered = [one for one in case.timeline.tries if one.status is not None]
    if not answered:
        return []
    last = answered[-1]
    where = f" (attempt {last.number})" if case.timeline.attempts > 1 else ""
    lines = [f"  HTTP {last.status}{where}"]
    for name, value in last.headers.items():
        lines += _wrapped(f"{name}: {value}", "  ", "    ")
    return lines


def _attempts(case: Case) -> list[str]:
    lines = ["   #      at  status  first byte      took    reads  outcome"]
    for one in case.timeline.tries:
        at = seconds(case.timeline.since(one.at))
        first = seconds(one.first_read - one.at) if one.first_read is not None else "-"
        took = seconds((one.ended or case.timeline.now) - one.at)
        outcome = one.fault.type if one.fault is not None else one.outcome or "running"
        lines.append(
            f"{one.number:>4} {at:>9} {one.status or '-':>6} {first:>11} {took:>9} "
            f"{one.reads:>8}  {outcome}"
        )
    missing = case.timeline.attempts - len(case.timeline.tries)
    return lines + ([f"     ({missing} attempts are not shown)"] if missing > 0 else [])


def _errors(case: Case) -> list[str]:
    lines: list[str] = []
    for one in case.timeline.tries:
        if one.fault is not None:
            lines += _error(one, one.fault)
    return lines


def _error(one: Try, fault: Fault) -> list[str]:
    lines = _wrapped(f"{fault.type}: {fault.message}", f"  {one.number}. ")
    if one.request_id:
        lines += _wrapped(f"request id {one.request_id}", "     ")
    if fault.body and fault.body not in fault.message:
        lines += _wrapped(f"the server said: {fault.body}", "     ")
    if fault.causes:
        lines += _wrapped(f"caused by {fault.causes[-1]}", "     ")
    if fault.given_up:
        lines += _wrapped(f"given up: {fault.given_up}", "     ")
    return lines


def _timeline(case: Case) -> list[str]:
    lines: list[str] = []
    for entry in collapsed(case.timeline):
        lines += _wrapped(said(entry), f"{case.timeline.since(entry.at):>10.3f} s  ", " " * 14)
    return lines


def _chunks(case: Case) -> list[str]:
    figures = case.figures
    if not figures.reads:
        return ["  nothing of a stream was read"]
    lines = [
        f"  {figures.reads:,} reads, {size(figures.bytes)}, {figures.events:,} events, "
        f"{figures.heartbeats:,} heartbeats, {figures.chunks:,} chunks",
        "                        min       avg       p50       p99       max",
        _spread("size of a read", figures.sizes, size),
        _spread("time of a read", figures.waits, seconds),
        _spread("events per read", figures.events_per_read, lambda value: f"{value:.1f}"),
        _spread("gap between tokens", figures.gaps, seconds),
    ]
    if figures.approximate:
        lines.append("  (approximate: reads were merged to bound the memory)")
    return [line for line in lines if line]


def _spread(name: str, spread: Spread, show: object) -> str:
    if spread.min is None:
        return ""
    values = (spread.min, spread.avg, spread.p50, spread.p99, spread.max)
    return f"  {name:<18}" + "".join(f"{show(value):>10}" for value in values)  # type: ignore


def _time(case: Case) -> list[str]:
    figures, shares = case.figures, case.figures.shares
    lines = []
    if figures.first_byte is not None:
        lines.append(f"  first byte after {seconds(figures.first_byte)}")
    if figures.first_token is not None:
        lines.append(f"  first token after {seconds(figures.first_token)}")
    if figures.tokens_per_second is not None:
        about = "about " if case.timeline.tokens_estimated else ""
        lines.append(f"  {about}{figures.tokens_per_second:,.1f} tokens per second after it")
    parts = (
        ("connecting", shares.connecting),
        ("waiting for the server", shares.server),
        ("held by your program", shares.consumer),
        ("between attempts", shares.backoff),
        ("other", shares.rest),
    )
    whole = max(sum(value for _, value in parts), 1e-9)
    for name, value in parts:
        bar = "#" * round(30 * value / whole)
        lines.append(f"  {name:<23}{seconds(value):>11} {value / whole:>5.0%}  {bar}".rstrip())
    return lines


def _diagnosis(timeline: Timeline, findings: Iterable[Finding]) -> list[str]:
    lines: list[str] = []
    for number, finding in enumerate(findings, 1):
        about = f"[{level(finding, timeline)}: {finding.rule}]"
        lines += _wrapped(f"{finding.title}  {about}", f"  {number}. ")
        lines += _wrapped(finding.cause, "     why   ")
        lines += _wrapped(finding.remedy, "     do    ")
        for evidence in finding.evidence:
            lines += _wrapped(evidence, "     seen  ")
    return lines or ["  Nothing wrong was found."]
