"""The values of a script, without a server."""

from __future__ import annotations

import pickle
import threading

import pytest

from streamsafe.testing import (
    Exchange,
    chunk,
    drip,
    fin,
    finish,
    head,
    heartbeats,
    on_connect,
    pause,
    raw,
    redirect,
    reply,
    split,
    stall,
    stream,
    wait,
)


def test_bodies_are_taken_apart_and_end_properly():
    exchange = stream("é", [b"a", (b"b", iter([b"c"]))], b"", bytearray(b"d"), pause(1))
    assert exchange.steps == ("é".encode(), b"a", b"b", b"c", b"d", pause(1), finish())


def test_then_takes_the_place_of_the_end():
    assert stream(b"a", then=fin()).steps == (b"a", fin())
    assert stream(b"a", then=[finish(), fin()]).steps == (b"a", finish(), fin())
    assert stream(b"a", stall()).steps == (b"a", stall())


def test_the_content_type_is_guessed_but_never_twice():
    assert stream().headers == (("Content-Type", "text/event-stream"),)
    assert stream(content_type=None).headers == ()
    assert stream(headers={"content-type": "x"}).headers == (("content-type", "x"),)
    assert reply(200, " <html>").headers[0][1].startswith("text/html")
    assert reply(200, "text").headers[0][1].startswith("text/plain")
    assert reply(200, json=[]).headers[0] == ("Content-Type", "application/json")
    assert reply(204).headers == ()
    assert redirect("/x").headers == (("Location", "/x"),)


@pytest.mark.parametrize(
    "make, what",
    [
        (lambda: stream(framing="longth"), "framing='longth'.*chunked"),
        (lambda: stream(encoding="br"), "encoding='br'.*gzip"),
        (lambda: stream(declared=5), "framing='length'"),
        (lambda: stream(heartbeats(), framing="length"), "declared="),
        (lambda: stream(chunk(heartbeats(), size=9), framing="length"), "declared="),
        (lambda: split(b"ab"), "at=.*every="),
        (lambda: split(b"ab", at=1, every=1), "at=.*every="),
        (lambda: split(b"ab", every=0), "at least one"),
        (lambda: pause(-1), "pause"),
        (lambda: chunk(heartbeats()), "size="),
    ],
)
def test_what_does_not_go_together_is_refused(make, what):
    with pytest.raises(ValueError, match=what):
        make()


@pytest.mark.parametrize("wrong", [5, None, {"a": 1}])
def test_what_is_no_step_is_refused(wrong):
    with pytest.raises(TypeError, match="no step"):
        stream(wrong)


def test_split_cuts_where_it_is_told():
    assert split("abc", at=1) == (b"a", b"bc")
    assert split(b"abc", at=[2, 1]) == (b"a", b"b", b"c")
    assert split(b"abc", at=[0, 3, 9]) == (b"abc",)
    assert split(b"abcde", every=2) == (b"ab", b"cd", b"e")


def test_a_drip_pauses_between_and_not_behind():
    assert drip(b"abc", 0.5) == (b"a", pause(0.5), b"b", pause(0.5), b"c")


def test_heads_have_a_reason_where_http_knows_one():
    assert head().startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    assert head(529, {"A": "b"}) == b"HTTP/1.1 529 Unknown\r\nA: b\r\n\r\n"


def test_an_exchange_is_a_value():
    exchange = stream(b"a", pause(1), wait("x"))
    assert exchange == stream(b"a", pause(1), wait("x"))
    assert pickle.loads(pickle.dumps(exchange)) == exchange
    with pytest.raises(AttributeError, match="frozen"):
        exchange.status = 500
    assert isinstance(raw(fin()), Exchange) and raw().kind == "raw"
    assert on_connect(stall()).kind == "connect"
    assert wait(threading.Event()) != wait(threading.Event())
