"""A scope cuts the connection it has hold of, from any thread, and no other."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from streamsafe.errors import StreamCancelledError, StreamTimeoutError
from streamsafe.wire.scope import Scope

CAUSE = StreamCancelledError("enough")


@pytest.fixture
def pair() -> Iterator[Any]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def scope() -> Iterator[Scope]:
    one = Scope()
    yield one
    one.detach()


def test_a_blocked_reader_wakes_and_finds_the_cause(pair: Any, scope: Scope) -> None:
    scope.attach(pair[0])
    aborting = threading.Timer(0.02, scope.abort, [CAUSE])
    aborting.start()
    assert pair[0].recv(1) == b""
    assert scope.cause is CAUSE
    aborting.join()


@pytest.mark.parametrize("let_go", [Scope.detach, Scope.cut])
def test_what_it_has_hold_of_outlives_a_stream_that_is_garbage(scope: Scope, let_go: Any) -> None:
    """Else the collector may close the socket before the stream does, and Python warns."""
    ours, theirs = socket.socketpair()
    held = weakref.ref(ours)
    scope.attach(ours)
    del ours
    gc.collect()
    still_there = held()
    assert still_there is not None
    let_go(scope)
    for one in (still_there, theirs):
        one.close()
    del still_there, one
    gc.collect()
    assert held() is None


def test_the_other_side_is_told(pair: Any, scope: Scope) -> None:
    scope.attach(pair[0])
    scope.abort(CAUSE)
    assert pair[1].recv(1) == b""


def test_a_connection_attached_too_late_is_shut_at_once(pair: Any, scope: Scope) -> None:
    scope.abort(CAUSE)
    scope.attach(pair[0])
    assert pair[0].recv(1) == b""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here")
def test_a_signals_handler_may_abort_wherever_the_reader_is(pair: Any, scope: Scope) -> None:
    scope.attach(pair[0])
    before = signal.signal(signal.SIGUSR1, lambda *_: scope.abort(CAUSE))
    try:
        with scope._lock:
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert scope.cause is CAUSE and pair[0].recv(1) == b""


def test_the_first_cause_stays(scope: Scope) -> None:
    assert scope.abort(CAUSE) is True
    assert scope.abort(StreamTimeoutError("total", 1, 1)) is False
    assert scope.cause is CAUSE


def test_a_connection_let_go_of_is_safe(pair: Any, scope: Scope) -> None:
    scope.attach(pair[0])
    scope.detach()
    scope.detach()
    scope.abort(CAUSE)
    pair[1].send(b"x")
    assert pair[0].recv(1) == b"x"


def test_only_the_last_connection_is_held(pair: Any, scope: Scope) -> None:
    other, theirs = socket.socketpair()
    with other, theirs:
        scope.attach(pair[0])
        scope.attach(other)
        scope.abort(CAUSE)
        assert theirs.recv(1) == b""
        pair[1].send(b"x")
        assert pair[0].recv(1) == b"x"


def test_what_is_handed_over_is_of_the_connection_that_asks(pair: Any, scope: Scope) -> None:
    scope.attach(pair[0])
    assert scope.hand_over(pair[1]) is None and scope.hand_over(pair[0]) is None
    scope.attach(pair[0])
    fd = scope.hand_over(pair[0])
    assert fd is not None and os.path.sameopenfile(fd, pair[0].fileno())
    scope.abort(CAUSE)
    pair[1].send(b"x")
    assert pair[0].recv(1) == b"x"
    other = Scope()
    other.attach(pair[0], fd)
    other.abort(CAUSE)
    assert pair[1].recv(1) == b""
    other.detach()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(fd)


def test_cut_tells_the_other_side_and_lets_go(pair: Any, scope: Scope) -> None:
    scope.attach(pair[0])
    scope.cut()
    scope.cut()
    assert pair[1].recv(1) == b""
    assert scope.cause is None
    assert not scope.pending()


def test_no_descriptor_is_left(pair: Any, scope: Scope) -> None:
    def free() -> int:
        fd = os.dup(pair[0].fileno())  # the lowest number that is free
        os.close(fd)
        return fd

    before = free()
    for end in (scope.detach, scope.cut):
        scope.attach(pair[0])
        scope.attach(pair[0])
        end()
        assert free() == before


def test_the_default_timeout_of_sockets_does_not_reach_the_reader(
    pair: Any, scope: Scope
) -> None:
    """A socket object made of the duplicate would make the reader's own non-blocking."""
    socket.setdefaulttimeout(5)
    try:
        scope.attach(pair[0])
        scope.pending()
        assert os.get_blocking(pair[0].fileno())
    finally:
        socket.setdefaulttimeout(None)


def test_bytes_that_wait_are_pending(pair: Any, scope: Scope) -> None:
    assert not scope.pending()
    scope.attach(pair[0])
    assert not scope.pending()
    pair[1].send(b"x")
    assert scope.pending()
    pair[0].recv(1)
    assert not scope.pending()


def test_nothing_is_pending_after_an_abort(pair: Any, scope: Scope) -> None:
    scope.attach(pair[0])
    pair[1].send(b"x")
    scope.abort(CAUSE)
    assert not scope.pending()


def test_a_wait_ends_with_the_abort(scope: Scope) -> None:
    assert scope.wait(0.001) is False
    aborting = threading.Timer(0.01, scope.abort, [CAUSE])
    aborting.start()
    assert scope.wait(10) is True
    assert scope.wait(10) is True
    aborting.join()


def test_the_callback_is_called_once_also_when_it_comes_late(scope: Scope) -> None:
    called: list[int] = []
    scope.on_abort(lambda: called.append(1))
    scope.abort(CAUSE)
    scope.abort(CAUSE)
    assert called == [1]
    scope.on_abort(lambda: called.append(2))
    assert called == [1, 2]


def test_a_callback_taken_back_is_not_called(scope: Scope) -> None:
    called: list[int] = []
    scope.on_abort(lambda: called.append(1))
    scope.on_abort(None)
    scope.abort(CAUSE)
    assert called == []


def test_what_is_no_socket_can_be_held_without_harm(tmp_path: Any, scope: Scope) -> None:
    with open(tmp_path / "file", "w+b") as file:
        scope.attach(file)  # type: ignore[arg-type]
        assert scope.abort(CAUSE)
