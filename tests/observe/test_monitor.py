from __future__ import annotations

import os
import sys
import threading

import pytest

from streamsafe import errors
from streamsafe.errors import ConfigurationError
from streamsafe.models import Outcome, Usage
from streamsafe.monitor import StreamMonitor


@pytest.fixture
def monitor(clock):
    return StreamMonitor(clock=clock)


# -- counting ------------------------------------------------------------------------------------


def test_a_new_monitor_reports_zeros_and_a_perfect_rate(monitor):
    stats, health = monitor.get_stats(), monitor.get_health_report()
    assert stats["total_streams"] == stats["active_streams"] == stats["retries"] == 0
    assert stats["success_rate"] == health["success_rate"] == 1.0
    assert (stats["errors_by_type"], health["common_errors"]) == ({}, [])
    assert health["avg_duration"] == health["avg_bytes_per_stream"] == 0.0
    assert health["ttft"]["p99"] is None


def test_the_documented_keys_are_there(monitor):
    assert set(monitor.get_stats()) >= {
        "total_streams", "active_streams", "successful_streams", "failed_streams", "success_rate",
        "retries", "total_tokens", "errors_by_type",
    }  # fmt: skip
    assert set(monitor.get_health_report()) >= {
        "total_streams", "active_streams", "success_rate", "avg_duration", "avg_bytes_per_stream",
        "common_errors", "ttft", "gaps", "tokens_per_second", "by_provider", "by_model", "windows",
    }  # fmt: skip


def test_every_key_of_the_report_and_of_a_stream_is_named_in_its_docstring(monitor, life):
    stream = life(monitor).begin().read("a").complete()
    report = monitor.get_health_report()
    for name in (*report, *report["windows"]["1m"]):
        assert f"``{name}``" in StreamMonitor.get_health_report.__doc__, name
    for name in monitor.get_stream(stream.stream_id):
        assert f"``{name}``" in StreamMonitor.get_stream.__doc__, name
    for name in monitor.get_stats():
        assert f"``{name}``" in StreamMonitor.get_stats.__doc__, name


def test_streams_are_counted_by_how_they_ended(monitor, life):
    life(monitor).begin().read("a").complete()
    life(monitor).begin().read("a").complete(Outcome.TRUNCATED, finish_reason="length")
    life(monitor).begin().complete(Outcome.FILTERED, finish_reason="content_filter")
    life(monitor).begin().fail()
    life(monitor).begin().cancel()
    life(monitor).begin()
    stats = monitor.get_stats()
    assert (stats["total_streams"], stats["active_streams"]) == (6, 1)
    assert (stats["successful_streams"], stats["failed_streams"]) == (3, 1)
    assert stats["cancelled_streams"] == 1
    assert stats["success_rate"] == 0.75


def test_errors_count_each_failure_also_those_that_a_retry_mended(monitor, life):
    life(monitor).begin().retry().attempt().retry().attempt().opened().read("a").complete()
    life(monitor).begin().fail(errors.RateLimitError("slow down", status=429))
    assert monitor.get_stats()["errors_by_type"] == {
        "ConnectionDroppedError": 2, "RateLimitError": 1,
    }  # fmt: skip
    report = monitor.get_health_report()
    assert report["common_errors"] == [("ConnectionDroppedError", 2), ("RateLimitError", 1)]
    assert (report["retries"], report["reconnects"]) == (2, 2)


def test_averages_are_those_of_ended_streams(monitor, life):
    life(monitor).begin().read("a", after=2.0, size=100).complete()
    life(monitor).begin().read("a", after=4.0, size=300).complete()
    life(monitor).begin().read("a", size=5000)
    report = monitor.get_health_report()
    assert report["avg_duration"] == pytest.approx(3.0)
    assert report["avg_bytes_per_stream"] == 200


def test_percentiles_are_right_to_two_percent(monitor, life):
    stream = life(monitor).begin().read("a", after=0.75)
    for number in range(1, 101):
        stream.read("a", after=number / 1000)
    stream.complete()
    report = monitor.get_health_report()
    assert report["ttft"]["p50"] == pytest.approx(0.75, rel=0.021)
    assert report["gaps"]["p50"] == pytest.approx(0.050, rel=0.021)
    assert report["gaps"]["p90"] == pytest.approx(0.090, rel=0.021)
    assert report["gaps"]["p99"] == pytest.approx(0.099, rel=0.021)
    assert report["gaps"]["count"] == 100


def test_tokens_are_the_servers_where_it_counted_and_flagged_where_it_did_not(monitor, life):
    life(monitor).begin().read("abcd").complete(usage=Usage(10, 20, total_tokens=30))
    life(monitor).begin().read("12345678").complete()
    life(monitor).begin().read("1234")
    stats = monitor.get_stats()
    assert (stats["total_tokens"], stats["estimated_tokens"]) == (33, 2)


def test_the_speed_is_tokens_over_the_seconds_of_writing(monitor, life):
    stream = life(monitor).begin().read("a", after=5.0).read("b", after=2.0, held=3.0)
    stream.complete(usage=Usage(1, 100, total_tokens=101))
    assert monitor.get_health_report()["tokens_per_second"] == 50.0


def test_figures_are_given_by_provider_and_by_model(monitor, life):
    life(monitor, provider="openai", model="gpt-4o").begin().complete()
    life(monitor, provider="openai", model="gpt-4o-mini").begin().fail()
    life(monitor, provider="anthropic", model=None).begin().complete()
    report = monitor.get_health_report()
    assert report["by_provider"]["openai"]["success_rate"] == 0.5
    assert report["by_provider"]["anthropic"]["total_streams"] == 1
    assert set(report["by_model"]) == {"gpt-4o", "gpt-4o-mini", "unknown"}


def test_where_no_model_was_asked_for_all_is_counted_in_one_place(monitor, life):
    life(monitor, stream_id="well", model=None).begin().complete()
    life(monitor, model=None).begin().fail()
    answered = life(monitor, stream_id="named", model=None).begin()
    answered.model = "what the server says"
    answered.complete()
    assert monitor.get_stream("named")["model"] == "what the server says"
    by_model = monitor.get_health_report()["by_model"]
    assert list(by_model) == ["unknown"]
    assert by_model["unknown"]["total_streams"] == 3
    assert by_model["unknown"]["success_rate"] == pytest.approx(2 / 3)


def test_a_fallback_counts_for_the_provider_that_answered(monitor, life):
    stream = life(monitor, provider="openai", model="gpt-4o").begin().retry()
    stream.provider, stream.model = "anthropic", "claude"
    stream.attempt().opened().read("a").complete()
    by_provider = monitor.get_health_report()["by_provider"]
    assert by_provider["openai"]["common_errors"] == [("ConnectionDroppedError", 1)]
    assert by_provider["anthropic"]["successful_streams"] == 1


def test_windows_forget_what_the_whole_remembers(monitor, life, clock):
    life(monitor).begin().read("a", size=600).complete()
    now = monitor.get_health_report()["windows"]
    assert [now[name]["total_streams"] for name in ("1m", "5m", "1h")] == [1, 1, 1]
    assert now["1m"]["bytes_per_second"] == 10.0
    clock.advance(120)
    report = monitor.get_health_report()
    later = report["windows"]
    assert [later[name]["total_streams"] for name in ("1m", "5m", "1h")] == [0, 1, 1]
    assert report["total_streams"] == 1


def test_a_running_stream_hands_its_sums_on_every_five_seconds(monitor, life):
    stream = life(monitor).begin().read("a", size=100)
    stream.read("b", after=1.0, size=100)
    assert monitor.get_stats()["total_bytes"] == 0
    stream.read("c", after=4.0, size=100)
    assert monitor.get_stats()["total_bytes"] == 300
    assert monitor.get_health_report()["windows"]["1m"]["gaps"]["count"] == 2


def test_stalls_seams_heartbeats_and_skipped_events_are_counted(monitor, life):
    stream = life(monitor).begin().read(beats=3).stalled().malformed().read("abc").retry()
    stream.attempt().opened().seam().complete()
    report = monitor.get_health_report()
    names = ("stalls", "seams", "heartbeats", "malformed")
    assert [report[name] for name in names] == [1, 1, 3, 1]


# -- single streams ------------------------------------------------------------------------------


def test_a_streams_status_follows_its_life(monitor, life):
    stream = life(monitor)

    def status():
        return monitor.get_stream(stream.stream_id)["status"]

    assert monitor.get_stream(stream.stream_id) is None
    stream.start()
    assert status() == "pending"
    stream.attempt().opened()
    assert status() == "streaming"
    stream.retry()
    assert status() == "retrying"
    stream.attempt().opened().complete()
    assert status() == "complete"


def test_streams_come_newest_first_and_by_status(monitor, life, clock):
    made = [life(monitor) for _ in range(4)]
    for stream in made:
        stream.begin()
        clock.advance(1)
    made[0].complete()
    made[1].fail()
    ids = [stream.stream_id for stream in made]
    assert [seen["stream_id"] for seen in monitor.streams()] == ids[::-1]
    assert [seen["stream_id"] for seen in monitor.streams("active")] == [ids[3], ids[2]]
    assert [seen["stream_id"] for seen in monitor.streams("complete")] == [ids[0]]


def test_an_unknown_status_is_refused_with_those_that_there_are(monitor):
    with pytest.raises(ConfigurationError, match="pending, streaming, retrying, complete"):
        monitor.streams("done")


def test_failures_come_last_first_with_their_error(monitor, life, clock):
    for number in range(5):
        life(monitor, stream_id=f"s{number}").begin().fail(
            errors.ServerError(f"boom {number}", status=500)
        )
        clock.advance(1)
    found = monitor.failures(2)
    assert [seen["stream_id"] for seen in found] == ["s4", "s3"]
    error = found[0]["errors"][-1]
    assert (error["type"], error["message"], error["status"]) == ("ServerError", "boom 4", 500)
    assert error["hint"]


def test_only_the_last_streams_that_ended_are_kept_and_all_are_counted(clock, life):
    monitor = StreamMonitor(keep=3, clock=clock)
    made = [life(monitor).begin().complete() for _ in range(10)]
    assert len(monitor.streams()) == 3
    assert monitor.get_stream(made[0].stream_id) is None
    assert monitor.get_stream(made[9].stream_id) is not None
    assert monitor.get_stats()["total_streams"] == 10


def test_what_is_given_out_is_the_callers_own(monitor, life):
    stream = life(monitor).begin().fail()
    monitor.get_stream(stream.stream_id)["errors"].clear()
    monitor.get_stats()["errors_by_type"].clear()
    assert monitor.get_stream(stream.stream_id)["errors"]
    assert monitor.get_stats()["errors_by_type"]


def test_a_stream_that_falls_silent_for_too_long_is_lost_and_neither_active_nor_ended(clock, life):
    monitor = StreamMonitor(forget_after=100, clock=clock)
    stream = life(monitor).begin()
    clock.advance(101)
    stats = monitor.get_stats()
    assert (stats["active_streams"], stats["failed_streams"]) == (0, 0)
    assert monitor.get_stream(stream.stream_id)["status"] == "lost"
    stream.read("a", size=10)
    assert monitor.get_stream(stream.stream_id)["status"] == "streaming"
    stream.complete()
    assert monitor.get_stats()["successful_streams"] == 1
    assert len(monitor.streams()) == 1


def test_a_stream_id_that_begins_again_replaces_the_earlier_one(monitor, life):
    life(monitor, stream_id="same").begin().fail()
    life(monitor, stream_id="same").begin().complete()
    assert [seen["status"] for seen in monitor.streams()] == ["complete"]
    assert monitor.get_stats()["total_streams"] == 2


def test_records_of_a_stream_whose_start_was_not_seen_are_left_out(monitor, life):
    life(monitor).attempt().opened().read("a").complete()
    assert monitor.get_stats()["total_streams"] == 0
    assert monitor.streams() == []


@pytest.mark.parametrize("wrong", [{"keep": -1}, {"keep": 1.5}, {"forget_after": 0}])
def test_a_bound_that_cannot_be_right_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        StreamMonitor(**wrong)


# -- listeners -----------------------------------------------------------------------------------


def test_listeners_are_told_of_start_error_retry_stall_and_end(monitor, life, clock):
    told = []
    monitor.add_listener(told.append)
    stream = life(monitor).begin().stalled(10.0).read("a").retry(delay=0.5)
    clock.advance(2)
    stream.attempt().opened().read("b").complete()
    assert [event["event"] for event in told] == ["start", "stall", "error", "retry", "end"]
    assert all(event["stream_id"] == stream.stream_id for event in told)
    assert all(event["provider"] == "openai" for event in told)
    assert told[1]["silent_for"] == 10.0
    assert (told[2]["type"], told[2]["will_retry"]) == ("ConnectionDroppedError", True)
    assert (told[3]["number"], told[3]["delay"]) == (2, 0.5)
    assert (told[4]["status"], told[4]["at"]) == ("complete", clock.wall())
    assert told[4]["stream"] == monitor.get_stream(stream.stream_id)


def test_a_failure_is_an_error_and_an_end(monitor, life):
    told = []
    monitor.add_listener(told.append)
    life(monitor).begin().fail()
    assert [event["event"] for event in told] == ["start", "error", "end"]
    assert (told[1]["will_retry"], told[2]["status"]) == (False, "failed")


def test_a_listener_that_raises_is_logged_and_counted_and_the_others_are_told(
    monitor, life, caplog
):
    told = []

    def broken(event):
        raise RuntimeError("my own fault")

    monitor.add_listener(broken)
    monitor.add_listener(told.append)
    life(monitor).begin().complete()
    assert [event["event"] for event in told] == ["start", "end"]
    assert monitor.get_health_report()["listener_faults"] == 2
    assert "my own fault" in caplog.text


def test_a_listener_may_ask_the_monitor_and_leave(monitor, life):
    seen = []

    def listener(event):
        seen.append(monitor.get_stats()["active_streams"])
        monitor.get_health_report()
        monitor.remove_listener(listener)

    monitor.add_listener(listener)
    life(monitor).begin().complete()
    assert seen == [1]


# -- threads and forks ---------------------------------------------------------------------------


def test_many_threads_lose_no_count_while_others_read(life, clock):
    monitor = StreamMonitor(keep=10, clock=clock)
    lives = [[life(monitor) for _ in range(25)] for _ in range(8)]
    done = threading.Event()
    faults = []

    def stream(mine):
        for one in mine:
            one.begin()
            for _ in range(10):
                one.read("a", after=0.01, size=7)
            one.complete()

    def read():
        try:
            while not done.is_set():
                monitor.get_health_report()
                monitor.streams()
        except Exception as error:
            faults.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        reader = threading.Thread(target=read)
        writers = [threading.Thread(target=stream, args=(mine,)) for mine in lives]
        for thread in (reader, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        reader.join()
    finally:
        sys.setswitchinterval(before)
    stats = monitor.get_stats()
    assert faults == []
    assert (stats["successful_streams"], stats["active_streams"]) == (200, 0)
    assert (stats["total_chunks"], stats["total_bytes"]) == (2000, 14000)
    assert monitor.get_health_report()["gaps"]["count"] == 200 * 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_counts_from_zero_even_if_the_lock_was_held(monitor, life):
    life(monitor).begin().complete()
    told = []
    monitor.add_listener(told.append)
    reading, writing = os.pipe()
    with monitor._lock:
        child = os.fork()
        if child == 0:
            try:
                life(monitor).begin().complete()
                stats = monitor.get_stats()
                os.write(writing, repr((stats["total_streams"], len(told))).encode())
            finally:
                os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "(1, 2)"
    os.waitpid(child, 0)
    assert monitor.get_stats()["total_streams"] == 1


# -- over time -----------------------------------------------------------------------------------


def test_a_series_has_a_dict_for_each_part_of_the_window(clock, life):
    monitor = StreamMonitor(clock=clock)
    assert [len(monitor.series(name)) for name in ("1m", "5m", "1h")] == [12, 20, 60]
    life(monitor).begin().read("a", after=0.5).complete()
    clock.advance(10)
    life(monitor).begin().fail()
    series = monitor.series("1m")
    assert [one["success_rate"] for one in series[-3:]] == [1.0, None, 0.0]
    assert series[-3]["ttft"]["p50"] == pytest.approx(0.5, rel=0.03)
    assert (series[-3]["total_streams"], series[-1]["failed_streams"]) == (1, 1)
    assert all(after["at"] - one["at"] == 5 for one, after in zip(series, series[1:]))
    assert series[-1]["at"] <= clock.wall() < series[-1]["at"] + series[-1]["seconds"]


def test_a_series_of_another_window_is_refused(clock):
    with pytest.raises(ConfigurationError, match="'1m', '5m', '1h'"):
        StreamMonitor(clock=clock).series("2m")
