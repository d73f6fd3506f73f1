"""What was recorded is replayed: the same chunks, the same verdicts; damage is named."""

import gc
import json
import os
import threading

import pytest

from streamsafe import (
    ConfigurationError,
    ConnectionDroppedError,
    RetryPolicy,
    StreamingError,
    StreamSession,
    StreamTimeoutError,
    Timeouts,
)
from streamsafe.debug import Recorder, Replay, StreamDebugger, cassette
from streamsafe.testing import FakeClock, FaultServer, pause, reply, rst, stall, stream
from streamsafe.testing.answers import openai_chat

TEXT = "Owls turn their heads 🙂."
EVENTS = openai_chat(TEXT)
KEY = "sk-planted-0123456789abcdef"


def session(url, transport, **settings):
    settings = {"model": "m", "retry": RetryPolicy(base=0.0), "resume": "restart", **settings}
    return StreamSession(
        "openai_compatible", base_url=f"{url}/v1", transport=transport, api_key=KEY, **settings
    )


def record(path, *exchanges):
    """Record one stream over these exchanges; its chunks, and the server's address."""
    with FaultServer() as server, Recorder(path) as recorder:
        server.expect(*exchanges)
        chunks = list(session(server.url, recorder).stream("Hi"))
        server.assert_nothing_more()
        return chunks, server.url


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answer.cassette"


def test_a_recording_gives_the_same_chunks_through_the_same_faults(path):
    chunks, url = record(
        path, reply(503), stream(EVENTS[:3], then=rst()), stream(EVENTS)
    )
    with Replay(path) as replay:
        assert list(session(url, replay).stream("Hi")) == chunks
        assert replay.left == 0


def test_the_times_of_the_recording_are_kept_if_asked_for(path):
    _, url = record(path, stream(EVENTS[:3], pause(0.3), EVENTS[3:]))
    fast = session(url, Replay(path)).complete("Hi")
    timed = session(url, Replay(path, speed=1.0)).complete("Hi")
    assert fast.text == timed.text == TEXT
    assert timed.timings.gap_max >= 0.25 > fast.timings.gap_max


def test_bytes_that_are_no_text_are_kept(path):
    body = b": \xff\n\n" + b"".join(EVENTS)
    chunks, url = record(path, stream(body[:60], body[60:]))
    assert list(session(url, Replay(path)).stream("Hi")) == chunks


def test_no_key_gets_into_the_file(path):
    record(path, stream(EVENTS, headers={"Set-Cookie": "session=planted-cookie-value"}))
    text = path.read_text()
    assert KEY not in text and "planted-cookie-value" not in text


def test_a_request_the_cassette_has_none_for_is_named(path):
    _, url = record(path, stream(EVENTS))
    asking = session(url, Replay(path))
    asking.complete("Hi")
    with pytest.raises(ConfigurationError, match="no exchange"):
        asking.complete("Hi")


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_key_that_is_echoed_in_parts_is_masked_as_well(path, size):
    whole = b"".join(openai_chat("Hi", model=f"for {KEY} alone"))
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    _, url = record(path, stream([[part, pause(0.001)] for part in parts], framing="close"))
    reads = cassette.load(str(path)).exchanges[0].reads
    assert b"".join(read.data for read in reads) == whole.replace(KEY.encode(), b"***")
    with Replay(path) as replay:
        assert session(url, replay).complete("Hi").model == "for *** alone"


def test_what_only_looks_like_the_beginning_of_a_key_stays_as_it_was_read(path):
    parts = [b": sk-plan", b" is no key\n\n", *EVENTS[:-1], b"data: [DONE]\n\n: sk-"]
    record(path, stream([[part, pause(0.05)] for part in parts]))
    reads = cassette.load(str(path)).exchanges[0].reads
    assert [read.data for read in reads][:2] == parts[:2]


def changed(line, name, value):
    return json.dumps({**json.loads(line), name: value})


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda lines: ["{}"], "line 1"),
        (lambda lines: [json.dumps({"kind": "streamsafe cassette", "version": 9})], "version 9"),
        (lambda lines: lines[:2] + ["{cut"], "line 3"),
        (lambda lines: lines[:1] + lines[2:], "line 2"),
        (lambda lines: lines[:1], "no exchange"),
        (lambda lines: lines[:2] + ["[" * 100_000], "line 3"),
        (lambda lines: [changed(lines[0], "recorded", float("nan")), *lines[1:]], "line 1"),
        (lambda lines: lines[:2] + [changed(lines[2], "at", float("inf"))], "line 3"),
        (lambda lines: lines[:1] + [changed(lines[1], "began", -1)], "line 2"),
    ],
)
def test_damage_is_named_by_its_line(path, damage, named):
    record(path, stream(EVENTS))
    path.write_text("\n".join(damage(path.read_text().splitlines())) + "\n")
    with pytest.raises(ConfigurationError, match=named):
        Replay(path)


def test_foreign_and_missing_files_are_named(path):
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ConfigurationError, match="no cassette"):
        Replay(path)
    with pytest.raises(ConfigurationError, match="can't be read"):
        Replay(path.with_name("nowhere"))
    with pytest.raises(ConfigurationError, match="speed"):
        Replay(path, speed=0)


def test_a_cut_recording_is_a_broken_stream_and_no_success(path):
    record(path, stream(EVENTS[:3], pause(0.1), EVENTS[3:]))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]))
    with pytest.raises(StreamingError):
        session("http://x", Replay(path), retry=0).complete("Hi")


def test_a_clock_that_ran_out_runs_out_again_without_the_wait(path):
    with FaultServer() as server, Recorder(path) as recorder:
        server.expect(stream(EVENTS[:3], then=stall()))
        asking = session(server.url, recorder, retry=0, timeouts=Timeouts(inactivity=0.2))
        with pytest.raises(StreamTimeoutError):
            asking.complete("Hi")
    with pytest.raises(StreamTimeoutError) as again:
        session("http://x", Replay(path), retry=0).complete("Hi")
    assert (again.value.clock, again.value.limit) == ("inactivity", 0.2)
    assert again.value.partial.text == "Owls turn"


def test_with_a_clock_to_turn_a_report_has_the_times_of_the_recording(path):
    record(path, stream(EVENTS[:3], then=rst()), stream(EVENTS[:3], pause(0.3), EVENTS[3:]))
    clock, debugger = FakeClock(autojump=True), StreamDebugger()
    with Replay(path, clock=clock) as replay:
        asking = session("http://x", replay, clock=clock, observers=(debugger,))
        assert asking.complete("Hi").text == TEXT
    timeline = debugger.timeline()
    assert [one.outcome for one in timeline.tries] == ["failed", "complete"]
    assert {"connecting", "connected", "sent"} <= set(timeline.tries[0].steps)
    assert max(read.waited for read in timeline.reads) == pytest.approx(0.3, abs=0.2)


def test_where_the_program_left_the_replay_breaks_off(path):
    with FaultServer() as server, Recorder(path) as recorder:
        server.expect(stream(EVENTS[:3], then=stall()))
        for _ in session(server.url, recorder).stream("Hi"):
            break
        server.reset()
    assert cassette.load(str(path)).exchanges[0].end.why == "left"
    with pytest.raises(ConnectionDroppedError, match="the recording ends here"):
        session("http://x", Replay(path), retry=0).complete("Hi")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk here")
def test_a_full_disk_ends_the_recording_and_not_the_stream(caplog):
    chunks, _ = record("/dev/full", stream(EVENTS))
    assert "".join(chunk.text for chunk in chunks) == TEXT
    assert "broke off" in caplog.text


def test_a_file_that_cannot_be_made_is_said_before_anything_is_asked(tmp_path):
    with pytest.raises(ConfigurationError, match="can't be written"):
        Recorder(tmp_path / "nowhere" / "x.jsonl")


def test_speed_and_clock_exclude_each_other(path):
    with pytest.raises(ConfigurationError, match="not both"):
        Replay(path, 1.0, clock=FakeClock())


def test_a_session_that_is_closed_ends_no_recording(path):
    with FaultServer() as server, Recorder(path) as recorder:
        server.always(stream(EVENTS))
        for _ in range(2):
            with session(server.url, recorder) as asking:
                asking.complete("Hi")
    assert len(cassette.load(str(path)).exchanges) == 2


def test_a_stream_that_is_collected_within_a_write_hangs_nothing(path):
    with FaultServer() as server, Recorder(path) as recorder:
        server.expect(stream(EVENTS[:3], then=stall()))
        answer = session(server.url, recorder).stream("Hi")
        next(answer)
        garbage = [answer]
        garbage.append(garbage)
        del answer, garbage

        def collect():
            with recorder._lock:
                gc.collect()

        collecting = threading.Thread(target=collect, daemon=True)
        collecting.start()
        collecting.join(10)
        assert not collecting.is_alive()
