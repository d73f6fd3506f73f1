"""Plain event sources and JSON lines on real sockets, by the WHATWG's rules of reconnecting."""

import threading

import pytest

from streamsafe import (
    APIError,
    ConnectionDroppedError,
    IncompleteStreamError,
    MalformedStreamError,
    NotFoundError,
    RetryPolicy,
    StreamCancelledError,
    StreamingError,
    StreamSession,
    StreamTimeoutError,
    Timeouts,
)
from streamsafe.debug import StreamDebugger
from streamsafe.engine.timing import SystemClock
from streamsafe.monitor import StreamMonitor
from streamsafe.testing import FaultServer, fin, heartbeats, redirect, reply, rst, stall, stream

PATIENCE = 5.0


class Waits:
    """The machine's clock, but for the waits, which are noted."""

    now, wall = SystemClock.now, SystemClock.wall

    def __init__(self):
        self.slept = []

    def sleep(self, seconds, wake):
        self.slept.append(seconds)
        return wake.is_set()


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


@pytest.fixture
def waits():
    return Waits()


@pytest.fixture
def session(waits):
    return StreamSession(clock=waits, retry=RetryPolicy(max_retries=2, base=0.001))


def event(number, data=None):
    return f"id: {number}\ndata: {data or f'event {number}'}\n\n".encode()


def ids(events):
    return [found.id for found in events]


GONE = reply(204)


def test_events_come_as_they_stand_on_the_wire(server, session):
    server.expect(stream(b"event: note\ndata: a\ndata: b\nid: 7\n\n: beat\n\ndata: c\n\n"), GONE)
    events = session.events(f"{server.url}/feed")
    assert list(events) == [("note", "a\nb", "7", None), ("message", "c", "7", None)]
    assert events.last_event_id == "7"
    assert server.requests[0].method == "GET"
    assert "authorization" not in server.requests[0].headers


def test_a_drop_is_gone_on_with_behind_the_last_id(server, session):
    server.expect(
        stream(event(1), event(2), then=rst()), stream(event(3), then=fin()),
        stream(event(4)), GONE,
    )  # fmt: skip
    assert ids(session.events(server.url)) == ["1", "2", "3", "4"]
    asked = [request.headers.get("last-event-id") for request in server.requests]
    assert asked == [None, "2", "3", "4"]


def test_a_server_that_begins_anew_doubles_nothing(server, session):
    again = [event(number) for number in (1, 2, 3)]
    server.expect(stream(again[:2], then=rst()), stream(again), GONE)
    assert ids(session.events(server.url)) == ["1", "2", "3"]


def test_a_server_that_begins_anew_with_a_greeting_doubles_the_greeting_alone(server, session):
    told = b"data: hello\n\n", event(1), event(2)
    server.expect(stream(told, then=rst()), stream(told, event(3)), GONE)
    events = [found.data for found in session.events(server.url)]
    assert events == ["hello", "event 1", "event 2", "hello", "event 3"]


def test_what_is_said_twice_is_not_lost_behind_a_drop(server, session):
    tick = b"data: tick\n\n"
    server.expect(
        stream(event(1, "tick"), tick, then=rst()), stream(tick, tick, then=rst()),
        stream(event(1, "tick"), event(1, "tick"), event(1, "tick"), event(1, "tick"),
               event(1, "tick")), GONE,
    )  # fmt: skip
    assert len(list(session.events(server.url))) == 5


def test_an_id_in_a_block_without_data_counts(server, session):
    server.expect(stream(event(1), b"id: 9\n\n"), GONE)
    list(session.events(server.url))
    assert server.requests[1].headers["last-event-id"] == "9"


def test_a_given_id_is_sent_and_carried_by_events_without_one(server, session):
    server.expect(stream(b"data: x\n\n"), GONE)
    assert ids(session.events(server.url, last_event_id="41")) == ["41"]
    assert server.requests[0].headers["last-event-id"] == "41"


def test_an_id_goes_back_as_utf_8(server, session):
    server.expect(stream(event("日é")), GONE)
    assert ids(session.events(server.url)) == ["日é"]
    assert server.requests[1].headers["last-event-id"].encode("latin-1") == "日é".encode()


def test_the_servers_retry_is_the_wait_spread_a_little(server, session, waits):
    server.expect(stream(b"retry: 500\ndata: x\n\n"), GONE)
    list(session.events(server.url))
    assert len(waits.slept) == 1 and 0.5 <= waits.slept[0] <= 0.6


def test_without_retry_the_wait_is_that_of_browsers(server, session, waits):
    server.expect(stream(event(1)), GONE)
    list(session.events(server.url))
    assert 3.0 <= waits.slept[0] <= 3.6


def test_no_content_ends_it(server, session):
    server.expect(GONE)
    assert list(session.events(server.url)) == []


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_status_that_says_no_is_not_asked_again(server, session, status):
    server.expect(reply(status))
    with pytest.raises(APIError) as raised:
        list(session.events(server.url))
    assert raised.value.status == status


def test_credentials_that_the_server_echoes_are_masked(server, session):
    token = "gateway-token-0123456789"
    server.expect(reply(403, f"not with {token}"))
    with pytest.raises(StreamingError) as caught:
        list(session.events(server.url, headers={"Authorization": f"Bearer {token}"}))
    assert token not in f"{caught.value}{vars(caught.value)}"


def test_a_failed_source_never_looks_like_one_that_ended(server, session):
    server.expect(reply(401))
    source = session.events(f"{server.url}/events")
    for _ in range(2):
        with pytest.raises(APIError):
            next(source)


def test_without_retries_it_is_read_once(server, session):
    server.expect(stream(event(1), event(2)), stream(event(3), then=rst()))
    assert ids(session.events(server.url, retry=0)) == ["1", "2"]
    with pytest.raises(ConnectionDroppedError):
        list(session.events(server.url, retry=0))


def test_another_kind_of_body_fails_it(server, session):
    server.expect(reply(200, "<html>hello"))
    with pytest.raises(MalformedStreamError):
        list(session.events(server.url))


def test_redirects_are_followed(server, session):
    server.expect(redirect("/there", 301), stream(event(1)), GONE)
    assert ids(session.events(f"{server.url}/here")) == ["1"]
    assert [request.path for request in server.requests] == ["/here", "/there", "/here"]


def test_what_never_comes_back_is_given_up(server, session):
    server.expect(*[reply(503)] * 3)
    with pytest.raises(StreamingError):
        list(session.events(server.url))


def test_what_sends_heartbeats_is_never_given_up_and_asked_less_often(server, waits):
    policy = RetryPolicy(max_retries=2, base=0.4, jitter="none")
    session = StreamSession(clock=waits, retry=policy)
    server.expect(*[stream(b"retry: 0\n\n", heartbeats(1, 0))] * 4, GONE)
    assert ids(session.events(server.url)) == []
    assert waits.slept == [0, 0.8, 0.8, 0.8]


def test_heartbeats_keep_a_quiet_source_alive_and_silence_does_not(server, session):
    timeouts = Timeouts(first_token=2, inactivity=0.8, stall=0.8)
    server.expect(stream(heartbeats(8, 0.15), event(1), then=stall()), GONE)
    assert ids(session.events(server.url, timeouts=timeouts)) == ["1"]
    assert server.requests[0].client_gone.wait(PATIENCE)


def test_the_total_ends_it(server, session):
    server.expect(stream(heartbeats(None, 0.05)))
    with pytest.raises(StreamTimeoutError) as raised:
        list(session.events(server.url, timeouts=0.3))
    assert raised.value.clock == "total"


def test_a_post_is_read_once(server, session):
    server.expect(stream(event(1), event(2)))
    events = session.events(server.url, method="post", json={"q": 1})
    assert ids(events) == ["1", "2"]
    assert server.requests[0].json == {"q": 1}


def test_a_post_that_drops_goes_on_only_behind_an_id(server, session):
    server.expect(stream(event(1), then=rst()), stream(event(2)))
    assert ids(session.events(server.url, method="POST")) == ["1", "2"]
    server.expect(stream(b"data: x\n\n", then=rst()))
    with pytest.raises(StreamingError):
        list(session.events(server.url, method="POST"))


def test_cancel_wakes_the_reader(server, session):
    server.expect(stream(event(1), then=stall()))
    events = session.events(server.url)
    assert next(events).id == "1"
    threading.Timer(0.05, events.cancel).start()
    with pytest.raises(StreamCancelledError):
        next(events)
    assert server.requests[0].client_gone.wait(PATIENCE)


def test_leaving_closes_the_connection(server, session):
    server.expect(stream(event(1), then=stall()))
    with session.events(server.url) as events:
        next(events)
    assert server.requests[0].client_gone.wait(PATIENCE)
    with pytest.raises(StopIteration):
        next(events)


# -- lines -----------------------------------------------------------------------------------------


def lines(*body, **how):
    return stream(*body, content_type="application/x-ndjson", **how)


def test_lines_are_values_to_the_end_of_the_body(server, session):
    server.expect(lines('{"a": 1}\n\n[2]\r\n"', 'x"\n3'))
    assert list(session.lines(server.url)) == [{"a": 1}, [2], "x", 3]


def test_lines_are_what_is_asked_for_unless_the_program_says_otherwise(server, session):
    server.expect(stream("1\n"), stream("1\n"))
    for headers in (None, {"accept": "x/y"}):
        assert list(session.lines(server.url, headers=headers)) == [1]
    first, second = (request.headers["accept"] for request in server.requests)
    assert first.startswith("application/x-ndjson") and second == "x/y"


def test_a_single_line_is_one_value(server, session):
    server.expect(lines('{"a": 1}\n'))
    assert list(session.lines(server.url)) == [{"a": 1}]


def test_a_cut_line_and_a_broken_one_are_errors(server, session):
    server.expect(lines('{"a": 1}\n{"b"'), lines('{"a": 1}\nnope\n{"c": 1}\n'))
    for kind in (IncompleteStreamError, MalformedStreamError):
        seen = []
        with pytest.raises(kind):
            seen.extend(session.lines(server.url))


def test_a_drop_is_raised(server, session):
    server.expect(lines('{"a": 1}\n', then=rst()))
    with pytest.raises(StreamingError):
        list(session.lines(server.url))


# -- what observers are told -----------------------------------------------------------------


class Notes:
    def __init__(self):
        self.records = []

    def observe(self, record):
        self.records.append(record)

    @property
    def kinds(self):
        return [type(record).__name__ for record in self.records]


def test_observers_are_told_of_every_connection_and_the_end(server, session):
    server.expect(
        stream(b"retry: 1\nid: 1\ndata: a\n\n"), stream(b"id: 2\ndata: b\n\n"), reply(204)
    )
    notes = Notes()
    events = session.events(server.url, observers=(notes,))
    assert [event.data for event in events] == ["a", "b"]
    kinds = [kind for kind in notes.kinds if kind not in ("Step", "Chunks", "Opened")]
    attempt = ["AttemptStarted", "AttemptEnded"]
    assert kinds == ["Started", *attempt, "Retrying", *attempt, "Retrying", *attempt, "Completed"]
    last = notes.records[-1].completion
    assert [one.outcome for one in last.attempts] == ["failed", "failed", "complete"]
    assert len({record.stream_id for record in notes.records}) == 1


def test_observers_are_told_of_a_failure_of_a_cancel_and_of_leaving(server, session):
    server.expect(reply(404), stream(b"data: a\n\n", stall()), stream(b"data: a\n\n", stall()))
    notes = Notes()
    with pytest.raises(NotFoundError):
        next(session.events(server.url, observers=(notes,)))
    assert notes.kinds[-2:] == ["AttemptEnded", "Failed"]
    events = session.events(server.url, observers=(notes,))
    next(events)
    events.cancel("enough")
    with pytest.raises(StreamCancelledError):
        next(events)
    assert (notes.kinds[-1], notes.records[-1].reason) == ("Cancelled", "enough")
    with session.events(server.url, observers=(notes,)) as events:
        next(events)
    assert notes.kinds[-2:] == ["AttemptEnded", "Cancelled"]


def test_a_debugger_and_a_monitor_see_a_plain_source(server, session):
    server.expect(stream(b": beat\n\ndata: a\n\n"), reply(204))
    debugger, monitor = StreamDebugger(), StreamMonitor()
    list(session.events(server.url, observers=(debugger, monitor), retry=RetryPolicy(base=0.0)))
    timeline = debugger.timeline()
    assert (timeline.verdict, timeline.attempts, timeline.provider) == ("complete", 2, "sse")
    assert timeline.tries[0].heartbeats == 1 and "complete" in debugger.report().lower()
    assert monitor.get_stats()["successful_streams"] == 1
