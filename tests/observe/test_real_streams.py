"""The observers on real streams over real sockets."""

from __future__ import annotations

import gc
import logging
import threading

import pytest

from streamsafe import RetryPolicy, StreamSession, Timeouts
from streamsafe.errors import AuthenticationError
from streamsafe.monitor import StreamMonitor, stalls_above
from streamsafe.observe.logs import LogExporter
from streamsafe.testing import FaultServer, heartbeats, reply, rst, stall, stream
from streamsafe.testing.answers import openai_chat

EVENTS = openai_chat("The quick brown fox jumps over the lazy dog.")


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running


@pytest.fixture
def monitor():
    return StreamMonitor()


@pytest.fixture
def session(server, monitor):
    settings = {"model": "m", "observers": (monitor,), "retry": RetryPolicy(base=0.001)}
    with StreamSession("openai_compatible", base_url=f"{server.url}/v1", **settings) as made:
        yield made


def test_a_stream_that_was_mended_is_one_success_with_its_errors(server, session, monitor):
    server.expect(reply(429), stream(EVENTS[:3], then=rst()), stream(EVENTS))
    answer = session.complete("Hi", resume="restart")
    stats, (seen,) = monitor.get_stats(), monitor.streams()
    assert (stats["total_streams"], stats["successful_streams"]) == (1, 1)
    assert (stats["retries"], stats["active_streams"]) == (2, 0)
    assert stats["errors_by_type"]["RateLimitError"] == 1
    assert sum(stats["errors_by_type"].values()) == 2
    assert (seen["status"], seen["outcome"], seen["attempts"]) == ("complete", "complete", 3)
    assert seen["chunks"] > 0 and seen["bytes"] > len(answer.text)
    assert seen["ttft"] == pytest.approx(answer.timings.ttft, abs=0.05)
    assert seen["tokens"]["total"] == answer.usage_total.total_tokens
    assert stats["total_tokens"] == answer.usage_total.total_tokens


def test_a_refusal_is_a_failure_with_the_servers_words(server, session, monitor):
    server.expect(reply(401, '{"error": {"message": "bad key"}}'))
    with pytest.raises(AuthenticationError):
        session.complete("Hi")
    (seen,) = monitor.failures()
    assert monitor.get_stats()["success_rate"] == 0.0
    assert (seen["errors"][0]["type"], seen["errors"][0]["status"]) == ("AuthenticationError", 401)
    assert "bad key" in seen["errors"][0]["message"]


def test_leaving_the_loop_is_a_cancellation(server, session, monitor):
    server.expect(stream(EVENTS[:3], then=stall()))
    for chunk in session.stream("Hi"):
        if chunk.text:
            break
    assert monitor.get_stats()["cancelled_streams"] == 1
    assert monitor.get_stats()["success_rate"] == 1.0


def test_a_running_stream_is_seen_from_another_thread(server, session, monitor):
    server.expect(stream(EVENTS))
    chunks = iter(session.stream("Hi", stream_id="mine"))
    next(chunks)
    seen = []
    looker = threading.Thread(target=lambda: seen.append(monitor.get_stream("mine")))
    looker.start()
    looker.join()
    assert (seen[0]["status"], seen[0]["http_status"]) == ("streaming", 200)
    assert monitor.get_stats()["active_streams"] == 1
    list(chunks)
    assert monitor.get_stats()["active_streams"] == 0


def test_a_stall_rings_while_the_reader_is_still_blocked(server, session, monitor):
    rang = threading.Event()
    monitor.add_alert(stalls_above(0), lambda alert: rang.set())
    server.expect(stream(EVENTS[:3], then=stall()))
    handle = session.submit("Hi", timeouts=Timeouts(warn_after=0.05))
    assert rang.wait(30)
    assert monitor.get_stats()["active_streams"] == 1
    handle.cancel()


def test_heartbeats_are_counted(server, session, monitor):
    server.expect(stream(heartbeats(3, every=0.001), EVENTS))
    session.complete("Hi")
    assert monitor.get_health_report()["heartbeats"] == 3


def test_a_session_may_have_many_observers(server, session, monitor, caplog):
    caplog.set_level(logging.INFO, "streamsafe.streams")
    server.expect(stream(EVENTS))
    list(session.stream("Hi", observers=(LogExporter(),)))
    events = [record.stream_event for record in caplog.records if "streams" in record.name]
    assert events == ["started", "complete"]
    assert monitor.get_stats()["successful_streams"] == 1


def held_by(keeper):
    """The locks that an observer's or recorder's own methods hold now and then."""
    return [keeper._lock, keeper._alerts._lock, keeper._share._wakeup]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_stream_that_is_collected_within_the_monitors_own_work_hangs_nothing(
    server, tmp_path, place
):
    server.expect(stream(EVENTS[:3], then=stall()))
    monitor = StreamMonitor(share=str(tmp_path / "figures"))
    monitor.add_alert(stalls_above(1), print)
    asking = StreamSession(
        "openai_compatible", base_url=f"{server.url}/v1", model="m", observers=[monitor]
    )
    answer = asking.stream("Hi")
    next(answer)
    garbage = [answer]
    garbage.append(garbage)
    del answer, garbage

    def collect():
        with held_by(monitor)[place]:
            gc.collect()

    collecting = threading.Thread(target=collect, daemon=True)
    collecting.start()
    collecting.join(10)
    assert not collecting.is_alive()
    stats = monitor.get_stats()
    assert (stats["active_streams"], stats["cancelled_streams"]) == (0, 1)
    monitor.close()
