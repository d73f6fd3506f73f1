"""The page on monitoring names every key that a report has."""

from __future__ import annotations

from pathlib import Path

from streamsafe.monitor import StreamMonitor

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.rst").read_text("utf-8")


def test_every_key_of_the_reports_is_documented():
    monitor = StreamMonitor()
    health = monitor.get_health_report()
    keys = {*monitor.get_stats(), *health, *health["windows"]["5m"], *health["ttft"]}
    assert [key for key in sorted(keys) if f"``{key}``" not in PAGE] == []
