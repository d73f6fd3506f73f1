"""Forks: a forked child does not go on with what its parent is reading.

Here live who is told so. A connection has one reader: the bytes that a child takes from it are
missing in its parent.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

#: What a reader in the child is told.
REASON = "it is read by the process that this one was forked from"

_reading: weakref.WeakSet[Any] = weakref.WeakSet()


def reads(reader: Any) -> None:
    """Have ``reader.forked()`` called in every child that is forked while it lives."""
    _reading.add(reader)


def _in_child() -> None:
    for reader in list(_reading):
        reader.forked()
    _reading.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
