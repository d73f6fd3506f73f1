"""Words: numbers as people say them, and texts as a terminal may have them."""

from __future__ import annotations

import json
from typing import Any, Callable, Optional, Union

Number = Union[int, float]


def seconds(value: float) -> str:
    """A time as people say it: 0.4 ms, 73 ms, 1.24 s, 12.4 s, 3 min 20 s, 24 h 0 min."""
    # A bound is where the shorter form would round up to it.
    if value < 0.00995:
        return f"{value * 1000:.1f} ms"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 119.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(value / 60), 60)
    return f"{hours:,} h {minutes} min"


def size(value: Number) -> str:
    """A number of bytes as people say it."""
    if value < 10_000:
        return f"{value:,.0f} B"
    if value < 1024 * 1024:
        return f"{value / 1024:,.1f} KiB"
    return f"{value / 1024 / 1024:,.1f} MiB"


def percent(value: float) -> str:
    """A fraction in percent; what is not quite all or nothing is not rounded to it."""
    if value in (0, 1):
        return f"{value * 100:.0f} %"
    return f"{min(99.9, max(0.1, value * 100)):.1f} %"


def rate(value: float) -> str:
    """Tokens per second."""
    return f"{value:.1f} tok/s" if value < 10 else f"{value:.0f} tok/s"


def or_dash(value: Optional[Number], show: Callable[[float], str]) -> str:
    """The value as ``show`` has it, or a dash for None."""
    return "–" if value is None else show(value)


def success(figures: dict[str, object]) -> str:
    """The success rate of a report; a dash where nothing was judged yet."""
    judged = figures["successful_streams"] or figures["failed_streams"]
    return percent(float(str(figures["success_rate"]))) if judged else "–"


def plain(text: str) -> str:
    """Without control characters: what a server sends must not steer a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def pretty_json(value: Any) -> str:
    """JSON for programs and people. Half a surrogate pair, which JSON may hold and no file can,
    stands as the escape that it came as."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return text.encode("utf-8", "backslashreplace").decode()
