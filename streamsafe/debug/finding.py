"""Finding and Rule: what the diagnosis is made of.

A rule is a row of a table: its words, and a small pure function that looks for the evidence. The
tables are in the ``rules_…`` files, one for each part of the way; ``diagnosis`` runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional, Union

from streamsafe.debug.case import Case
from streamsafe.debug.timeline import Try

#: "error": it is (or was, in an attempt) why the stream broke; "warning": it costs time or will
#: break one day; "note": worth knowing.
SEVERITIES = ("error", "warning", "note")

#: Looks at one attempt, or at the whole case; gives the evidence, or nothing.
TryRule = Callable[[Try, Case], Sequence[str]]
CaseRule = Callable[[Case], Sequence[str]]


class Finding(NamedTuple):
    """What a rule found. ``attempts`` are the numbers of those it was found in, if of any."""

    rule: str
    severity: str
    title: str
    cause: str
    remedy: str
    evidence: tuple[str, ...]
    attempts: tuple[int, ...] = ()


class Rule(NamedTuple):
    """A row of the table. ``hides`` names rules that only say less of the same."""

    name: str
    severity: str
    title: str
    cause: str
    remedy: str
    of_try: Optional[TryRule] = None
    of_case: Optional[CaseRule] = None
    hides: tuple[str, ...] = ()


def seconds(value: float) -> str:
    """A time as people say it: 0.4 ms, 73 ms, 1.24 s, 12.4 s, 3 min 20 s."""
    if value < 0.01:
        return f"{value * 1000:.1f} ms"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 10:
        return f"{value:.2f} s"
    if value < 120:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {value % 60:.0f} s"


def size(value: Union[int, float]) -> str:
    """A number of bytes as people say it."""
    if value < 10_000:
        return f"{value:,.0f} B"
    if value < 1024 * 1024:
        return f"{value / 1024:,.1f} KiB"
    return f"{value / 1024 / 1024:,.1f} MiB"
