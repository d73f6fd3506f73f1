"""Settings of the clocks, and deadlines on a clock that is turned by hand."""

import threading

import pytest

from streamsafe.engine.timing import Deadline, SystemClock, Timeouts
from streamsafe.errors import ConfigurationError


class Hand:
    """A clock turned by hand."""

    def __init__(self):
        self.time = 100.0

    def now(self):
        return self.time

    wall = now


def test_the_defaults_are_those_of_the_documentation():
    assert Timeouts().fields() == {
        "connect": 10, "first_token": 120, "inactivity": 60, "stall": 120, "total": None,
        "warn_after": 10,
    }  # fmt: skip


@pytest.mark.parametrize("value", [0, -1, "5", True, float("nan"), float("inf"), [1]])
def test_a_wrong_limit_is_named(value):
    with pytest.raises(ConfigurationError, match="inactivity"):
        Timeouts(inactivity=value)


def test_a_limit_of_ages_is_one_that_the_system_can_wait_for():
    wake = threading.Event()
    wake.set()
    assert all(Timeouts(connect=ages).connect == threading.TIMEOUT_MAX for ages in (1e300, 10**400))
    assert SystemClock().sleep(1e300, wake) is True


def test_a_number_in_place_of_timeouts_is_the_total():
    assert Timeouts.of(30).total == 30
    assert Timeouts.of(30).connect == 10
    with pytest.raises(ConfigurationError, match="timeouts="):
        Timeouts.of("30")


def test_timeouts_are_values():
    assert Timeouts(total=3) == Timeouts(total=3) != Timeouts()
    assert Timeouts().replace(stall=1).stall == 1
    with pytest.raises(AttributeError, match="frozen"):
        Timeouts().stall = 5


def test_a_deadline_carries_its_budget_over_several_steps():
    clock = Hand()
    deadline = Deadline(10, clock)
    clock.time += 4
    assert (deadline.remaining(), deadline.elapsed(), deadline.at) == (6, 4, 110)
    clock.time += 40
    assert deadline.remaining() == 0


def test_no_limit_never_comes():
    deadline = Deadline(None, Hand())
    assert deadline.remaining() is None and deadline.at is None


def test_the_systems_clock_sleeps_until_it_is_woken():
    wake = threading.Event()
    clock = SystemClock()
    assert clock.sleep(0.001, wake) is False
    assert clock.sleep(-5, wake) is False
    wake.set()
    assert clock.sleep(60, wake) is True
    assert clock.now() <= clock.now() and clock.wall() > 1_600_000_000
