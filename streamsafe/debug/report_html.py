"""The report as one HTML page: nothing is loaded from elsewhere, and no script runs.

Here lives the layout; the picture is ``drawing``'s, the words are ``narrative``'s, the colours are
in ``report.css``. Every text goes through ``_text``: what servers send must not become markup.
"""

from __future__ import annotations

import html
import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional

from streamsafe.debug import drawing
from streamsafe.debug.analysis import Figures, Spread
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
from streamsafe.debug.timeline import Timeline, Try
from streamsafe.observe.words import plain, seconds, size

#: What is drawn, and in which class of the style sheet.
_LEGEND = (
    ("connecting", "connecting"),
    ("server", "waiting for the server"),
    ("consumer", "held by your program"),
    ("token", "a read with content"),
    ("beat", "heartbeat"),
    ("seam", "joined"),
    ("stall", "a warning of silence"),
    ("wait", "wait before the next attempt"),
)


def page(case: Case) -> str:
    """The whole page."""
    title = _text(f"{case.timeline.verdict}: stream {case.timeline.stream_id}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Whatever should slip through: nothing runs and nothing is fetched.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title>"
        "<style>body{margin:0;background:#fff}"
        "@media(prefers-color-scheme:dark){body{background:#14181e}}</style>"
        f"</head><body>{fragment(case)}</body></html>\n"
    )


def fragment(case: Case) -> str:
    """The report as a piece of a page, with its style: for notebooks."""
    findings = diagnose(case)
    sections = (
        _head(case.timeline, findings),
        _tiles(case),
        _picture(case.timeline),
        _diagnosis(case.timeline, findings),
        _shares(case.figures),
        _attempts(case.timeline),
        _chunks(case.figures),
        _details(case.timeline),
    )
    return f'<style>{_style()}</style><div class="ssr">{"".join(sections)}</div>'


def _style() -> str:
    from importlib import resources

    return resources.files("streamsafe.debug").joinpath("report.css").read_text("utf-8")


def _text(value: Any) -> str:
    return html.escape(plain(str(value)))


def _head(timeline: Timeline, findings: Sequence[Finding]) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(timeline.wall))
    who = " / ".join(one for one in (timeline.provider, timeline.model) if one)
    lead, words = gist(timeline, findings), headline(timeline)
    return (
        f'<header><span class="badge {timeline.verdict}">{verdict_word(timeline)}</span>'
        f"<h1>{_text(words[:1].upper() + words[1:])}</h1>"
        f'<p class="soft">{_text(who)} · {_text(timeline.stream_id)} · {when} UTC</p>'
        + (f"<p>{_text(complaint(timeline))}</p>" if timeline.fault is not None else "")
        + (f'<p class="gist">{_text(lead)}</p>' if lead else "")
        + "</header>"
    )


def _tiles(case: Case) -> str:
    figures = case.figures
    rate = figures.tokens_per_second
    tiles = [
        ("duration", seconds(figures.duration)),
        ("first byte", _or_dash(figures.first_byte, seconds)),
        ("first token", _or_dash(figures.first_token, seconds)),
        ("tokens / s", _or_dash(rate, lambda value: f"{value:,.1f}")),
        ("longest silence", _or_dash(_silence(case), seconds)),
        ("received", size(figures.bytes)),
    ]
    inner = "".join(
        f'<div class="tile"><b>{_text(value)}</b><span>{name}</span></div>' for name, value in tiles
    )
    return f'<div class="tiles">{inner}</div>'


def _silence(case: Case) -> Optional[float]:
    """The longest gap between tokens, or what was waited in vain at an attempt's end."""
    vain = [one.silence for one in case.timeline.tries if one.outcome == "failed" and one.reads]
    return max([case.figures.gaps.max or 0.0, *vain]) or None


def _or_dash(value: Any, show: Callable[[Any], str]) -> str:
    return "–" if value is None else show(value)


def _picture(timeline: Timeline) -> str:
    drawn = drawing.svg(timeline)
    if not drawn:
        return ""
    legend = "".join(
        f'<span><i class="swatch {kind}"></i>{words}</span>' for kind, words in _LEGEND
    )
    return (
        f'<h2>Timeline</h2><div class="scroll" tabindex="0">{drawn}</div>'
        f'<div class="legend">{legend}</div>'
    )


def _diagnosis(timeline: Timeline, findings: Iterable[Finding]) -> str:
    cards = "".join(_finding(finding, level(finding, timeline)) for finding in findings)
    return "<h2>Diagnosis</h2>" + (cards or '<p class="clear">Nothing wrong was found.</p>')


def _finding(finding: Finding, grade: str) -> str:
    seen = "".join(f"<li>{_text(line)}</li>" for line in finding.evidence)
    return (
        f'<div class="finding {grade.replace(",", "")}"><span class="level">{grade}</span>'
        f"<h3>{_text(finding.title)}</h3><p>{_text(finding.cause)}</p>"
        f'<p class="remedy"><b>What to do:</b> {_text(finding.remedy)}</p><ul>{seen}</ul></div>'
    )


def _shares(figures: Figures) -> str:
    shares = figures.shares
    parts = (
        ("connecting", "connecting", shares.connecting),
        ("server", "waiting for the server", shares.server),
        ("consumer", "held by your program", shares.consumer),
        ("backoff", "between attempts", shares.backoff),
        ("rest", "other", shares.rest),
    )
    whole = max(sum(value for _, _, value in parts), 1e-9)
    bar = "".join(
        f'<i class="swatch {kind}" style="flex-basis:{100 * value / whole:.2f}%"></i>'
        for kind, _, value in parts
    )
    legend = "".join(
        f'<span><i class="swatch {kind}"></i>{words} {seconds(value)} ({value / whole:.0%})</span>'
        for kind, words, value in parts
    )
    return (
        f'<h2>Where the time went</h2><div class="shares">{bar}</div>'
        f'<div class="legend">{legend}</div>'
    )


def _attempts(timeline: Timeline) -> str:
    rows = "".join(_attempt(one, timeline) for one in timeline.tries)
    return (
        '<h2>Attempts</h2><div class="scroll" tabindex="0"><table><tr><th>#</th><th>at</th>'
        "<th>status</th><th>first byte</th><th>took</th><th>reads</th>"
        f'<th class="words">outcome</th></tr>{rows}</table></div>'
    )


def _attempt(one: Try, timeline: Timeline) -> str:
    outcome = one.outcome or "running"
    if one.fault is not None:
        outcome += f": {one.fault.type}: {one.fault.message}"
    if one.request_id:
        outcome += f" (request id {one.request_id})"
    cells = (
        str(one.number),
        seconds(timeline.since(one.at)),
        str(one.status or "–"),
        _or_dash(None if one.first_read is None else one.first_read - one.at, seconds),
        seconds((one.ended or timeline.now) - one.at),
        f"{one.reads:,}",
    )
    inner = "".join(f"<td>{_text(cell)}</td>" for cell in cells)
    return f'<tr>{inner}<td class="words long">{_text(outcome)}</td></tr>'


def _chunks(figures: Figures) -> str:
    if not figures.reads:
        return ""
    rows = (
        _row("size of a read", figures.sizes, size),
        _row("time of a read", figures.waits, seconds),
        _row("events per read", figures.events_per_read, lambda value: f"{value:.1f}"),
        _row("gap between tokens", figures.gaps, seconds),
    )
    about = " (approximate: reads were merged to bound the memory)" if figures.approximate else ""
    return (
        f"<h2>Chunks</h2><p class='soft'>{figures.reads:,} reads, {size(figures.bytes)}, "
        f"{figures.events:,} events, {figures.heartbeats:,} heartbeats, {figures.chunks:,} chunks"
        f'{about}</p><div class="scroll" tabindex="0"><table><tr><th class="words"></th>'
        f"<th>min</th><th>avg</th><th>p50</th><th>p99</th><th>max</th></tr>"
        f"{''.join(rows)}</table></div>"
    )


def _row(name: str, spread: Spread, show: Callable[[float], str]) -> str:
    values = (spread.min, spread.avg, spread.p50, spread.p99, spread.max)
    cells = "".join(f"<td>{_or_dash(value, show)}</td>" for value in values)
    return f'<tr><td class="words">{name}</td>{cells}</tr>'


def _details(timeline: Timeline) -> str:
    steps = "".join(
        f'<tr><td>{timeline.since(step.at):.3f} s</td><td class="words long">{_text(said(step))}'
        "</td></tr>"
        for step in collapsed(timeline)
    )
    found = [("Every step", f"<table>{steps}</table>")]
    if timeline.tries:
        first = timeline.tries[0]
        found.append(("What was asked", f"<pre>{_lines(_asked(first))}</pre>"))
        heads = [one for one in timeline.tries if one.headers]
        if heads:
            lines = [f"{name}: {value}" for name, value in heads[-1].headers.items()]
            title = f"The answer's headers (attempt {heads[-1].number})"
            found.append((title, f"<pre>{_lines(lines)}</pre>"))
    errors = [line for one in timeline.tries for line in _error(one)]
    if errors:
        found.append(("Errors in full", f"<pre>{_lines(errors)}</pre>"))
    return "<h2>Details</h2>" + "".join(
        f'<details><summary>{_text(title)}</summary><div class="inside">{inner}</div></details>'
        for title, inner in found
    )


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(_text(line) for line in lines)


def _asked(one: Try) -> list[str]:
    lines = [f"{one.method} {one.url}"]
    lines += [f"{name}: {value}" for name, value in one.request_headers.items()]
    if one.body is not None:
        text = json.dumps(one.body, ensure_ascii=False, indent=2, default=str)
        lines += ["", *text.split("\n")]
    return lines


def _error(one: Try) -> list[str]:
    fault = one.fault
    if fault is None:
        return []
    lines = [f"attempt {one.number}: {fault.type}: {fault.message}"]
    if fault.hint:
        lines.append(f"  hint: {fault.hint}")
    if fault.given_up:
        lines.append(f"  given up: {fault.given_up}")
    if fault.body:
        lines.append(f"  the server said: {fault.body}")
    return lines + [f"  caused by {cause}" for cause in fault.causes]
