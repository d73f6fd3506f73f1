"""HTML: the figures of the moment as a piece of a page, for notebooks. Nothing in it runs.

Here lives the layout. Every text goes through ``_text``: what servers send must not become markup.
Colours are those of the page that it stands in, whether that is light or dark.
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from streamsafe.observe.words import or_dash, plain, rate, seconds, size, success

#: Rows that are shown of each kind.
MAX_ROWS = 10

_SOFT = "opacity:.65;font-size:85%"
_BOX = "border:1px solid #8886;border-radius:8px;padding:6px 12px;min-width:6.5em"
_CELL = "padding:3px 12px 3px 0;text-align:left;white-space:nowrap"


class Source(Protocol):
    """What has figures: StreamMonitor, SharedFigures."""

    def get_health_report(self) -> dict[str, Any]:
        """How the streams fare."""

    def streams(self, status: str) -> list[dict[str, Any]]:
        """Those of a status."""

    def failures(self, limit: int) -> list[dict[str, Any]]:
        """The last that failed."""


def fragment(source: Source) -> str:
    """The figures of the last five minutes, what runs, and what failed last."""
    health = source.get_health_report()
    active, failed = source.streams("active"), source.failures(5)
    parts = [_tiles(health)]
    for alert in health["alerts"]:
        parts.append(f"<p><b>{_text(alert['name'])}</b></p>")
    if health["store_failure"]:
        parts.append(f"<p>The shared store fails: {_text(health['store_failure'])}</p>")
    if health["common_errors"]:
        met = ", ".join(f"{name} {times}" for name, times in health["common_errors"][:MAX_ROWS])
        parts.append(f'<p style="{_SOFT}">errors met: {_text(met)}</p>')
    if active:
        more = f", the newest {MAX_ROWS} of {len(active)}" if len(active) > MAX_ROWS else ""
        parts.append(_table("Active streams" + more, _STREAM, map(_stream, active[:MAX_ROWS])))
    if failed:
        parts.append(_table("Last failures", _FAILURE, map(_failure, failed)))
    return '<div style="font-variant-numeric:tabular-nums">' + "".join(parts) + "</div>"


def _tiles(health: dict[str, Any]) -> str:
    now = health["windows"]["5m"]
    tiles = (
        ("active", str(health["active_streams"]), f"{health['total_streams']} since the start"),
        ("success", success(now), f"{now['failed_streams']} failed"),
        ("first token", _time(now["ttft"]["p50"]), f"p99 {_time(now['ttft']['p99'])}"),
        ("gap", _time(now["gaps"]["p50"]), f"p99 {_time(now['gaps']['p99'])}"),
        ("speed", or_dash(now["tokens_per_second"], rate), f"{now['tokens']} tokens"),
        ("received", size(now["bytes_per_second"]) + "/s", size(now["bytes"])),
        ("retries", str(now["retries"]), f"{now['stalls']} stalls"),
    )
    boxes = "".join(
        f'<div style="{_BOX}"><div style="{_SOFT}">{name}</div><b style="font-size:125%">'
        f'{_text(big)}</b><div style="{_SOFT}">{_text(small)}</div></div>'
        for name, big, small in tiles
    )
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:8px">{boxes}</div>'
        f'<div style="{_SOFT};margin:4px 0 10px">the last five minutes, at {_clock(time.time())}'
        "</div>"
    )


_STREAM = ("stream", "model", "status", "running", "first token", "tokens", "received", "retries")
_FAILURE = ("stream", "model", "at", "error", "message")


def _stream(view: dict[str, Any]) -> Sequence[str]:
    about = "≈ " if view["tokens"]["estimated"] else ""
    return (
        view["stream_id"],
        view["model"] or view["provider"] or "–",
        view["status"],
        seconds(view["duration"]),
        _time(view["ttft"]),
        f"{about}{view['tokens']['total']}",
        size(view["bytes"]),
        str(view["retries"]),
    )


def _failure(view: dict[str, Any]) -> Sequence[str]:
    last = view["errors"][-1] if view["errors"] else {"type": "–", "message": ""}
    model = view["model"] or view["provider"] or "–"
    return (view["stream_id"], model, _clock(view["ended"]), last["type"], last["message"][:100])


def _table(title: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(tag: str, style: str, texts: Sequence[str]) -> str:
        cells = "".join(
            f'<{tag} style="{_CELL};{style}">{_text(text)}</{tag}>' for text in texts
        )
        return f'<tr style="background:none">{cells}</tr>'

    body = "".join(line("td", "", row) for row in rows)
    return (
        f'<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0 0 10px">'
        f'<caption style="text-align:left;font-weight:600">{_text(title)}</caption>'
        f"{line('th', _SOFT + ';font-weight:400', names)}{body}</table></div>"
    )


def _time(value: Any) -> str:
    return or_dash(value, seconds)


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _text(value: Any) -> str:
    return html.escape(plain(str(value)))
