"""Finding and Rule: what the diagnosis is made of.

A rule is a row of a table: its words, and a small pure function that looks for the evidence. The
tables are in the ``rules_…`` files, one for each part of the way; ``diagnosis`` runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, NamedTuple, Optional

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
