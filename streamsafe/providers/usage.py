"""Usage objects: how figures that come in pieces are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


#: More tokens there are not; JSON as it is read here knows Infinity, too.
_MOST = 2**63


def count(value: Any) -> int:
    """A count as the server gave it, some as a float; 0 for what is none."""
    return int(value) if isinstance(value, (int, float)) and 0 <= value < _MOST else 0


def merge(into: dict[str, Any], usage: Mapping[str, Any]) -> None:
    """Later figures overwrite earlier ones; null never erases."""
    for name, value in usage.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            merge(into[name], value)
        elif value is not None or name not in into:
            into[name] = dict(value) if isinstance(value, Mapping) else value
