from __future__ import annotations

import pytest

from streamsafe.errors import ConfigurationError
from streamsafe.observe.figures import Figures
from streamsafe.observe.windows import SPANS, Windows, span


def one() -> Figures:
    figures = Figures()
    figures.count("started")
    return figures


def started(windows: Windows, name: str, now: float) -> int:
    return Figures.sum(windows.recent(name, now))["started"]


@pytest.mark.parametrize("of", SPANS)
def test_what_is_older_than_the_window_falls_out(of):
    windows = Windows()
    windows.add(one(), 10_000)
    assert started(windows, of.name, 10_000 + of.seconds - of.width - 1) == 1
    assert started(windows, of.name, 10_000 + of.seconds + of.width) == 0


def test_a_window_slides_by_its_buckets():
    windows = Windows()
    for second in range(0, 120, 10):
        windows.add(one(), second)
    assert started(windows, "1m", 119) == 6
    assert started(windows, "5m", 119) == 12


def test_a_clock_that_steps_back_adds_to_the_last_bucket():
    windows = Windows()
    windows.add(one(), 1000)
    windows.add(one(), 900)
    assert started(windows, "1m", 1000) == 2


def test_figures_given_out_do_not_change_afterwards():
    windows = Windows()
    windows.add(one(), 1000)
    recent = windows.recent("1m", 1000)
    windows.add(one(), 1001)
    assert Figures.sum(recent)["started"] == 1


def test_memory_is_bounded_however_long_it_runs():
    windows = Windows()
    for second in range(0, 100_000, 5):
        windows.add(one(), second)
    assert [len(windows.recent(of.name, 99_999)) for of in SPANS] == [12, 20, 60]


def test_an_unknown_window_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigurationError, match="'1m', '5m', '1h'"):
        span("2m")
