"""A head like the one before it is not made anew, and is the same head."""

from __future__ import annotations

import http.client
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection

from streamsafe.wire.connections import ScopedHTTPConnection
from streamsafe.wire.opening import CURRENT, Opening
from streamsafe.wire.scope import Scope

USUAL = {"User-Agent": "x", "Accept-Encoding": "identity", "Authorization": "Bearer k"}

_names = st.sampled_from((
    "Authorization", "authorization", "Content-Length", "content-length", "X-A", "Host",
    "User-Agent", "Transfer-Encoding", "X\nY", "",
))  # fmt: skip
_values = st.sampled_from((
    "a", "b", "2", "", "a\r\n b", "a\nX-B: c", "\u20ac", "Content-Length: 2",
))  # fmt: skip
_asked = st.tuples(
    st.sampled_from(("POST", "POST", "GET", "P\nQ")),
    st.sampled_from(("/v1/chat", "/v1/chat", "/v2", "/a b", "http://far.test/v1")),
    st.sampled_from((b"{}", b'{"a": 1}', b"", None, "text")),
    st.one_of(st.just({}), st.dictionaries(_names, _values, max_size=3)),
    st.booleans(),
    st.booleans(),
)  # fmt: skip


class _Socket:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""
        self.timeout: Optional[float] = 0.25

    def sendall(self, data: Any) -> None:
        self.sent += data

    def settimeout(self, seconds: Optional[float]) -> None:
        self.timeout = seconds

    def close(self) -> None:
        pass


def _sent(conn: HTTPConnection, asked: Any) -> Any:
    """What goes over the connection, or what is raised."""
    method, url, body, more, sized, chunked = asked
    headers = CaseInsensitiveDict({**USUAL, **more})
    if sized and isinstance(body, bytes):
        headers["Content-Length"] = str(len(body))
    conn.close()
    conn.sock = sock = _Socket()  # type: ignore[assignment]
    try:
        conn.request(method, url, body, headers, chunked=chunked)  # type: ignore[arg-type]
    except Exception as error:
        return type(error), str(error)
    return sock.sent, sock.timeout, conn._response_options


def _scoped() -> ScopedHTTPConnection:
    conn = ScopedHTTPConnection("api.test", 80)
    conn._scope = CURRENT.get().scope  # type: ignore[union-attr]
    return conn


@pytest.fixture(autouse=True, scope="module")
def _under_a_scope() -> Any:
    token = CURRENT.set(Opening(Scope(), lambda name, detail: None, None, None, 65536))
    yield
    CURRENT.reset(token)


@given(st.lists(_asked, min_size=2, max_size=6))
def test_each_request_is_sent_as_urllib3_sends_it(requests: list[Any]) -> None:
    kept = _scoped()
    for asked in requests:
        sent = _sent(kept, asked)
        assert sent == _sent(HTTPConnection("api.test", 80, timeout=None), asked)
        if isinstance(sent[0], type):
            break  # no pool keeps a connection that refused a request


def test_a_request_of_another_body_has_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, written = _scoped(), []
    monkeypatch.setattr(HTTPConnection, "putheader", _noting(written))
    for body in (b"{}", b'{"a": 1}', b"[]"):
        asked = ("POST", "/v1/chat", body, {}, True, False)
        head, _, rest = _sent(kept, asked)[0].partition(b"\r\n\r\n")
        assert rest == body and head.lower().count(b"\r\ncontent-length: %d" % len(body)) == 1
    assert written.count("Authorization") == 1


@pytest.mark.parametrize("before", [0, 1])
def test_a_line_that_somebody_has_http_client_write_is_written_once(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, asked = _scoped(), ("POST", "/v1/chat", b"{}", {}, True, False)
    for _ in range(before):
        _sent(kept, asked)
    put, turns = http.client.HTTPConnection.putrequest, iter("123456")

    def traced(self: Any, *args: Any, **kwargs: Any) -> None:
        put(self, *args, **kwargs)
        self.putheader("X-Trace", next(turns))

    monkeypatch.setattr(http.client.HTTPConnection, "putrequest", traced)
    for turn in (b"1", b"2", b"3"):
        head = _sent(kept, asked)[0]
        assert head.count(b"X-Trace") == 1 and b"X-Trace: " + turn in head


def _noting(written: list[str]) -> Any:
    put = HTTPConnection.putheader

    def noted(self: Any, header: str, *values: str) -> None:
        written.append(header)
        put(self, header, *values)

    return noted
