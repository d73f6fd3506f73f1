"""The report as JSON: the same facts for programs. Version 1; keys may be added."""

from __future__ import annotations

from typing import Any

from streamsafe.debug.case import Case
from streamsafe.debug.diagnosis import diagnose
from streamsafe.debug.timeline import Mark, Step, Timeline, Try
from streamsafe.observe.words import pretty_json

VERSION = 1


def report(case: Case) -> str:
    """The report's JSON text; times are seconds since the stream's start."""
    return pretty_json(facts(case))


def facts(case: Case) -> dict[str, Any]:
    """The report as plain values."""
    timeline = case.timeline
    return {
        "version": VERSION,
        "stream_id": timeline.stream_id,
        "provider": timeline.provider,
        "model": timeline.model,
        "began": timeline.wall,
        "duration": timeline.duration,
        "verdict": timeline.verdict,
        "finish_reason": timeline.finish_reason,
        "error": _plain(timeline.fault),
        "attempts": [_attempt(one, timeline) for one in timeline.tries],
        "steps": [_step(step, timeline) for step in timeline.steps],
        "steps_merged": timeline.merged,
        "steps_dropped": timeline.dropped,
        "figures": _plain(case.figures),
        "diagnosis": [_plain(finding) for finding in diagnose(case)],
    }


def _attempt(one: Try, timeline: Timeline) -> dict[str, Any]:
    found: dict[str, Any] = _plain(one)
    for name in ("at", "opened", "first_read", "last_read", "first_content", "last_content",
                 "ended"):  # fmt: skip
        if found[name] is not None:
            found[name] = timeline.since(found[name])
    found["steps"] = {name: timeline.since(at) for name, at in one.steps.items()}
    return found


def _step(step: Step, timeline: Timeline) -> dict[str, Any]:
    if isinstance(step, Mark):
        return {
            "at": timeline.since(step.at),
            "kind": step.kind,
            "attempt": step.attempt,
            "facts": _plain(dict(step.facts)),
        }
    found: dict[str, Any] = _plain(step)
    found.update(at=timeline.since(step.at), last=timeline.since(step.until), kind="read")
    return found


def _plain(value: Any) -> Any:
    """Named tuples as objects, all the way down."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
