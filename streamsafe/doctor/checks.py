"""Checks: a timeline and its findings, sorted by the steps of a call. Pure.

Here lives what each step shows where nothing is wrong with it, and which rule of the diagnosis
speaks of which step. What is wrong, and what to do, are the rules' words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional
from urllib.parse import urlsplit

from streamsafe.debug.analysis import Figures, analyse
from streamsafe.debug.finding import SEVERITIES, Finding
from streamsafe.debug.masking import Masker
from streamsafe.debug.narrative import complaint
from streamsafe.debug.timeline import Timeline, Try
from streamsafe.observe.words import seconds

#: The steps of a call, in their order, and the rules that speak of each.
STEPS: dict[str, tuple[str, ...]] = {
    "proxy": ("proxy",),
    "name": ("dns",),
    "connect": ("refused", "clock-connect"),
    "TLS": ("certificate",),
    "status": (
        "rate-limit", "quota", "context-length", "authentication", "permission", "firewall",
        "not-found", "redirect", "too-large", "bad-request", "gateway", "overloaded",
        "server-error", "outer-retries",
    ),
    "headers": (
        "html-page", "content-type", "not-streamed", "compressed", "close-delimited",
        "declared-length", "json-error-200",
    ),
    "buffering": ("buffered", "full-buffers"),
    "heartbeats": ("heartbeats-only", "clock-stall"),
    "rhythm": (
        "slow-first-token", "clock-first_token", "clock-inactivity", "idle-timeout", "same-age",
        "slow-consumer",
    ),
    "events": (
        "bad-json", "single-newline", "doubled", "not-utf8", "bom", "cr-only", "error-in-stream",
    ),
    "finish": (
        "no-done", "no-finish", "ended-early", "cut-in-utf8", "cut-in-event", "tls-truncation",
        "reset", "no-answer", "not-http", "closed", "clock-total", "recording-ends",
        "cut-by-length", "filtered",
    ),
}  # fmt: skip


class Check(NamedTuple):
    """One step. ``state``: "ok", "note", "warning", "error", or "skipped": it was not reached, or
    there was nothing to see. ``said``: what was seen."""

    name: str
    state: str
    said: str
    findings: tuple[Finding, ...] = ()


class View(NamedTuple):
    """What the functions here look at: the call's one attempt, and what it was part of."""

    one: Try
    timeline: Timeline
    figures: Figures
    proxy: Optional[str]


def checks(
    timeline: Timeline, findings: Sequence[Finding], proxy: Optional[str] = None
) -> list[Check]:
    """A check for each step; a finding of a rule that is not listed stands at the finish.

    ``proxy`` is what the environment names for this URL, or None.
    """
    one = timeline.tries[-1] if timeline.tries else Try(0, timeline.at)
    view = View(one, timeline, analyse(timeline), proxy)
    return [_check(name, view, findings) for name in STEPS]


def worst(found: Sequence[Check]) -> str:
    """The gravest state of all: "error", "warning", "note" or "ok"."""
    return next((state for state in SEVERITIES if any(one.state == state for one in found)), "ok")


def _check(name: str, view: View, findings: Sequence[Finding]) -> Check:
    own = tuple(finding for finding in findings if _step_of(finding.rule) == name)
    said = _SAID[name](view)
    state = "ok" if said is not None else "skipped"
    state = next((each for each in SEVERITIES if any(f.severity == each for f in own)), state)
    fault = view.timeline.fault
    if name == "finish" and fault is not None and not any(f.severity == "error" for f in findings):
        return Check(name, "error", complaint(view.timeline), own)  # no rule knows this failure
    return Check(name, state, said or "", own)


def _step_of(rule: str) -> str:
    return next((name for name, rules in STEPS.items() if rule in rules), "finish")


# -- what is seen: each gives None for a step that was not reached ---------------------------------


def _proxy(view: View) -> Optional[str]:
    if view.proxy is None:
        return "none for this host"
    return f"through {Masker().url(view.proxy)}"


def _name(view: View) -> Optional[str]:
    one, host = view.one, urlsplit(view.one.url).hostname
    if "resolved" in one.steps:
        found = one.details["resolved"].get("addresses") or ()
        took = one.steps["resolved"] - one.steps.get("resolving", one.at)
        asked = one.details.get("resolving", {}).get("host", host)
        return f"{asked} is {', '.join(map(_bare, found))} ({seconds(took)})"
    if "connecting" in one.steps:
        return f"{host} is an address"
    return None


def _bare(address: str) -> str:
    return address.rpartition(":")[0] or address


def _connect(view: View) -> Optional[str]:
    one = view.one
    if "connected" not in one.steps:
        return None
    took = one.steps["connected"] - one.steps.get("connecting", one.at)
    return f"{one.details['connected'].get('address')} in {seconds(took)}"


def _tls(view: View) -> Optional[str]:
    one = view.one
    if not one.https and "connected" in one.steps:
        return "none: plain HTTP"
    if "tls" not in one.steps:
        return None
    facts = one.details["tls"]
    took = one.steps["tls"] - one.steps.get("connected", one.at)
    return f"{facts.get('version')}, {facts.get('cipher')} ({seconds(took)})"


def _status(view: View) -> Optional[str]:
    one = view.one
    if one.status is None:
        return None
    after = seconds((one.opened or one.at) - (one.sent or one.at))
    return f"HTTP {one.status} after {after}" + (
        f", request id {one.request_id}" if one.request_id else ""
    )


#: Headers that tell how the body is made and who stands on the way.
_SHOWN = ("content-encoding", "cache-control", "x-accel-buffering", "server", "via")


def _headers(view: View) -> Optional[str]:
    one = view.one
    if one.status is None:
        return None
    kind = one.content_type or "no Content-Type"
    framing = "chunked" if "transfer-encoding" in one.headers else (
        "of a known length" if "content-length" in one.headers else "ended by the connection"
    )
    shown = [f"{name}: {one.headers[name]}" for name in _SHOWN if one.headers.get(name)]
    return "; ".join([kind, framing, *shown])


def _buffering(view: View) -> Optional[str]:
    one, figures = view.one, view.figures
    if not one.events:
        return None
    per = figures.events_per_read.avg or 0.0
    return f"{one.events:,} events in {one.reads:,} reads, {per:.1f} a read"


def _heartbeats(view: View) -> Optional[str]:
    one = view.one
    if not one.events and not one.heartbeats:
        return None
    return f"{one.heartbeats:,}" if one.heartbeats else "none were sent"


def _rhythm(view: View) -> Optional[str]:
    one, figures = view.one, view.figures
    if one.first_content is None:
        return None
    parts = [f"first token after {seconds(one.first_content - (one.sent or one.at))}"]
    gaps = figures.gaps
    if gaps.p50 is not None and gaps.p99 is not None and gaps.max is not None:
        shown = f"p50 {seconds(gaps.p50)}, p99 {seconds(gaps.p99)}, max {seconds(gaps.max)}"
        parts.append(f"then gaps of {shown}")
    if figures.tokens_per_second is not None:
        about = "about " if view.timeline.tokens_estimated else ""
        parts.append(f"{about}{figures.tokens_per_second:,.0f} tokens/s")
    return ", ".join(parts)


def _events(view: View) -> Optional[str]:
    one = view.one
    if not one.events or view.timeline.malformed:
        return None
    return f"all {one.events:,} could be read"


def _finish(view: View) -> Optional[str]:
    one, timeline = view.one, view.timeline
    if one.outcome not in ("complete", "truncated", "filtered"):
        return None
    reason = timeline.finish_reason or "none"
    done = ", [DONE]" if one.shape.done else ""
    tokens = ""
    if timeline.output_tokens:
        about = "about " if timeline.tokens_estimated else ""
        tokens = f", {about}{timeline.output_tokens:,} tokens"
    return f"finish reason {reason}{done}, {timeline.text_chars:,} characters{tokens}"


_SAID: dict[str, Callable[[View], Optional[str]]] = {
    "proxy": _proxy,
    "name": _name,
    "connect": _connect,
    "TLS": _tls,
    "status": _status,
    "headers": _headers,
    "buffering": _buffering,
    "heartbeats": _heartbeats,
    "rhythm": _rhythm,
    "events": _events,
    "finish": _finish,
}
