"""Diagnosis: runs the tables of rules over a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from streamsafe.debug import rules_api, rules_body, rules_time, rules_transport
from streamsafe.debug.case import Case
from streamsafe.debug.finding import SEVERITIES, Finding, Rule

#: All rules; within a severity they are told in this order.
RULES: tuple[Rule, ...] = (
    *rules_api.RULES,
    *rules_transport.RULES,
    *rules_body.RULES,
    *rules_time.RULES,
)

#: Lines of evidence that one finding shows.
MAX_EVIDENCE = 6


def diagnose(case: Case) -> list[Finding]:
    """The findings, the gravest first, and of these what ended the stream; empty if all is well."""
    found = {rule.name: _apply(rule, case) for rule in RULES}
    told = [one for one in found.values() if one is not None and not _hidden(one, found)]
    last = case.timeline.attempts

    def gravity(finding: Finding) -> tuple[int, bool]:
        mended = bool(finding.attempts) and last not in finding.attempts
        return SEVERITIES.index(finding.severity), mended

    return sorted(told, key=gravity)


def _hidden(finding: Finding, found: Mapping[str, Optional[Finding]]) -> bool:
    """Whether others say more of the same, on every attempt that it was found in."""
    covered: set[int] = set()
    for rule in RULES:
        other = found[rule.name]
        if other is not None and finding.rule in rule.hides:
            if not other.attempts:  # of the stream as a whole
                return True
            covered.update(other.attempts)
    return bool(covered) and covered.issuperset(finding.attempts)


def _apply(rule: Rule, case: Case) -> Optional[Finding]:
    evidence: list[str] = []
    attempts: list[int] = []
    if rule.of_case is not None:
        evidence += rule.of_case(case)
    if rule.of_try is not None:
        for one in case.timeline.tries:
            lines = rule.of_try(one, case)
            if lines:
                attempts.append(one.number)
                where = f"attempt {one.number}: " if case.timeline.attempts > 1 else ""
                evidence += [where + line for line in lines]
    if not evidence:
        return None
    if len(evidence) > MAX_EVIDENCE:
        evidence[MAX_EVIDENCE - 1 :] = [f"… and {len(evidence) - MAX_EVIDENCE + 1} more like these"]
    return Finding(
        rule.name, rule.severity, rule.title, rule.cause, rule.remedy, tuple(evidence),
        tuple(attempts),
    )  # fmt: skip
