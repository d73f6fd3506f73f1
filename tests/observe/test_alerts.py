from __future__ import annotations

import pytest

from streamsafe.errors import ConfigurationError
from streamsafe.monitor import (
    StreamMonitor,
    percentile_above,
    stalls_above,
    success_rate_below,
)


@pytest.fixture
def monitor(clock):
    return StreamMonitor(clock=clock)


@pytest.fixture
def rung():
    return []


def states(rung):
    return [alert.firing for alert in rung]


def test_a_falling_success_rate_rings_once_and_clears_with_hysteresis(monitor, life, clock, rung):
    monitor.add_alert(success_rate_below(0.5, window="1m", clear=0.8, min_streams=4), rung.append)
    for _ in range(6):
        clock.advance(1)
        life(monitor).begin().fail()
    assert states(rung) == [True]
    for _ in range(12):
        clock.advance(1)
        life(monitor).begin().complete()
    assert states(rung) == [True], "two of three is above the threshold, but not clear yet"
    for _ in range(12):
        clock.advance(1)
        life(monitor).begin().complete()
    assert states(rung) == [True, False]
    assert (rung[0].threshold, rung[1].threshold) == (0.5, 0.8)
    assert rung[0].value == 0.0
    assert rung[1].value >= 0.8


def test_too_few_streams_are_not_judged(monitor, life, clock, rung):
    monitor.add_alert(success_rate_below(0.5, min_streams=3), rung.append)
    for _ in range(2):
        clock.advance(2)
        life(monitor).begin().fail()
    assert rung == []


def test_silence_is_no_proof_that_anything_was_mended(monitor, life, clock, rung):
    monitor.add_alert(success_rate_below(0.5, window="1m", min_streams=1), rung.append)
    clock.advance(2)
    life(monitor).begin().fail()
    clock.advance(1000)
    assert [alert.name for alert in monitor.check_alerts()] == ["success rate below 0.5 in 1m"]
    assert states(rung) == [True]


def test_a_percentile_rings_and_clears(monitor, life, clock, rung):
    rule = percentile_above("ttft", 0.99, 2.0, window="1m", min_samples=5)
    monitor.add_alert(rule, rung.append)
    for _ in range(5):
        life(monitor).begin().read("a", after=3.0).complete()
    assert states(rung) == [True]
    assert rung[0].value == pytest.approx(3.0, rel=0.03)
    clock.advance(100)
    for _ in range(6):
        life(monitor).begin().read("a", after=1.0).complete()
    assert states(rung) == [True, False]


def test_stalls_ring_while_nothing_is_read_and_clear_with_the_window(monitor, life, clock, rung):
    monitor.add_alert(stalls_above(2, window="1m"), rung.append)
    streams = [life(monitor).begin() for _ in range(3)]
    for stream in streams:
        clock.advance(1.5)
        stream.stalled()
    assert states(rung) == [True]
    clock.advance(70)
    assert monitor.check_alerts() == []
    assert states(rung) == [True, False]


def test_what_rings_stands_in_the_health_report(monitor, life, clock):
    monitor.add_alert(stalls_above(0, name="stalling"), lambda alert: None)
    clock.advance(2)
    life(monitor).begin().stalled()
    assert [alert["name"] for alert in monitor.get_health_report()["alerts"]] == ["stalling"]


def test_a_callback_that_raises_is_logged_and_rings_no_second_time(monitor, life, clock, caplog):
    calls = []

    def broken(alert):
        calls.append(alert)
        raise RuntimeError("no pager")

    monitor.add_alert(stalls_above(0), broken)
    stream = life(monitor).begin()
    for _ in range(3):
        clock.advance(2)
        stream.stalled()
    assert len(calls) == 1
    assert "no pager" in caplog.text


def test_a_callback_may_ask_the_monitor(monitor, life):
    seen = []
    monitor.add_alert(stalls_above(0), lambda alert: seen.append(monitor.get_health_report()))
    life(monitor).begin().stalled()
    assert [report["stalls"] for report in seen] == [1]


def test_the_last_failure_of_a_burst_is_looked_at_too(monitor, life, rung):
    monitor.add_alert(success_rate_below(0.5, min_streams=3), rung.append)
    for _ in range(3):
        life(monitor).begin().fail()
    assert states(rung) == [True]


def test_two_rules_of_one_name_are_refused(monitor):
    monitor.add_alert(stalls_above(3), print)
    with pytest.raises(ConfigurationError, match="give one of them name="):
        monitor.add_alert(stalls_above(3), print)


@pytest.mark.parametrize(
    "make",
    [
        lambda: success_rate_below(95),
        lambda: success_rate_below(0.9, clear=0.8),
        lambda: success_rate_below(0.9, window="2m"),
        lambda: percentile_above("speed", 0.99, 1.0),
        lambda: percentile_above("ttft", 99, 1.0),
        lambda: percentile_above("ttft", 0.99, 1.0, clear=2.0),
        lambda: stalls_above(-1),
        lambda: stalls_above(1, clear=2),
    ],
)
def test_a_rule_that_cannot_be_right_is_refused_with_what_was_expected(make):
    with pytest.raises(ConfigurationError, match="expected"):
        make()


@pytest.mark.parametrize("rule, callback", [("x", print), (success_rate_below(0.5), "x")])
def test_what_is_no_rule_or_no_function_is_refused(monitor, rule, callback):
    with pytest.raises(ConfigurationError, match="add_alert"):
        monitor.add_alert(rule, callback)
