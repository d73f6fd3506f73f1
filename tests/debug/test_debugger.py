"""The observer: what it remembers of streams, and what it forgets."""

from __future__ import annotations

import os
import re
import threading

import pytest

from streamsafe import ConfigurationError, RetryPolicy, Timeouts
from streamsafe.debug import StreamDebugger
from streamsafe.debug.logbook import MAX_TRIES
from streamsafe.debug.timeline import Mark, Read
from streamsafe.lifecycle import AttemptStarted, Chunks, Started, Step
from streamsafe.models import Chunk, Request
from streamsafe.testing import heartbeats, pause, reply, rst, stall, stream
from streamsafe.testing.answers import openai_chat

EVENTS = openai_chat("The quick brown fox jumps over the lazy dog.", usage=(5, 9))


def kinds(timeline):
    return [step.kind if isinstance(step, Mark) else "read" for step in timeline.steps]


def test_every_step_of_a_stream_is_on_the_timeline_in_its_order(server, run):
    server.expect(stream(EVENTS))
    timeline = run()
    assert [kind for kind in kinds(timeline) if kind != "read"] == [
        "attempt", "connecting", "connected", "sent", "opened", "first token", "finish", "over",
        "verdict",
    ]  # fmt: skip
    assert kinds(timeline).index("read") == kinds(timeline).index("opened") + 1
    assert [step.at for step in timeline.steps] == sorted(step.at for step in timeline.steps)
    assert sum(read.size for read in timeline.reads) == len(b"".join(EVENTS))
    assert sum(read.events for read in timeline.reads) == len(EVENTS)
    assert (timeline.verdict, timeline.finish_reason) == ("complete", "stop")
    assert timeline.output_tokens == 9 and not timeline.tokens_estimated


def test_the_first_token_and_the_finish_stand_in_the_report_with_what_each_read_brought(
    server, debugger, run
):
    server.expect(stream([[event, pause(0.002)] for event in openai_chat("four")]))
    timeline = run()
    assert sum(read.chars for read in timeline.reads) == 4
    (first,) = [mark for mark in timeline.marks if mark.kind == "first token"]
    assert first.at == timeline.tries[0].first_content
    lines = debugger.report().splitlines()
    assert any(line.endswith(" s  first token") for line in lines)
    assert any(line.endswith(" s  finish reason 'stop'") for line in lines)
    assert any(re.search(r"\b\d events?, 4 characters; waited", line) for line in lines)


@pytest.mark.parametrize(
    "status, kind, body",
    [
        (429, "text/plain", b"slow down, please"),
        (200, "text/html", b"<title>Log in</title>"),
        (200, "application/json", b'{"error": {"message": "no"}}'),
        (200, "application/json", b'{"choices": ['),
    ],
)
def test_the_bytes_of_a_body_that_is_no_stream_are_counted(
    server, debugger, run, status, kind, body
):
    server.expect(reply(status, body, content_type=kind))
    (one,) = run().tries
    assert (one.size, one.reads, one.events) == (len(body), 1, 0)
    assert "first byte after" in debugger.report()


def test_retries_their_reasons_and_seams_are_on_the_timeline(server, run):
    server.expect(reply(503), stream(EVENTS[:4], then=rst()), stream(EVENTS))
    timeline = run(retry=RetryPolicy(base=0.001), resume="restart")
    retries = [mark.facts for mark in timeline.marks if mark.kind == "retrying"]
    assert [retry["error"] for retry in retries] == ["OverloadedError", "ConnectionDroppedError"]
    (seam,) = [mark.facts for mark in timeline.marks if mark.kind == "resumed"]
    assert seam["how"] == "restart"
    assert [one.outcome for one in timeline.tries] == ["failed", "failed", "complete"]
    assert [one.fault.type if one.fault else None for one in timeline.tries] == [
        "OverloadedError", "ConnectionDroppedError", None,
    ]  # fmt: skip


def test_heartbeats_and_the_warning_of_silence_are_on_the_timeline(server, run):
    server.expect(stream(EVENTS[:3], heartbeats(3, every=0.02), stall()))
    timeline = run(timeouts=Timeouts(inactivity=0.2, warn_after=0.05))
    assert sum(read.heartbeats for read in timeline.reads) == 3
    assert "stalled" in kinds(timeline)
    assert timeline.fault.clock == "inactivity"


def test_a_stream_that_was_left_is_cancelled_with_what_came(server, run):
    server.expect(stream(EVENTS[:3], then=stall()))
    timeline = run(read=lambda answer: next(iter(answer)))
    assert timeline.verdict == "cancelled"


def test_a_running_stream_can_be_looked_at_from_another_thread(server, debugger, run):
    server.expect(stream(EVENTS))
    seen = []

    def look(answer):
        chunks = iter(answer)
        next(chunks)
        looker = threading.Thread(target=lambda: seen.append(debugger.report()))
        looker.start()
        looker.join()
        chunks.close()

    run(read=look)
    assert "RUNNING" in seen[0]


def test_many_streams_are_told_apart_by_their_ids(server, debugger, run):
    server.expect(stream(EVENTS), reply(401))
    first = run().stream_id
    second = run().stream_id
    assert debugger.stream_ids == (first, second)
    assert debugger.timeline(first).verdict == "complete"
    assert debugger.timeline(second).verdict == "failed"
    assert second in debugger.report() and first in debugger.report(first)


def test_of_too_many_streams_those_that_ended_first_are_forgotten():
    debugger = StreamDebugger(max_streams=2)
    for name in ("running", "b", "c"):
        debugger.observe(started(name))
    # All run: the oldest goes.
    assert debugger.stream_ids == ("b", "c")


def test_a_stream_that_is_not_known_is_a_clear_error(debugger):
    with pytest.raises(LookupError, match="none yet"):
        debugger.report()
    debugger.observe(started("known"))
    with pytest.raises(LookupError, match="'gone'.*'known'.*observers="):
        debugger.report("gone")


def test_another_format_is_a_clear_error(debugger):
    with pytest.raises(ConfigurationError, match="expected one of text, html, json"):
        debugger.report(format="pdf")


@pytest.mark.parametrize("wrong", [{"max_streams": 0}, {"max_steps": 5}, {"max_steps": True}])
def test_a_wrong_setting_is_a_clear_error(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        StreamDebugger(**wrong)


def started(name="s"):
    return Started(name, 0.0, 1_700_000_000.0, "openai", "m")


def read(number, name="s"):
    return Chunks(name, 0.1 * number, b"x" * 10, 1, 0, [Chunk("text", "w")], 0.1, 0.01)


def test_memory_is_bounded_and_nothing_counted_is_lost():
    debugger = StreamDebugger(max_steps=100)
    debugger.observe(started())
    for number in range(10_000):
        debugger.observe(read(number))
        assert len(debugger.timeline().steps) <= 100
    reads = debugger.timeline().reads
    assert sum(one.count for one in reads) == 10_000
    assert sum(one.size for one in reads) == 100_000
    assert sum(one.waited for one in reads) == pytest.approx(1000.0)
    assert all(one.count == 1 for one in (*reads[:25], *reads[-25:]))
    assert all(one.until <= two.at for one, two in zip(reads, reads[1:]))


def test_memory_is_bounded_where_there_is_nothing_to_merge():
    debugger = StreamDebugger(max_steps=100)
    debugger.observe(started())
    for number in range(3_000):
        debugger.observe(Step("s", float(number), "connecting", {"address": str(number)}))
    timeline = debugger.timeline()
    assert len(timeline.steps) <= 100
    assert len(timeline.steps) + timeline.dropped == 3_000
    assert (timeline.steps[0].at, timeline.steps[-1].at) == (0.0, 2_999.0)


def test_of_too_many_attempts_the_first_and_the_last_are_kept():
    debugger = StreamDebugger()
    debugger.observe(started())
    for number in range(1, 501):
        request = Request("GET", "http://x.test")
        debugger.observe(AttemptStarted("s", float(number), number, request))
    numbers = [one.number for one in debugger.timeline().tries]
    assert len(numbers) <= MAX_TRIES + 1
    assert numbers[:3] == [1, 2, 3] and numbers[-3:] == [498, 499, 500]
    assert "attempts are not shown" in debugger.report()


def test_a_record_of_a_stream_whose_start_was_not_seen_is_passed_over(debugger):
    debugger.observe(read(1))
    assert debugger.stream_ids == ()


def test_the_memory_holds_no_answer_and_no_exception(server, debugger, run):
    server.expect(stream(EVENTS[:4], then=rst()))
    for step in run().steps:
        if isinstance(step, Read):
            assert all(isinstance(value, (int, float)) for value in step)
        else:
            assert not any(isinstance(value, BaseException) for value in step.facts.values())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_begins_anew(debugger):
    debugger.observe(started())
    with debugger._lock:
        pid = os.fork()
        if pid == 0:
            debugger.observe(started("child"))
            os._exit(0 if debugger.stream_ids == ("child",) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert debugger.stream_ids == ("s",)
