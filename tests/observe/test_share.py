"""Figures of several real processes on one store."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import streamsafe
from streamsafe.errors import ConfigurationError
from streamsafe.monitor import StreamMonitor
from streamsafe.observe.pool import FRESH

ROOT = str(Path(streamsafe.__file__).parent.parent)
HERE = Path(__file__).parent

#: What each worker process runs: streams that succeed, one that fails, then it ends.
WORKER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("told", {conftest!r})
told = importlib.util.module_from_spec(spec); spec.loader.exec_module(told)
from streamsafe.monitor import StreamMonitor
where, good = sys.argv[1], int(sys.argv[2])
monitor = StreamMonitor(share=where)

class Now(told.HandClock):
    def wall(self):
        import time
        return time.time()

clock = Now()
for _ in range(good):
    told.Life(clock, monitor).begin().read("a", after=0.25, size=100).complete()
told.Life(clock, monitor, stream_id=f"failed-{{good}}").begin().fail()
{ending}
"""


def start_worker(where, good, ending=""):
    code = textwrap.dedent(WORKER).format(conftest=str(HERE / "conftest.py"), ending=ending)
    return subprocess.Popen(
        [sys.executable, "-c", code, where, str(good)],
        env={**os.environ, "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(*workers):
    for worker in workers:
        out, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0, out


@pytest.fixture
def redis_port(redis):
    return redis.port


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.service)])
def where(request, tmp_path):
    if request.param == "sqlite":
        yield str(tmp_path / "monitor.db")
        return
    import redis

    url = f"redis://127.0.0.1:{request.getfixturevalue('redis_port')}/0"
    with redis.Redis.from_url(url) as client:
        client.flushall()
    yield url


def open_sockets():
    links = []
    for link in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # the directory's own, gone by now
            links.append(os.readlink(link))
    return {link for link in links if link.startswith("socket:")}


@pytest.fixture
def sharing():
    """``sharing(where, clock=)`` -> a monitor whose thread is gone after the test."""
    made = []

    def make(where, **named):
        made.append(StreamMonitor(share=where, **named))
        return made[-1]

    yield make
    for monitor in made:
        monitor.close()


def test_the_figures_of_all_processes_add_up(sharing, where):
    workers = [start_worker(where, good) for good in (3, 4, 5)]
    finish(*workers)
    monitor = sharing(where)
    stats, report = monitor.get_stats(), monitor.get_health_report()
    assert (stats["total_streams"], stats["successful_streams"]) == (15, 12)
    assert stats["failed_streams"] == 3
    assert stats["errors_by_type"] == {"ServerError": 3}
    assert stats["total_bytes"] == 1200
    assert report["ttft"]["count"] == 12
    assert report["ttft"]["p50"] == pytest.approx(0.25, rel=0.03)
    assert report["by_model"]["gpt-4o-mini"]["total_streams"] == 15
    assert report["windows"]["1h"]["total_streams"] == 15
    assert {seen["stream_id"] for seen in monitor.failures()} == {
        "failed-3", "failed-4", "failed-5",
    }  # fmt: skip


def test_a_process_that_skips_exit_handlers_publishes_by_hand(sharing, where):
    ending = "import os; assert monitor.publish(); os._exit(0)"
    finish(start_worker(where, 2, ending))
    assert sharing(where).get_stats()["total_streams"] == 3


def test_running_streams_of_another_process_are_seen(sharing, where):
    ending = """
told.Life(clock, monitor, stream_id="running").begin().read("a")
assert monitor.publish()
print("ready", flush=True)
sys.stdin.read()
"""
    code = textwrap.dedent(WORKER).format(conftest=str(HERE / "conftest.py"), ending=ending)
    worker = subprocess.Popen(
        [sys.executable, "-c", code, where, "1"],
        env={**os.environ, "PYTHONPATH": ROOT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout.readline() == "ready\n"
    monitor = sharing(where)
    assert monitor.get_stats()["active_streams"] == 1
    assert [seen["stream_id"] for seen in monitor.streams("active")] == ["running"]
    assert monitor.get_stream("running")["chunks"] == 1
    assert monitor.get_stream("failed-1")["status"] == "failed"
    worker.communicate("", timeout=60)
    assert worker.returncode == 0


def test_a_killed_process_keeps_what_it_had_published(sharing, where):
    ending = "import os, signal; assert monitor.publish(); os.kill(os.getpid(), signal.SIGKILL)"
    worker = start_worker(where, 4, ending)
    worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL
    assert sharing(where).get_stats()["total_streams"] == 5


def test_a_processs_own_latest_is_in_the_report_at_once(sharing, where, life):
    monitor = sharing(where)
    for number in range(1, 4):
        life(monitor).begin().complete()
        assert monitor.get_stats()["total_streams"] == number


def test_processes_that_write_at_the_same_time_lose_nothing(sharing, where, clock, life):
    monitors = [sharing(where, clock=clock) for _ in range(4)]
    lives = [(monitor, [life(monitor) for _ in range(20)]) for monitor in monitors]

    def work(monitor, mine):
        for one in mine:
            one.begin().complete()
            assert monitor.publish()

    threads = [threading.Thread(target=work, args=pair) for pair in lives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sharing(where, clock=clock).get_stats()["successful_streams"] == 80


def test_windows_slide_in_the_store_too(sharing, where, clock, life):
    monitor = sharing(where, clock=clock)
    life(monitor).begin().complete()
    assert monitor.get_health_report()["windows"]["1m"]["total_streams"] == 1
    clock.advance(120)
    windows = monitor.get_health_report()["windows"]
    assert [windows[name]["total_streams"] for name in ("1m", "5m", "1h")] == [0, 1, 1]
    another = sharing(where, clock=clock)
    life(another).begin().complete()
    assert another.publish()
    series = [part["total_streams"] for part in monitor.series("1h")]
    assert (len(series), series[-3:], sum(series)) == (60, [1, 0, 1], 2)


def test_what_a_silent_process_ran_is_not_called_running(sharing, where, clock, life):
    gone = sharing(where, clock=clock)
    life(gone).begin()
    gone.close()
    seen = sharing(where, clock=clock)
    assert seen.get_stats()["active_streams"] == 1
    clock.advance(FRESH + 1)
    assert seen.get_stats()["active_streams"] == 0
    assert seen.streams("active") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_adds_its_own_and_not_its_parents_again(sharing, where, life):
    monitor = sharing(where)
    with monitor._share._sending:  # so that the parent's figure is still pending at the fork
        life(monitor).begin().complete()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                life(monitor).begin().complete()
                status = 0 if monitor.publish() else 1
            finally:
                os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert monitor.get_stats()["successful_streams"] == 2


def test_the_thread_is_daemonic_named_and_gone_when_there_is_nothing_to_send(
    sharing, where, life, monkeypatch
):
    monkeypatch.setattr("streamsafe.observe.share.INTERVAL", 0.01)
    monitor = sharing(where)
    assert monitor._share._thread is None
    life(monitor).begin().complete()
    thread = monitor._share._thread
    assert (thread.daemon, thread.name) == (True, "streamsafe-share")
    thread.join(30)
    assert not thread.is_alive()
    life(monitor).begin().complete()
    assert monitor._share._thread is not None


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_closing_a_monitor_closes_its_connections_and_it_can_be_used_on(where, life):
    monitor = StreamMonitor(share=where)
    before = open_sockets()
    for number in (1, 2):
        life(monitor).begin().complete()
        assert monitor.get_stats()["total_streams"] == number
        monitor.close()
        assert open_sockets() == before


# -- stores that fail ----------------------------------------------------------------------------


class Failing:
    """A store that is away until it is told to work."""

    def __init__(self, store):
        self.store, self.away = store, True

    def __getattr__(self, name):
        if self.away:
            raise OSError("the store is away")
        return getattr(self.store, name)


def test_an_outage_of_the_store_loses_nothing_and_harms_no_stream(sharing, tmp_path, life, caplog):
    monitor = sharing(str(tmp_path / "monitor.db"))
    monitor._share._store = store = Failing(monitor._share._store)
    life(monitor).begin().complete()
    assert monitor.publish() is False
    report = monitor.get_health_report()
    assert (report["total_streams"], report["processes"]) == (1, 1)
    assert "the store is away" in report["store_failure"]
    assert len([r for r in caplog.records if "store fails" in r.message]) == 1
    store.away = False
    assert monitor.publish() is True
    report = monitor.get_health_report()
    assert (report["total_streams"], report["store_failure"]) == (1, None)


def test_a_path_that_cannot_be_opened_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ConfigurationError, match="directory that exists"):
        StreamMonitor(share=str(tmp_path / "none" / "monitor.db"))


def test_a_url_without_the_redis_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"streamsafe\[redis\]"):
        StreamMonitor(share="redis://127.0.0.1:1/0")


def test_a_url_that_cannot_be_read_is_refused_without_its_password():
    pytest.importorskip("redis")
    with pytest.raises(ConfigurationError, match="redis://…") as refused:
        StreamMonitor(share="redis://:hunter2@127.0.0.1:port/0")
    assert "hunter2" not in str(refused.value)


def test_a_redis_that_is_not_there_is_a_failure_of_the_store_not_of_the_stream(
    sharing, life, free_port
):
    pytest.importorskip("redis")
    monitor = sharing(f"redis://127.0.0.1:{free_port()}/0")
    life(monitor).begin().complete()
    assert monitor.get_stats()["total_streams"] == 1
    assert "refused" in monitor.get_health_report()["store_failure"]


def test_the_tables_may_stand_in_another_databases_file_and_stay_small(
    sharing, tmp_path, clock, life
):
    path = str(tmp_path / "journal.db")
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE streams (id TEXT)")
    db.close()
    monitor = sharing(path, clock=clock)
    for _ in range(100):
        life(monitor).begin().read("a", after=0.1).complete()
        assert monitor.publish()
        clock.advance(60)
    db = sqlite3.connect(path)
    (buckets,) = db.execute("SELECT COUNT(DISTINCT bucket) FROM monitor_figures").fetchone()
    assert db.execute("SELECT COUNT(*) FROM streams").fetchone() == (0,)
    db.close()
    assert buckets <= 1 + 3 + 8 + 64


def test_documents_are_json_without_the_words_of_the_answer(sharing, tmp_path, life):
    path = str(tmp_path / "monitor.db")
    monitor = sharing(path)
    life(monitor).begin().read("a secret answer").retry().attempt().seam()
    assert monitor.publish()
    db = sqlite3.connect(path)
    ((text,),) = db.execute("SELECT document FROM monitor_processes").fetchall()
    db.close()
    assert json.loads(text)["active"] == 1
    assert "secret" not in text and "dropped words" not in text
