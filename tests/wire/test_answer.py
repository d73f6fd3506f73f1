"""A head that is read at once says what http.client reads in it, line by line."""

from __future__ import annotations

import http.client
import io
from typing import Any, Optional

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamsafe.wire.answer import Answer
from streamsafe.wire.opening import CURRENT, Opening
from streamsafe.wire.scope import Scope

LIMIT = 2000
BODY = b"2\r\nHi\r\n0\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"

_names = st.sampled_from((
    "Transfer-Encoding", "transfer-encoding", "Content-Type", "Content-Length", "Connection",
    "Set-Cookie", "x-request-id", "", "x y", "x\t", " x", "x\u00e9", "From ",
))  # fmt: skip
_values = st.one_of(
    st.sampled_from((
        "chunked", "Chunked", "gzip, chunked", "text/event-stream", "multipart/mixed",
        "message/rfc822", " Multipart/Mixed; boundary=x", "close", "keep-alive", "0", "11", "a:b",
        "  a  b\t", "", "\t",
    )),
    st.text("ab :;\t\u00e9\u2028\0\r\n\x0b\x0c\x1c\x85\x7f", max_size=6),
)  # fmt: skip
_ends = st.sampled_from(("\r\n",) * 8 + ("\n", "\r", "\r\n ", "\r\n\t", ""))
_wild = st.lists(st.tuples(_names, _values, _ends), max_size=6)
_tame = st.lists(
    st.tuples(
        st.sampled_from(("Content-Type", "content-type", "Connection", "Set-Cookie", "x-id")),
        st.sampled_from((
            "text/event-stream", "keep-alive", "a=b; c", "", "\t x", "x \t", "multipart/x",
        )),
        st.just("\r\n"),
    ),
    max_size=6,
)  # fmt: skip
_starts = st.sampled_from(("HTTP/1.1 200 OK\r\n",) * 6 + (
    "HTTP/1.1 200\r\n", "HTTP/1.1 200 \r\n", "HTTP/1.1 200  All right \r\n",
    "HTTP/1.0 200 OK\r\n", "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 500 Oh\r\n",
    "HTTP/1.1 200 OK\n", "HTTP/1.1  200 OK\r\n", "http/1.1 200 OK\r\n", "HTTP/1.1 2000 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "HTTP/1.1 200 \u00fc\r\n", "",
))  # fmt: skip


@st.composite
def _heads(draw: Any) -> bytes:
    text = draw(_starts)
    if draw(st.booleans()):
        text += "Transfer-Encoding: chunked\r\n"
    for name, value, end in draw(st.one_of(_wild, _tame)):
        text += f"{name}:{draw(st.sampled_from(('', ' ')))}{value}{end}"
    return (text + draw(st.sampled_from(("\r\n",) * 5 + ("\n", "")))).encode("utf-8")


@given(_heads())
@example(PLAIN)
def test_a_head_that_is_read_at_once_says_what_http_client_says(head: bytes) -> None:
    assert _read(Answer, head + BODY) == _read(_LineByLine, head + BODY)


@pytest.mark.parametrize("lines", [98, 99, 100])
def test_as_many_headers_are_taken_as_http_client_takes(lines: int) -> None:
    head = PLAIN[:-2] + b"x: y\r\n" * (lines - 2) + b"\r\n"
    assert _read(Answer, head + BODY) == _read(_LineByLine, head + BODY)


def test_a_head_over_the_limit_is_refused_as_it_was() -> None:
    head = PLAIN[:-2] + b"x: " + b"y" * LIMIT + b"\r\n\r\n"
    found = _read(Answer, head + BODY)
    assert found == _read(_LineByLine, head + BODY) and "max_header_bytes" in found[1]


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST"])
def test_a_request_of_any_method_is_answered_the_same(method: str) -> None:
    assert _read(Answer, PLAIN + BODY, method) == _read(_LineByLine, PLAIN + BODY, method)


def test_the_common_head_is_read_at_once() -> None:
    assert _Socket.lines_of(Answer, PLAIN) == 0 < _Socket.lines_of(_LineByLine, PLAIN)


class _LineByLine(Answer):
    """The general way alone."""

    def _begin_at_once(self, there: bytes, limit: int) -> bool:
        return False


class _Lines(io.BufferedReader):
    read_lines = 0

    def readline(self, size: Optional[int] = -1) -> bytes:
        self.read_lines += 1
        return super().readline(size)


class _Socket:
    """As much of a socket as a response wants."""

    def __init__(self, data: bytes) -> None:
        self.file = _Lines(io.BytesIO(data))  # type: ignore[arg-type]

    def makefile(self, mode: str) -> Any:
        return self.file

    @classmethod
    def lines_of(cls, kind: type[Answer], head: bytes) -> int:
        """How many lines this kind of answer reads of a head."""
        sock = cls(head + BODY)
        _begun(kind, sock)
        return sock.file.read_lines


def _begun(kind: type[Answer], sock: _Socket, method: str = "POST") -> Answer:
    opening = Opening(Scope(), lambda name, detail: None, None, None, LIMIT)
    answer = kind(sock, method=method)  # type: ignore[arg-type]
    token = CURRENT.set(opening)
    try:
        answer.begin()
    finally:
        CURRENT.reset(token)
    return answer


def _read(kind: type[Answer], data: bytes, method: str = "POST") -> tuple[Any, ...]:
    """All that there is to know of an answer, or what was raised."""
    try:
        answer = _begun(kind, _Socket(data), method)
    except Exception as error:
        return type(error), str(error)
    known = dict(vars(answer), fp=None, msg=None, headers=vars(answer.headers).copy())
    known["headers"]["defects"] = [type(defect) for defect in answer.headers.defects]
    if answer.headers.is_multipart():
        known["headers"]["_payload"] = len(answer.headers.get_payload())
    try:
        body = answer.read()
    except http.client.HTTPException as error:
        body = repr(error).encode()
    return known, answer.getheaders(), body
