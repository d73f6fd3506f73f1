"""Reports: figures as the plain dicts that programs, dashboards and terminals read.

Here live the keys and their meaning, and nothing that counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

from streamsafe.errors import ConfigurationError
from streamsafe.observe.figures import Figures, Ledger
from streamsafe.observe.windows import SPANS, Span

RUNNING = ("pending", "streaming", "retrying")
STATUSES = (*RUNNING, "complete", "failed", "cancelled", "lost")


class Picture(NamedTuple):
    """What a report is made of: the sums, the windows, and what runs at the moment."""

    ledger: Ledger
    windows: dict[str, Figures]
    active: int
    active_tokens: int
    processes: int = 1

    @classmethod
    def empty(cls) -> Picture:
        """The picture of nothing."""
        return cls(Ledger(), {of.name: Figures() for of in SPANS}, 0, 0, 0)


def stats(picture: Picture) -> dict[str, Any]:
    """The dict of ``StreamMonitor.get_stats``."""
    total = picture.ledger.total()
    return {
        "total_streams": total["started"],
        "active_streams": picture.active,
        "successful_streams": total.successful,
        "failed_streams": total["failed"],
        "cancelled_streams": total["cancelled"],
        "success_rate": total.success_rate,
        "retries": total["retries"],
        "total_tokens": total["tokens"] + picture.active_tokens,
        "estimated_tokens": total["estimated_tokens"],
        "total_bytes": total["bytes"],
        "total_chunks": total["chunks"],
        "errors_by_type": dict(total.errors()),
        "processes": picture.processes,
    }


def health(picture: Picture) -> dict[str, Any]:
    """The dict of ``StreamMonitor.get_health_report``."""
    ledger = picture.ledger
    report = summary(ledger.total())
    report["active_streams"] = picture.active
    report["processes"] = picture.processes
    report["by_provider"] = {name: summary(one) for name, one in ledger.by_provider().items()}
    report["by_model"] = {name: summary(one) for name, one in ledger.by_model().items()}
    report["windows"] = {
        of.name: {
            **summary(picture.windows[of.name]),
            "seconds": of.seconds,
            "bytes_per_second": picture.windows[of.name]["bytes"] / of.seconds,
        }
        for of in SPANS
    }
    return report


def summary(figures: Figures) -> dict[str, Any]:
    """What is said alike of the whole, of a provider, of a model and of a window."""
    durations = figures.measured("duration")
    return {
        "total_streams": figures["started"],
        "successful_streams": figures.successful,
        "truncated_streams": figures["truncated"],
        "filtered_streams": figures["filtered"],
        "failed_streams": figures["failed"],
        "cancelled_streams": figures["cancelled"],
        "success_rate": figures.success_rate,
        "avg_duration": durations["mean"] or 0.0,
        "avg_bytes_per_stream": figures.mean("ended_bytes"),
        "bytes": figures["bytes"],
        "chunks": figures["chunks"],
        "heartbeats": figures["heartbeats"],
        "tokens": figures["tokens"],
        "tokens_per_second": figures.tokens_per_second,
        "retries": figures["retries"],
        "reconnects": figures["reconnects"],
        "stalls": figures["stalls"],
        "seams": figures["seams"],
        "malformed": figures["malformed"],
        "durations": durations,
        "ttft": figures.measured("ttft"),
        "gaps": figures.measured("gap"),
        "common_errors": figures.errors(),
    }


def series(span: Span, buckets: Sequence[Figures], until: float) -> list[dict[str, Any]]:
    """The list of ``StreamMonitor.series``; ``until`` is where the last bucket ends."""
    first = until - span.width * len(buckets)
    return [
        {"at": first + span.width * place, "seconds": span.width, **_point(figures)}
        for place, figures in enumerate(buckets)
    ]


def _point(figures: Figures) -> dict[str, Any]:
    judged = figures.successful + figures["failed"]
    return {
        "total_streams": figures["started"],
        "successful_streams": figures.successful,
        "failed_streams": figures["failed"],
        "cancelled_streams": figures["cancelled"],
        "success_rate": figures.success_rate if judged else None,
        "ttft": figures.measured("ttft"),
        "gaps": figures.measured("gap"),
        "bytes": figures["bytes"],
        "chunks": figures["chunks"],
        "tokens": figures["tokens"],
        "retries": figures["retries"],
        "stalls": figures["stalls"],
    }


def wanted(status: Optional[str]) -> Sequence[str]:
    """The statuses that a ``status=`` asks for; ConfigurationError for another."""
    if status is not None and status not in (*STATUSES, "active"):
        raise ConfigurationError(
            f"status={status!r}: expected one of {', '.join(STATUSES)}, active, or None"
        )
    return RUNNING if status == "active" else STATUSES if status is None else (status,)


def newest(
    views: Iterable[dict[str, Any]], by: str = "started", limit: Optional[int] = None
) -> list[dict[str, Any]]:
    """Streams as in ``get_stream``, the newest first, ``limit`` at most."""
    found = sorted(views, key=lambda view: -view[by])
    return found if limit is None else found[: max(0, limit)]
