"""Time that is turned by hand."""

from __future__ import annotations

import threading

import pytest

from streamsafe.testing import FakeClock


def test_it_stands_until_it_is_turned():
    clock = FakeClock(100.0, wall=5000.0)
    assert (clock.now(), clock.wall()) == (100.0, 5000.0)
    clock.advance(2.5)
    assert (clock.now(), clock.wall()) == (102.5, 5002.5)


def test_a_step_of_the_wall_leaves_now_alone():
    clock = FakeClock(wall=5000.0)
    clock.step_wall(-3600)
    assert (clock.now(), clock.wall()) == (0.0, 1400.0)


def test_it_does_not_go_back():
    with pytest.raises(ValueError, match="does not go back"):
        FakeClock().advance(-1)


def test_a_sleep_lasts_until_the_clock_is_there():
    clock, woken = FakeClock(), []
    sleeper = threading.Thread(target=lambda: woken.append(clock.sleep(10, threading.Event())))
    sleeper.start()
    assert clock.wait_for_sleep() == 10
    clock.advance(9.9)
    sleeper.join(0.05)
    assert sleeper.is_alive()
    clock.advance(0.2)
    sleeper.join(5)
    assert woken == [False]


def test_a_sleep_ends_with_its_event():
    clock, wake, woken = FakeClock(), threading.Event(), []
    sleeper = threading.Thread(target=lambda: woken.append(clock.sleep(10, wake)))
    sleeper.start()
    clock.wait_for_sleep()
    wake.set()
    sleeper.join(5)
    assert woken == [True] and clock.now() == 0.0


def test_autojump_turns_it_by_each_sleep():
    clock = FakeClock(autojump=True)
    assert clock.sleep(3600, threading.Event()) is False
    assert clock.sleep(0.5, threading.Event()) is False
    assert clock.now() == 3600.5 and clock.sleeps == [3600, 0.5]


def test_autojump_does_not_jump_over_an_event_that_is_set():
    clock, wake = FakeClock(autojump=True), threading.Event()
    wake.set()
    assert clock.sleep(3600, wake) is True and clock.now() == 0.0


def test_waiting_for_a_sleep_that_does_not_come_says_which_came():
    with pytest.raises(AssertionError, match=r"0 of 1 sleeps began: \[\]"):
        FakeClock().wait_for_sleep(timeout=0.01)
