"""Every rule of the diagnosis stands at a step of the call."""

from __future__ import annotations

from streamsafe.debug.diagnosis import RULES
from streamsafe.debug.finding import Finding
from streamsafe.debug.timeline import Fault, Timeline, Try
from streamsafe.doctor.checks import STEPS, checks, worst


def timeline(**facts):
    one = Try(1, 0.0, url="https://h/v1", outcome="failed")
    return Timeline("st", "openai", None, 0.0, 0.0, 1.0, tries=(one,), attempts=1, **facts)


def test_every_rule_stands_at_one_step():
    listed = [rule for rules in STEPS.values() for rule in rules]
    assert sorted(listed) == sorted(rule.name for rule in RULES)


def test_a_finding_of_an_unknown_rule_is_not_lost():
    found = checks(timeline(), [Finding("new", "warning", "T", "c", "r", ("e",))])
    assert [one.name for one in found if one.findings] == ["finish"] and worst(found) == "warning"


def test_a_failure_that_no_rule_knows_is_an_error_all_the_same():
    found = checks(timeline(verdict="failed", fault=Fault("LimitExceededError", "too long")), [])
    assert (found[-1].state, found[-1].said) == ("error", "LimitExceededError: too long")
    assert worst(found) == "error"


def test_the_password_of_a_proxy_is_not_shown():
    found = checks(timeline(), [], "http://me:hunter2hunter2@proxy:3128")
    assert found[0].said == "through http://***@proxy:3128"
