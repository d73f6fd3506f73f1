"""Usage objects: how figures that come in pieces are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def count(value: Any) -> int:
    """A count as the server gave it; 0 for what is none."""
    return value if isinstance(value, int) and value >= 0 else 0


def merge(into: dict[str, Any], usage: Mapping[str, Any]) -> None:
    """Later figures overwrite earlier ones; null never erases."""
    for name, value in usage.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            merge(into[name], value)
        elif value is not None or name not in into:
            into[name] = dict(value) if isinstance(value, Mapping) else value
