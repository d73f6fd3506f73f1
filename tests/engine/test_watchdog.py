"""The watchdog on the machine's clock; tests wait on events that it sets."""

import os
import threading
import time

import pytest

from streamsafe.engine import watchdog
from streamsafe.engine.watchdog import MAX_TOLD, Teller, Watchdog

PATIENCE = 10.0


def test_a_look_comes_when_its_time_has_come_and_not_before():
    dog, looked, seen = Watchdog(linger=0.05), threading.Event(), []

    def look(now):
        seen.append(now)
        looked.set()

    at = time.monotonic() + 0.05
    dog.watch(at, look)
    assert looked.wait(PATIENCE)
    assert seen[0] >= at


def test_a_look_is_asked_again_until_it_names_no_time():
    dog, done, seen = Watchdog(linger=0.05), threading.Event(), []

    def look(now):
        seen.append(now)
        if len(seen) < 3:
            return now
        done.set()
        return None

    dog.watch(time.monotonic(), look)
    assert done.wait(PATIENCE)
    assert len(seen) == 3


def test_an_earlier_deadline_overtakes_a_later_one():
    dog, early = Watchdog(linger=0.05), threading.Event()
    late = dog.watch(time.monotonic() + 3600, lambda now: None)
    dog.watch(time.monotonic(), lambda now: early.set())
    assert early.wait(PATIENCE)
    late.stop()


def test_what_was_stopped_is_not_looked_at():
    dog, sentinel, seen = Watchdog(linger=0.05), threading.Event(), []
    dog.watch(time.monotonic() + 0.03, seen.append).stop()
    dog.watch(time.monotonic() + 0.06, lambda now: sentinel.set())
    assert sentinel.wait(PATIENCE)
    assert seen == []


def test_a_system_without_a_thread_to_give_is_asked_again_by_the_next_stream(monkeypatch):
    dog, teller, looked, told = Watchdog(0.05), Teller(linger=0.05), threading.Event(), []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(RuntimeError, match="new thread"):
            dog.watch(time.monotonic(), lambda now: None)
        assert teller.tell(lambda: told.append("first")) is False
    dog.watch(time.monotonic(), lambda now: looked.set())
    assert looked.wait(PATIENCE)
    looked.clear()
    assert teller.tell(looked.set) and looked.wait(PATIENCE)
    assert told == []


def _no_thread(thread):
    raise RuntimeError("can't start new thread")


def test_a_look_that_raises_is_logged_and_the_others_go_on(caplog):
    dog, done = Watchdog(linger=0.05), threading.Event()
    dog.watch(time.monotonic(), lambda now: 1 / 0)
    dog.watch(time.monotonic() + 0.01, lambda now: done.set())
    assert done.wait(PATIENCE)
    assert "could not look" in caplog.text


def gone(name):
    """Wait until no thread of that name is left."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(PATIENCE)
    return not any(thread.name == name for thread in threading.enumerate())


def test_one_thread_serves_all_and_is_gone_when_idle_and_comes_back():
    dog = Watchdog(name="dog-1", linger=0.02)
    for _ in range(3):
        done = threading.Event()
        for _ in range(20):
            dog.watch(time.monotonic() + 0.001, lambda now: None)
        dog.watch(time.monotonic() + 0.005, lambda now: done.set())
        assert sum(t.name == "dog-1" for t in threading.enumerate()) == 1
        assert done.wait(PATIENCE)
        assert gone("dog-1")


def test_a_stopped_watch_far_ahead_does_not_keep_the_thread():
    dog = Watchdog(name="dog-2", linger=0.02)
    dog.watch(time.monotonic() + 3600, lambda now: None).stop()
    assert gone("dog-2")


def test_the_teller_runs_callbacks_in_order_and_survives_one_that_raises(caplog):
    teller, done, told = Teller(linger=0.02), threading.Event(), []
    teller.tell(lambda: told.append(1))
    teller.tell(lambda: 1 / 0)
    teller.tell(lambda: told.append(2))
    teller.tell(done.set)
    assert done.wait(PATIENCE)
    assert told == [1, 2] and "raised" in caplog.text


def test_a_callback_that_blocks_never_holds_up_whoever_tells():
    teller, gate, began = Teller(linger=0.02), threading.Event(), threading.Event()
    teller.tell(lambda: (began.set(), gate.wait(PATIENCE)))
    assert began.wait(PATIENCE)
    answers = [teller.tell(lambda: None) for _ in range(MAX_TOLD + 1)]
    gate.set()
    assert answers == [True] * MAX_TOLD + [False]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_watchdog_of_its_own():
    ready = threading.Event()
    watchdog.watch(watchdog.now(), lambda now: ready.set())
    assert ready.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        looked, told = threading.Event(), threading.Event()
        watchdog.watch(watchdog.now(), lambda now: looked.set())
        watchdog.tell(told.set)
        os._exit(0 if looked.wait(PATIENCE) and told.wait(PATIENCE) else 1)
    assert os.waitpid(child, 0)[1] == 0
