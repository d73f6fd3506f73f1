"""A script without sockets, read as an attempt reads it."""

from __future__ import annotations

import threading

import pytest

from streamsafe.errors import ConnectError, ConnectionDroppedError, StreamTimeoutError
from streamsafe.models import Request
from streamsafe.testing import (
    FakeClock,
    FakeTransport,
    chunk,
    fin,
    heartbeats,
    on_connect,
    pause,
    raw,
    reply,
    rst,
    stall,
    stream,
    verbatim,
    wait,
)
from streamsafe.wire.scope import Scope

EVENTS = [b"data: %d\n\n" % number for number in range(4)]
REQUEST = Request("POST", "https://api.test/v1", json={"stream": True})


def opened(transport, scope=None, connect_timeout=None):
    return transport.open(
        REQUEST,
        scope or Scope(),
        connect_timeout=connect_timeout,
        read_timeout=None,
        on_step=lambda name, detail: None,
    )


def read(response):
    pieces = []
    while True:
        piece = response.read()
        if not piece:
            return pieces
        pieces.append(piece)


def test_each_step_is_a_read():
    response = opened(FakeTransport(stream(EVENTS[:2], chunk(EVENTS[2:]))))
    assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
    assert read(response) == EVENTS
    assert not response.pending() and not response.reused


def test_requests_are_recorded_and_steps_told():
    transport, steps = FakeTransport(reply(429, headers={"Retry-After": "1"})), []
    response = transport.open(
        REQUEST,
        Scope(),
        connect_timeout=1,
        read_timeout=1,
        on_step=lambda name, detail: steps.append(name),
    )
    assert (response.status, response.headers["retry-after"]) == (429, "1")
    assert transport.requests == [REQUEST] and steps == ["connecting", "connected", "sent"]
    transport.assert_nothing_more()


@pytest.mark.parametrize(
    "body, framing", [(rst(), "chunked"), (rst(), "close"), (fin(), "chunked"), (fin(), "length")]
)
def test_a_break_comes_after_what_was_sent(body, framing):
    declared = 99 if framing == "length" else None
    exchange = stream(EVENTS[0], then=body, framing=framing, declared=declared)
    response = opened(FakeTransport(exchange))
    assert response.read() == EVENTS[0]
    with pytest.raises(ConnectionDroppedError):
        response.read()


def test_a_fin_looks_like_an_end_where_the_body_has_no_mark():
    assert read(opened(FakeTransport(stream(EVENTS, then=fin(), framing="close")))) == EVENTS


def test_without_an_answer_open_raises():
    transport = FakeTransport(raw(fin()), on_connect(rst()), on_connect(stall()))
    with pytest.raises(ConnectionDroppedError):
        opened(transport)
    with pytest.raises(ConnectError):
        opened(transport)
    with pytest.raises(StreamTimeoutError) as caught:
        opened(transport, connect_timeout=0.01)
    assert caught.value.clock == "connect" and caught.value.limit == 0.01
    assert transport.unclosed == 0


@pytest.mark.parametrize(
    "silence",
    [stall(), pause(60), wait("never"), wait(threading.Event()), heartbeats(every=60)],
    ids=["stall", "pause", "gate", "event", "heartbeats"],
)
def test_an_abort_ends_every_silence(silence):
    scope = Scope()
    response = opened(FakeTransport(stream(EVENTS[0], silence, EVENTS[1])), scope)
    response.read()
    cutter = threading.Timer(0.02, scope.abort, [RuntimeError("cut")])
    cutter.start()
    assert EVENTS[1] not in read(response)
    cutter.join()


def test_pauses_take_the_time_of_the_clock():
    clock = FakeClock(autojump=True)
    transport = FakeTransport(
        stream(pause(30), EVENTS[0], heartbeats(2, every=15), first=pause(60)), clock=clock
    )
    response = opened(transport)
    assert clock.now() == 60
    assert read(response) == [EVENTS[0], b": keep-alive\n\n", b": keep-alive\n\n"]
    assert clock.now() == 120


def test_gates_open_by_name():
    transport = FakeTransport(stream(wait("go"), EVENTS[0]))
    response = opened(transport)
    opener = threading.Timer(0.02, transport.gate("go").set)
    opener.start()
    assert response.read() == EVENTS[0]
    opener.join()


def test_what_only_a_socket_can_do_is_refused():
    with pytest.raises(TypeError, match="FaultServer"):
        opened(FakeTransport(raw(b"HTTP/1.1 ")))
    with pytest.raises(TypeError, match="FaultServer"):
        read(opened(FakeTransport(stream(verbatim(b"zz")))))


def test_unclosed_counts_the_responses_that_are_open():
    transport = FakeTransport()
    transport.always(stream(EVENTS))
    first, second = opened(transport), opened(transport)
    assert transport.unclosed == 2
    first.close()
    first.close()
    second.finish()
    assert transport.unclosed == 0


def test_nothing_more_means_nothing_left_and_nothing_else_asked():
    transport = FakeTransport(reply(503))
    with pytest.raises(AssertionError, match="1 exchange.*503"):
        transport.assert_nothing_more()
    opened(transport)
    transport.assert_nothing_more()
    with pytest.raises(AssertionError, match="POST https://api.test/v1 was not expected"):
        opened(transport)
    with pytest.raises(AssertionError, match="was not expected"):
        transport.assert_nothing_more()
