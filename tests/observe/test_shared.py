"""Looking at the figures of other processes without adding to them."""

from __future__ import annotations

import sqlite3

import pytest

from streamsafe.errors import ConfigurationError
from streamsafe.monitor import SharedFigures, StreamMonitor
from streamsafe.observe.stores import Document


@pytest.fixture
def where(tmp_path):
    return str(tmp_path / "monitor.db")


@pytest.fixture
def monitor(where, clock):
    monitor = StreamMonitor(share=where, clock=clock)
    yield monitor
    monitor.close()


def test_it_shows_what_the_monitors_show(monitor, where, clock, life):
    life(monitor).begin().read("a", after=0.5).complete()
    life(monitor, stream_id="bad").begin().fail()
    life(monitor, stream_id="on").begin().read("a")
    monitor.publish()
    shared = SharedFigures(where, clock=clock)
    assert shared.get_stats() == monitor.get_stats()
    assert shared.get_health_report() == monitor.get_health_report()
    assert shared.series("1m") == monitor.series("1m")
    assert [view["stream_id"] for view in shared.streams("active")] == ["on"]
    assert [view["stream_id"] for view in shared.failures()] == ["bad"]
    assert shared.get_stream("bad")["status"] == "failed"
    assert shared.get_stream("none") is None


def test_looking_changes_nothing(monitor, where, clock, life):
    life(monitor).begin().complete()
    monitor.close()
    shared = SharedFigures(where, clock=clock)
    for _ in range(3):
        assert shared.get_stats()["processes"] == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        shared._store.publish([], Document("process", 1.0, "{}"), 0.0)


def test_a_store_that_fails_leaves_the_last_figures_and_the_reason(monitor, where, clock, life):
    life(monitor).begin().complete()
    monitor.publish()
    shared = SharedFigures(where, clock=clock)
    before = shared.get_stats()

    def away(*_):
        raise OSError("the store is away")

    numbers, shared._store.numbers = shared._store.numbers, away
    assert shared.get_stats() == before
    assert "the store is away" in shared.get_health_report()["store_failure"]
    shared._store.numbers = numbers
    assert shared.get_health_report()["store_failure"] is None


def test_a_store_that_never_answered_shows_zeros(clock):
    pytest.importorskip("redis")
    shared = SharedFigures("redis://127.0.0.1:1/0", clock=clock)
    report = shared.get_health_report()
    assert (report["total_streams"], report["processes"]) == (0, 0)
    assert report["store_failure"] and shared.series() == [] and shared.streams() == []
    shared.close()


def test_a_file_that_is_not_there_or_holds_something_else_is_refused(where, tmp_path):
    with pytest.raises(ConfigurationError, match="StreamMonitor\\(share"):
        SharedFigures(where)
    assert not list(tmp_path.iterdir())
    sqlite3.connect(where).close()
    with pytest.raises(ConfigurationError, match="no such table"):
        SharedFigures(where)


def test_a_path_with_odd_characters_is_a_path(tmp_path, clock, life):
    where = str(tmp_path / "a?mode=memory#%41 b.db")
    monitor = StreamMonitor(share=where, clock=clock)
    life(monitor).begin().complete()
    monitor.close()
    assert SharedFigures(where, clock=clock).get_stats()["total_streams"] == 1
