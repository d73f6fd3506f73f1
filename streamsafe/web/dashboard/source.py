"""Source: what the dashboard shows figures of. A StreamMonitor is one, SharedFigures another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Protocol


class Source(Protocol):
    """Figures, with the keys that StreamMonitor documents. Any thread may ask."""

    def get_stats(self) -> dict[str, Any]:
        """The counts."""

    def get_health_report(self) -> dict[str, Any]:
        """How the streams fare."""

    def streams(self, status: Optional[str] = None) -> list[dict[str, Any]]:
        """Those that are known."""

    def failures(self, limit: int = 20) -> list[dict[str, Any]]:
        """The last that failed."""

    def series(self, window: str = "5m") -> list[dict[str, Any]]:
        """The figures over time."""


class Debugger(Protocol):
    """What is asked of a StreamDebugger; LookupError for a stream that it does not know."""

    def diagnose(self, stream_id: Optional[str] = None) -> Sequence[Any]:
        """What was found wrong, as Findings."""

    def report(self, stream_id: Optional[str] = None, format: str = "text") -> str:
        """What happened and why."""
