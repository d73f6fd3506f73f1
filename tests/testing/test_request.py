"""What a server reads, by the byte."""

from __future__ import annotations

import socket
import threading

import pytest

from streamsafe.testing.channel import Channel
from streamsafe.testing.gate import Gate
from streamsafe.testing.request import BadRequest, Headers, RequestReader

PLAIN = b"POST /a?b HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n1;ext=1\r\nc\r\n0\r\nTrailer: t\r\n\r\n"
)


@pytest.fixture
def ends():
    """A socket of the client's and the reader of the server's end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs = listener.accept()[0]
    stop = Gate()
    channel = Channel(theirs, stop)
    yield ours, RequestReader(channel)
    channel.close()
    ours.close()
    stop.close()


def test_requests_are_read_one_after_the_other_and_then_none(ends):
    sock, reader = ends
    sock.sendall(PLAIN + CHUNKED + b"GET / HTTP/1.0\r\n\r\n")
    sock.shutdown(socket.SHUT_WR)
    first, second, third = reader.read(), reader.read(), reader.read()
    assert (first.method, first.path, first.body, first.keeps_alive) == (
        "POST", "/a?b", b"abc", True,
    )  # fmt: skip
    assert (second.path, second.body) == ("/c", b"abc")
    assert (third.body, third.keeps_alive) == (b"", False)
    assert reader.read() is None


@pytest.mark.parametrize("request_bytes", [PLAIN, CHUNKED])
def test_a_request_cut_short_is_none(ends, request_bytes):
    sock, reader = ends
    sock.sendall(request_bytes[:-1])
    sock.shutdown(socket.SHUT_WR)
    with pytest.raises(BadRequest, match="the client closed"):
        reader.read()


def test_a_client_that_waits_to_be_told_is_told_to_continue(ends):
    sock, reader = ends
    sock.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n")
    reader.read()
    assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    "wild, what",
    [
        (b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n", "more than 1048576 bytes"),
        (b"GET / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", "999999999999 bytes"),
    ],
)
def test_what_is_too_large_is_refused(ends, wild, what):
    sock, reader = ends
    sender = threading.Thread(target=sock.sendall, args=[wild])
    sender.start()
    with pytest.raises(BadRequest, match=what):
        reader.read()
    sender.join(5)


def test_what_stands_behind_a_request_is_for_who_takes_over(ends):
    sock, reader = ends
    sock.sendall(b"CONNECT a:1 HTTP/1.1\r\n\r\nrest")
    assert reader.read().method == "CONNECT"
    assert reader.rest() == b"rest" and reader.rest() == b""


def test_headers_are_a_mapping_in_any_case_that_keeps_what_came():
    headers = Headers([("X-A", "1"), ("Host", "x"), ("x-a", "2")])
    assert dict(headers) == {"x-a": "1, 2", "host": "x"}
    assert headers["HOST"] == "x" and len(headers) == 2 and "x-b" not in headers
    assert headers.pairs == (("X-A", "1"), ("Host", "x"), ("x-a", "2"))
    assert repr(headers) == "Headers([('X-A', '1'), ('Host', 'x'), ('x-a', '2')])"
