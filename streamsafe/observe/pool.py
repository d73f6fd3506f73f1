"""Pool: how the figures of all processes stand in a store, and how they are read from it.

Here lives the form that they have there. When a process adds its own is told in ``share``, what a
store does in ``stores``. All of these raise whatever the store raises.
"""

from __future__ import annotations

import json
from typing import Any

from streamsafe.observe.figures import Figures, Ledger
from streamsafe.observe.report import Picture
from streamsafe.observe.stores import Bucket, Store
from streamsafe.observe.windows import SPANS, Span

#: What a process says of its streams counts as "now" for so long: some missed sendings.
FRESH = 10.0

#: Between provider, model and name in the store; a control character stands in none of them.
_SEPARATOR = "\x1f"


def buckets(pending: Ledger, wall: float) -> list[Bucket]:
    """Figures as what a store adds: for ever by group, and to the current windows."""
    if not pending.groups:
        return []
    named = {
        _SEPARATOR.join((*group, name)): number
        for group, figures in pending.groups.items()
        for name, number in figures.flat().items()
    }
    total = pending.total().flat()
    found = [Bucket("all", 0.0, named)]
    for span in SPANS:
        keep = float(span.seconds + span.width)
        found.append(Bucket(f"{span.name}:{span.slot(wall)}", keep, total))
    return found


def picture(store: Store, wall: float) -> Picture:
    """The whole of all processes, as far as they have sent it."""
    windows = {
        span.name: Figures.of_flat(store.numbers(_names(span, wall))) for span in SPANS
    }
    said = documents(store, wall)
    return Picture(
        _ledger(store.numbers(["all"])),
        windows,
        sum(document["active"] for document in said),
        sum(document["active_tokens"] for document in said),
        len(said),
    )


def series(store: Store, wall: float, span: Span) -> list[Figures]:
    """The figures of each bucket of a window, the oldest first."""
    names = _names(span, wall)
    found = store.each(names)
    return [Figures.of_flat(found.get(name, {})) for name in names]


def documents(store: Store, wall: float) -> list[dict[str, Any]]:
    """What all processes said; of one that fell silent only its failures are left."""
    found = []
    for text in store.documents(wall):
        document = json.loads(text)
        if abs(wall - document["wall"]) > FRESH:
            document.update(active=0, active_tokens=0, streams=[])
        found.append(document)
    return found


def views(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The streams that documents tell of, as in ``StreamMonitor.get_stream``."""
    return [view for one in said for view in (*one["streams"], *one["failures"])]


def _names(span: Span, wall: float) -> list[str]:
    """The buckets of a window, the oldest first."""
    now = span.slot(wall)
    return [f"{span.name}:{slot}" for slot in range(now - span.slots + 1, now + 1)]


def _ledger(numbers: dict[str, float]) -> Ledger:
    groups: dict[tuple[str, str], dict[str, float]] = {}
    for named, number in numbers.items():
        provider, model, name = named.split(_SEPARATOR, 2)
        groups.setdefault((provider, model), {})[name] = number
    ledger = Ledger()
    for group, flat in groups.items():
        ledger.add(group, Figures.of_flat(flat))
    return ledger
