"""Parts: what the page shows, as plain values. It is sent part by part, when a part changes.

Here lives which of the figures are shown, and nothing of how they look. The keys are between this
file and the page's script; programs read ``StreamMonitor.get_health_report``.
"""

from __future__ import annotations

import time
from typing import Any, Optional

from streamsafe.version import VERSION
from streamsafe.web.dashboard.source import Debugger, Source

#: Rows that a page still shows well; how many more there are is told.
MAX_ACTIVE = 50
MAX_FAILURES = 20
MAX_GROUPS = 12
MAX_ERRORS = 8
WINDOWS = ("1m", "5m", "1h")
#: Seconds between two looks at the figures over time: the narrowest part of a window is as wide,
#: and they are the dearest to gather and the longest to send.
SERIES_EVERY = 5.0

_STREAM = (
    "stream_id", "provider", "model", "status", "started", "duration", "silent_for", "bytes",
    "chunks", "heartbeats", "attempts", "retries", "stalls", "tokens", "tokens_per_second", "ttft",
)  # fmt: skip
_FAILURE = (*_STREAM, "ended", "errors", "error_count", "http_status", "request_id", "seams")
_SUMS = (
    "total_streams", "successful_streams", "truncated_streams", "filtered_streams",
    "failed_streams", "cancelled_streams", "success_rate", "avg_duration", "bytes", "chunks",
    "tokens", "tokens_per_second", "retries", "stalls", "seams", "ttft", "gaps",
)  # fmt: skip


class Parts:
    """Asks a source, and a debugger if there is one, for what the page shows."""

    def __init__(self, source: Source, debugger: Optional[Debugger] = None) -> None:
        self._source = source
        self._debugger = debugger
        # What ended does not change any more. One thread at a time: the feed sees to it.
        self._findings: dict[str, Optional[list[dict[str, Any]]]] = {}
        self._series: dict[str, Any] = {}
        self._series_due = 0.0

    def all(self) -> dict[str, Any]:
        """All parts by name."""
        health = self._source.get_health_report()
        active = self._source.streams("active")
        failures = self._source.failures(MAX_FAILURES)
        windows = {name: _picked(health["windows"][name], _SUMS) for name in WINDOWS}
        found = {
            "about": {
                "version": VERSION,
                "processes": health["processes"],
                "store_failure": health["store_failure"],
            },
            "alerts": health["alerts"],
            "totals": {
                **_picked(health, _SUMS),
                "active_streams": health["active_streams"],
                "windows": windows,
            },
            "errors": health["common_errors"][:MAX_ERRORS],
            "providers": _groups(health["by_provider"]),
            "models": _groups(health["by_model"]),
            "active": [_picked(view, _STREAM) for view in active[:MAX_ACTIVE]],
            "failures": self._failures(failures),
        }
        rounded = {name: _rounded(part) for name, part in found.items()}
        return {**rounded, "series": self._over_time()}

    def report(self, stream_id: str) -> Optional[str]:
        """The debugger's report as a page; None if there is none."""
        if self._debugger is None:
            return None
        try:
            return self._debugger.report(stream_id, format="html")
        except LookupError:
            return None

    def _over_time(self) -> dict[str, Any]:
        now = time.monotonic()
        if now >= self._series_due:
            found = {name: _slim(self._source.series(name)) for name in WINDOWS}
            self._series, self._series_due = _rounded(found), now + SERIES_EVERY
        return self._series

    def _failures(self, views: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known = self._findings
        # By its end too: a stream may be gone on with under its old id, and fail again.
        keys = [f"{view['stream_id']} {view['ended']}" for view in views]
        self._findings = {
            key: known[key] if key in known else self._found(view["stream_id"])
            for key, view in zip(keys, views)
        }
        return [
            {**_picked(view, _FAILURE), "findings": self._findings[key]}
            for key, view in zip(keys, views)
        ]

    def _found(self, stream_id: str) -> Optional[list[dict[str, Any]]]:
        """The diagnosis; None where no debugger knows the stream, and there is no report."""
        if self._debugger is None:
            return None
        try:
            findings = self._debugger.diagnose(stream_id)
        except LookupError:
            return None
        return [finding._asdict() for finding in findings]


def _picked(view: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: view[name] for name in names}


def _groups(by_name: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The busiest providers or models."""
    busiest = sorted(by_name.items(), key=lambda pair: -pair[1]["total_streams"])
    return [{"name": name, **_picked(one, _SUMS)} for name, one in busiest[:MAX_GROUPS]]


def _slim(series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A series without what is not drawn; an empty distribution is None."""
    return [
        {
            name: (value if value["count"] else None) if isinstance(value, dict) else value
            for name, value in point.items()
        }
        for point in series
    ]


def _rounded(value: Any) -> Any:
    """Without digits that nobody sees: they are half of what goes over the wire."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return value
