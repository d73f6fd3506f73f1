"""Forks: a forked child does not go on with what its parent is reading.

Here live who is told so. A connection has one reader: the bytes that a child takes from it are
missing in its parent. And a lock that another thread holds at that moment is held in the child by
nobody, for ever: whoever is told takes a new one.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

#: What a reader in the child is told.
REASON = "it is read by the process that this one was forked from"

_told: weakref.WeakSet[Any] = weakref.WeakSet()


def tell(one: Any) -> None:
    """Have ``one.forked()`` called in every child that is forked while it lives."""
    _told.add(one)


def _in_child() -> None:
    for one in list(_told):
        one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
