"""The rules whose evidence takes minutes on a real socket, on timelines that were made up."""

from __future__ import annotations

import pytest

from streamsafe.debug.case import Case
from streamsafe.debug.diagnosis import diagnose
from streamsafe.debug.rules_transport import limits_near
from streamsafe.debug.thresholds import Thresholds
from streamsafe.debug.timeline import Fault, Timeline, Try

DROPPED = Fault("ConnectionDroppedError", "the connection ended inside the body")
CHUNKED = {"transfer-encoding": "chunked", "content-type": "text/event-stream"}


def cut(number, at, last_read, ended, fault=DROPPED, **facts):
    facts = {"status": 200, "opened": at + 0.2, "headers": CHUNKED, "reads": 3, **facts}
    return Try(
        number, at, steps={"sent": at}, first_read=at + 0.3, last_read=last_read, ended=ended,
        outcome="failed", fault=fault, **facts,
    )  # fmt: skip


def findings(*tries):
    end = tries[-1].ended
    timeline = Timeline(
        "s", "openai", "m", 0.0, 1.7e9, end, verdict="failed", ended=end,
        fault=tries[-1].fault, tries=tries, attempts=len(tries),
    )  # fmt: skip
    return diagnose(Case.of(timeline, Thresholds()))


@pytest.mark.parametrize(
    "gap, who",
    [
        (60.02, "nginx"),
        (60.4, "AWS ALB"),
        (55.1, "Heroku"),
        (100.3, "Cloudflare"),
        (120.6, "Cloudflare"),
        (350.2, "AWS NLB"),
    ],
)
def test_a_silence_that_ends_at_a_known_limit_names_who_has_it(gap, who):
    (finding,) = findings(cut(1, 0.0, 5.0, 5.0 + gap))
    assert finding.rule == "idle-timeout"
    assert who in "\n".join(finding.evidence)


@pytest.mark.parametrize("gap", [0.0, 3.0, 42.0, 57.9, 59.0, 62.0, 90.0, 1000.0])
def test_another_silence_names_nobody(gap):
    assert [finding.rule for finding in findings(cut(1, 0.0, 5.0, 5.0 + gap))] == ["closed"]


def test_a_limit_on_the_first_byte_is_not_blamed_once_bytes_came():
    assert any("Heroku" in who for who in limits_near(30.1, answered=False))
    assert not any("Heroku" in who for who in limits_near(30.1, answered=True))


def test_a_gateways_504_after_its_limit_is_its_timeout():
    fault = Fault("ServerError", "504: Gateway Time-out", status=504)
    one = cut(1, 0.0, None, 60.2, fault)._replace(status=504, opened=60.1, first_read=None, reads=0)
    (finding,) = findings(one)
    assert finding.rule == "idle-timeout" and "nginx" in "\n".join(finding.evidence)


def test_attempts_that_are_cut_at_the_same_age_though_data_flowed():
    (finding,) = findings(cut(1, 0.0, 29.9, 30.4), cut(2, 31.0, 61.0, 61.2))
    assert finding.rule == "same-age"
    assert "30.4 s, 30.2 s" in finding.evidence[0]


def test_attempts_that_are_cut_at_any_age_are_no_pattern():
    found = findings(cut(1, 0.0, 29.9, 30.4), cut(2, 31.0, 41.0, 41.2))
    assert [finding.rule for finding in found] == ["closed"]


def test_a_silence_of_the_programs_own_blames_no_proxy():
    one = cut(1, 0.0, 5.0, 65.3)._replace(held_last=60.2)
    assert [finding.rule for finding in findings(one)] == ["closed"]
