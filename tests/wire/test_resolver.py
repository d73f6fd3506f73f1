"""Names are looked up on a thread that can be left; addresses are taken as they are."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import pytest

from streamsafe.errors import StreamCancelledError
from streamsafe.wire import aside, resolver
from streamsafe.wire.scope import Scope

ANY = socket.AF_UNSPEC


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Look-ups wait for ``go`` and give ``answer``; ``asked`` lists them."""

    class Names:
        go = threading.Event()
        asked: list[str] = []
        answer: Any = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

    names = Names()

    def look_up(key: Any) -> Any:
        names.asked.append(key[0])
        assert names.go.wait(10)
        if isinstance(names.answer, BaseException):
            raise names.answer
        return names.answer

    monkeypatch.setattr(resolver, "_look_up", look_up)
    yield names
    names.go.set()
    for thread in threading.enumerate():
        if thread.name == "streamsafe-resolver":
            thread.join(10)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_is_no_name(address: str) -> None:
    found = resolver.literal(address, 80, ANY)
    assert found is not None and found[0][4][:2] == (address, 80)


@pytest.mark.parametrize("name", ["localhost", "api.test", "a" * 70, "..", "ü.test"])
def test_a_name_is_no_address(name: str) -> None:
    assert resolver.literal(name, 80, ANY) is None


def test_a_name_gives_its_addresses() -> None:
    found = resolver.resolve("localhost", 80, ANY, Scope(), 10)
    assert {info[4][0] for info in found} <= {"127.0.0.1", "::1"}


def test_what_the_name_server_says_is_raised(counted: Any) -> None:
    counted.answer = socket.gaierror(socket.EAI_AGAIN, "try again")
    counted.go.set()
    for _ in range(2):
        with pytest.raises(socket.gaierror, match="try again") as caught:
            resolver.resolve("a.test", 80, ANY, Scope(), 10)
        assert caught.value is not counted.answer


def test_a_look_up_is_left_when_its_time_is_over(counted: Any) -> None:
    with pytest.raises(socket.timeout, match="a.test"):
        resolver.resolve("a.test", 80, ANY, Scope(), 0.01)


def test_a_look_up_is_left_when_the_scope_is_aborted(counted: Any) -> None:
    scope = Scope()
    threading.Timer(0.01, scope.abort, [StreamCancelledError()]).start()
    with pytest.raises(ConnectionAbortedError):
        resolver.resolve("a.test", 80, ANY, scope, None)


def test_those_who_ask_for_one_name_at_a_time_share_a_look_up(counted: Any) -> None:
    with pytest.raises(socket.timeout):
        resolver.resolve("a.test", 80, ANY, Scope(), 0.01)
    found: list[Any] = []

    def ask() -> None:
        found.append(resolver.resolve("a.test", 80, ANY, Scope(), 10))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    counted.go.set()
    for thread in threads:
        thread.join(10)
    assert found == [counted.answer] * 5
    assert set(counted.asked) == {"a.test"}
    assert resolver._under_way == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_look_up(counted: Any) -> None:
    with pytest.raises(socket.timeout):
        resolver.resolve("a.test", 80, ANY, Scope(), 0.01)
    child = os.fork()
    if child == 0:
        os._exit(0 if resolver._under_way == {} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_a_call_aside_raises_is_on_its_future() -> None:
    def fail() -> None:
        raise KeyError("x")

    future = aside.start("streamsafe-test", fail)
    assert aside.wait(future, Scope(), 10)
    assert isinstance(future.exception(), KeyError)


def test_a_call_aside_does_not_count_for_a_scope_that_is_aborted() -> None:
    scope = Scope()
    scope.abort(StreamCancelledError())
    future = aside.start("streamsafe-test", lambda: 1)
    assert future.result(10) == 1
    assert not aside.wait(future, scope, 10)
