"""The transport on real sockets: what is sent, how bodies come, what becomes of connections."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import socket
import threading
import zlib
from typing import Any, Callable

import pytest
import requests
import responses

from streamsafe.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionDroppedError,
    LimitExceededError,
    StreamCancelledError,
)
from streamsafe.limits import Limits
from streamsafe.wire.http import HttpTransport

EVENT = b'data: {"text": "hi"}\n\n'
DONE = b"data: [DONE]\n\n"

Serve = Callable[..., Any]


def ok(conn: Any) -> None:
    """Answers every request on the connection with one chunked event."""
    while conn.ask():
        conn.head("Transfer-Encoding: chunked")
        conn.chunk(EVENT)
        conn.send(b"0\r\n\r\n")


def once(body: bytes = EVENT) -> Any:
    """Answers one request."""

    def handler(conn: Any) -> None:
        conn.ask()
        conn.answer(body)
        conn.gone()

    return handler


# -- what is sent --------------------------------------------------------------------------


@pytest.fixture
def asked(serve: Serve) -> Any:
    """A server that keeps what it was asked: (url, list)."""
    requests_made: list[Any] = []

    def handler(conn: Any) -> None:
        while True:
            one = conn.ask()
            if one is None:
                return
            requests_made.append(one)
            conn.answer(EVENT)

    return serve(handler).url, requests_made


def test_a_body_is_sent_as_compact_utf8_json(client: Any, asked: Any) -> None:
    url, seen = asked
    client.whole(url, json={"text": "naïve 🎈", "n": [1, None, True]})
    assert seen[0].body == '{"text":"naïve 🎈","n":[1,null,true]}'.encode()
    assert seen[0].headers["content-type"] == "application/json"


def test_an_event_stream_is_asked_for_uncompressed(client: Any, asked: Any) -> None:
    url, seen = asked
    client.whole(url)
    assert seen[0].headers["accept"] == "text/event-stream"
    assert seen[0].headers["accept-encoding"] == "identity"


def test_headers_of_the_request_come_first(client: Any, asked: Any) -> None:
    url, seen = asked
    client.whole(url, headers={"accept": "application/x", "ACCEPT-ENCODING": "gzip"})
    assert seen[0].headers["accept"] == "application/x"
    assert seen[0].headers["accept-encoding"] == "gzip"


def test_head_and_body_of_a_request_come_in_one_packet(serve: Serve, client: Any) -> None:
    packets = []

    def handler(conn: Any) -> None:
        packets.append(conn.sock.recv(65536))
        conn.answer(EVENT)
        conn.gone()

    client.whole(serve(handler).url, json={"a": 1})
    assert packets[0].endswith(b'\r\n\r\n{"a":1}')


def test_a_large_body_arrives_whole(client: Any, asked: Any) -> None:
    url, seen = asked
    text = "x" * 3_000_000
    client.whole(url, json=text)
    assert seen[0].body == f'"{text}"'.encode()


def test_a_request_without_body_has_no_content_type(client: Any, asked: Any) -> None:
    url, seen = asked
    client.whole(url, json=None, method="GET")
    assert seen[0].line.startswith("GET / ")
    assert "content-type" not in seen[0].headers


def test_each_request_is_sent_as_it_is_though_settings_are_kept(client: Any, asked: Any) -> None:
    url, seen = asked
    key = {"Authorization": "Bearer k"}
    for value in ("one", "three", "four"):
        client.whole(url, json={"v": value}, headers=key)
    client.transport._session.headers["X-New"] = "1"
    client.whole(url, json={"v": "last"}, headers=key)
    assert [one.body for one in seen] == [
        b'{"v":"%s"}' % v for v in (b"one", b"three", b"four", b"last")
    ]
    assert [one.headers.get("x-new") for one in seen] == [None, None, None, "1"]


def test_a_callers_session_settings_hold(asked: Any, make_client: Any) -> None:
    url, seen = asked
    session = requests.Session()
    session.headers["X-Team"] = "blue"
    session.params = {"version": "2"}
    session.cookies.set("c", "1")
    session.auth = ("name", "word")
    replies: list[int] = []
    session.hooks["response"].append(lambda reply, **_: replies.append(reply.status_code))
    make_client(session).whole(url + "/path")
    assert seen[0].line == "POST /path?version=2 HTTP/1.1"
    assert seen[0].headers["x-team"] == "blue"
    assert seen[0].headers["cookie"] == "c=1"
    assert seen[0].headers["authorization"].startswith("Basic ")
    assert replies == [200]


def test_a_callers_session_is_not_changed(asked: Any, make_client: Any) -> None:
    url, _ = asked
    session = requests.Session()
    before = dict(session.adapters), dict(session.headers), dict(session.__dict__)
    make_client(session).whole(url)
    assert before == (dict(session.adapters), dict(session.headers), dict(session.__dict__))


def test_netrc_does_not_replace_the_requests_own_credentials(
    client: Any, asked: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = asked
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client.whole(url, headers={"Authorization": "Bearer key"})
    client.whole(url, headers={"x-api-key": "key"})
    client.whole(url)
    got = [one.headers.get("authorization") for one in seen]
    assert got[:2] == ["Bearer key", None]
    assert got[2].startswith("Basic ")


def test_cookies_that_a_server_sets_are_sent_back(serve: Serve, client: Any) -> None:
    seen = []

    def handler(conn: Any) -> None:
        for _ in range(2):
            seen.append(conn.ask().headers.get("cookie"))
            conn.answer(EVENT, "Set-Cookie: a=b")
        conn.gone()

    url = serve(handler).url
    client.whole(url)
    client.whole(url)
    assert seen == [None, "a=b"]


def test_a_hook_that_raises_for_status_leaves_the_status_to_the_provider(
    serve: Serve, make_client: Any
) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.answer(b"{}", status="429 Too Many Requests")
        conn.gone()

    session = requests.Session()
    session.hooks["response"].append(lambda reply, **_: reply.raise_for_status())
    client = make_client(session)
    response = client.open(serve(handler).url)
    assert response.status == 429
    assert response.read() == b"{}"
    response.finish()


def test_what_another_hook_raises_reaches_the_caller(serve: Serve, make_client: Any) -> None:
    def hook(reply: Any, **_: Any) -> None:
        raise KeyError("mine")

    session = requests.Session()
    session.hooks["response"].append(hook)
    with pytest.raises(KeyError, match="mine"):
        make_client(session).open(serve(once()).url)


# -- reading -------------------------------------------------------------------------------


def _chunked(conn: Any, data: bytes) -> None:
    conn.chunk(data)


def _plain(conn: Any, data: bytes) -> None:
    conn.send(data)


FRAMINGS: dict[str, Any] = {
    "chunked": ("Transfer-Encoding: chunked", _chunked, b"0\r\n\r\n"),
    "length": (f"Content-Length: {3 * len(EVENT)}", _plain, b""),
    "close": ("Connection: close", _plain, b""),
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_token_is_there_as_soon_as_it_was_sent(
    framing: str, tls: bool, serve: Serve, client: Any, ca_file: str
) -> None:
    header, put, end = FRAMINGS[framing]
    read = threading.Semaphore(0)

    def handler(conn: Any) -> None:
        conn.ask()
        conn.head(header)
        for _ in range(3):
            put(conn, EVENT)
            assert read.acquire(timeout=10)  # nothing more until this one was seen
        conn.send(end)
        if framing != "close":
            conn.gone()

    client.transport._session.verify = ca_file
    response = client.open(serve(handler, tls=tls).url)
    for _ in range(3):
        got = b""
        while len(got) < len(EVENT):
            got += response.read()
        assert got == EVENT
        read.release()
    assert response.read() == b""
    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_token_is_there_as_soon_as_it_was_flushed(
    encoding: str, serve: Serve, client: Any
) -> None:
    read = threading.Event()

    def handler(conn: Any) -> None:
        conn.ask()
        packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
        conn.head("Transfer-Encoding: chunked", f"Content-Encoding: {encoding}")
        conn.chunk(packer.compress(EVENT) + packer.flush(zlib.Z_SYNC_FLUSH))
        assert read.wait(10)
        conn.chunk(packer.compress(DONE) + packer.flush())
        conn.send(b"0\r\n\r\n")

    response = client.open(serve(handler).url)
    assert response.read() == EVENT
    read.set()
    assert b"".join(iter(response.read, b"")) == DONE


def test_a_read_is_bounded_though_it_expands(serve: Serve, client: Any) -> None:
    bomb = gzip.compress(b"\0" * 5_000_000)

    def handler(conn: Any) -> None:
        conn.ask()
        conn.answer(bomb, "Content-Encoding: gzip")
        conn.gone()

    response = client.open(serve(handler).url)
    sizes = [len(data) for data in iter(response.read, b"")]
    assert sum(sizes) == 5_000_000
    assert max(sizes) <= 65536


def test_an_error_status_is_a_response_with_its_body(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.answer(b'{"error": 1}', "X-Request-Id: r1", status="401 Unauthorized")
        conn.gone()

    response = client.open(serve(handler).url)
    assert (response.status, response.headers["x-request-id"]) == (401, "r1")
    assert response.read() == b'{"error": 1}'
    response.finish()


def test_early_hints_are_not_the_answer(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        conn.answer(EVENT)
        conn.gone()

    assert client.whole(serve(handler).url) == EVENT


def test_bytes_that_wait_unread_are_pending(serve: Serve, client: Any) -> None:
    sent = threading.Event()

    def handler(conn: Any) -> None:
        conn.ask()
        conn.head("Transfer-Encoding: chunked")
        assert sent.wait(10)
        conn.chunk(EVENT)
        conn.gone()

    response = client.open(serve(handler).url)
    assert not response.pending()
    sent.set()
    while not response.pending():  # until they have come over the loopback
        pass
    assert response.read() == EVENT
    response.close()


# -- steps ---------------------------------------------------------------------------------


def test_steps_are_told_in_their_order(serve: Serve, client: Any) -> None:
    url = serve(ok).url.replace("127.0.0.1", "localhost")
    client.whole(url)
    assert client.names == ["resolving", "resolved", "connecting", "connected", "sent"] or (
        # localhost may be ::1 first, where nobody listens
        client.names == ["resolving", "resolved", "connecting", "connecting", "connected", "sent"]
    )
    client.whole(url)
    assert client.names == ["reused", "sent"]


def test_an_address_needs_no_look_up_and_tls_is_told(
    serve: Serve, client: Any, ca_file: str
) -> None:
    client.transport._session.verify = ca_file
    client.whole(serve(ok, tls=True).url)
    assert client.names == ["connecting", "connected", "tls", "sent"]
    detail = dict(client.steps)["tls"]
    assert detail["version"] == "TLSv1.3" and detail["cipher"]


# -- connections ---------------------------------------------------------------------------


def test_ten_requests_use_one_connection(serve: Serve, client: Any) -> None:
    server = serve(ok)
    reused = []
    for _ in range(10):
        response = client.open(server.url)
        assert b"".join(iter(response.read, b"")) == EVENT
        response.finish()
        reused.append(response.reused)
    assert server.connections == 1
    assert reused == [False] + [True] * 9


def test_an_answer_left_at_its_last_event_gives_its_connection_back(
    serve: Serve, client: Any
) -> None:
    server = serve(ok)
    for _ in range(3):
        response = client.open(server.url)
        assert response.read() == EVENT  # the terminating chunk is unread
        response.finish()
        response.close()
    assert server.connections == 1


def test_a_terminator_that_comes_a_little_later_is_waited_for(serve: Serve, client: Any) -> None:
    finishing = threading.Event()

    def handler(conn: Any) -> None:
        while conn.ask():
            conn.head("Transfer-Encoding: chunked")
            conn.chunk(DONE)
            assert finishing.wait(10)
            conn.send(b"0\r\n\r\n")

    server = serve(handler)
    for _ in range(2):
        response = client.open(server.url)
        assert response.read() == DONE
        finishing.set()
        response.finish()
    assert server.connections == 1


def test_an_answer_that_goes_on_after_its_end_is_closed(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.head("Transfer-Encoding: chunked")
        conn.chunk(DONE)
        assert conn.gone()  # the terminator never comes

    server = serve(handler)
    response = client.open(server.url)
    assert response.read() == DONE
    response.finish()


def test_an_answer_without_end_is_not_drained_for_ever(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.head("Transfer-Encoding: chunked")
        while True:
            conn.chunk(b":" * 8192)

    response = client.open(serve(handler).url)
    response.read()
    response.finish()
    response.finish()
    response.close()


def test_an_unfinished_answer_closes_its_connection(serve: Serve, client: Any) -> None:
    gone = threading.Event()

    def handler(conn: Any) -> None:
        conn.ask()
        conn.head("Transfer-Encoding: chunked")
        conn.chunk(EVENT)
        conn.gone()
        gone.set()

    response = client.open(serve(handler).url)
    response.read()
    response.close()
    assert gone.wait(10)
    response.close()


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    serve: Serve, client: Any
) -> None:
    """The server takes the second request and closes without a byte: it is sent once more."""
    served = []

    def handler(conn: Any) -> None:
        assert conn.ask()
        served.append(1)
        conn.answer(EVENT)
        if len(served) == 1:
            conn.ask()
            return
        conn.gone()

    server = serve(handler)
    assert client.whole(server.url) == EVENT
    response = client.open(server.url)
    assert response.read() == EVENT
    response.finish()
    assert response.reused is False
    assert client.names == [
        "reused", "sent", "stale", "connecting", "connected", "sent",
    ]  # fmt: skip
    assert server.connections == 2


def test_a_stale_connection_is_replaced_once_and_not_again(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        if server.connections == 1:
            conn.answer(EVENT)
            conn.ask()
        conn.reset()

    server = serve(handler)
    client.whole(server.url)
    with pytest.raises(ConnectionDroppedError):
        client.open(server.url)
    assert client.names.count("stale") == 1
    assert server.connections == 2


def test_a_pooled_connection_that_began_to_answer_is_not_called_stale(
    serve: Serve, client: Any
) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.answer(EVENT)
        conn.ask()
        conn.send(b"HT")

    server = serve(handler)
    client.whole(server.url)
    with pytest.raises(ConnectionDroppedError):
        client.open(server.url)
    assert client.names == ["reused", "sent"]
    assert server.connections == 1


def test_more_streams_than_the_pool_holds_make_no_noise(
    serve: Serve, make_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(ok)
    clients = [make_client(pool_maxsize=2)]
    transport = clients[0].transport
    clients += [make_client(transport=transport) for _ in range(4)]
    open_ones = [one.open(server.url) for one in clients]
    for response in open_ones:
        response.read()
        response.finish()
    assert server.connections == 5
    assert caplog.records == []
    again = [one.open(server.url) for one in clients[:3]]
    assert [response.reused for response in again] == [True, True, False]


def test_close_closes_idle_connections_and_the_transport_goes_on(
    serve: Serve, client: Any
) -> None:
    gone = threading.Event()

    def handler(conn: Any) -> None:
        ok(conn)
        gone.set()

    server = serve(handler)
    client.whole(server.url)
    client.transport.close()
    assert gone.wait(10)
    assert client.whole(server.url) == EVENT
    assert server.connections == 2


def test_a_pickled_transport_works_and_has_no_connections(serve: Serve, client: Any) -> None:
    server = serve(ok)
    client.whole(server.url)
    client.transport = pickle.loads(pickle.dumps(client.transport))
    assert client.whole(server.url) == EVENT
    assert server.connections == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(serve: Serve, client: Any) -> None:
    server = serve(ok)
    client.whole(server.url)
    child = os.fork()
    if child == 0:
        good = client.whole(server.url) == EVENT and client.names[0] == "connecting"
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.whole(server.url) == EVENT
    assert client.names == ["reused", "sent"]


def _open_towards(port: int) -> int:
    """How many descriptors of this process are connected to ``port``."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as sock:
                count += sock.getpeername()[1] == port
        except OSError:
            pass  # no socket, or not connected
    return count


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
def test_no_descriptor_and_no_thread_is_left(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.head("Transfer-Encoding: chunked")
        conn.chunk(EVENT)
        conn.gone()

    server = serve(handler)
    response = client.open(server.url)
    assert _open_towards(server.port) == 2  # the socket, and the scope's hold on it
    response.close()
    for _ in range(5):
        response = client.open(server.url)
        client.scope.abort(StreamCancelledError())
        with pytest.raises(ConnectionDroppedError):
            while response.read():
                pass
        response.close()
    assert _open_towards(server.port) == 0
    assert [t.name for t in threading.enumerate() if t.name.startswith("streamsafe")] == []


# -- redirects -----------------------------------------------------------------------------


def _redirect(status: str, location: str) -> Any:
    def handler(conn: Any) -> None:
        while conn.ask():
            conn.answer(b"moved", f"Location: {location}", status=status)

    return handler


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_post_is_redirected_with_method_and_body(
    status: str, serve: Serve, client: Any, asked: Any
) -> None:
    url, seen = asked
    client.whole(serve(_redirect(status, url + "/new")).url, json={"a": 1})
    assert seen[0].line == "POST /new HTTP/1.1"
    assert seen[0].body == b'{"a":1}'


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other"])
def test_a_post_never_becomes_a_get(status: str, serve: Serve, client: Any, asked: Any) -> None:
    url, seen = asked
    response = client.open(serve(_redirect(status, url)).url)
    assert response.status == int(status[:3])
    assert response.headers["location"] == url
    assert response.read() == b"moved"
    assert seen == []
    response.finish()


def test_a_get_follows_where_a_post_does_not(serve: Serve, client: Any, asked: Any) -> None:
    url, seen = asked
    assert client.whole(serve(_redirect("302 Found", url)).url, method="GET", json=None) == EVENT
    assert seen[0].line.startswith("GET ")


def test_credentials_stay_with_their_origin(serve: Serve, client: Any, asked: Any) -> None:
    url, seen = asked
    secrets = {
        "Authorization": "Bearer k", "x-api-key": "k", "api-key": "k", "X-Goog-Api-Key": "k",
        "Cookie": "k", "X-Trace": "t",
    }  # fmt: skip
    client.whole(serve(_redirect("307 T", url)).url, headers=secrets)
    assert not {name.lower() for name in secrets} - {"x-trace"} & set(seen[0].headers)
    assert seen[0].headers["x-trace"] == "t"


def test_credentials_follow_within_their_origin(serve: Serve, client: Any) -> None:
    seen = []

    def handler(conn: Any) -> None:
        conn.ask()
        conn.answer(b"", "Location: /there?x=1", status="307 T")
        seen.append(conn.ask())
        conn.answer(EVENT)
        conn.gone()

    server = serve(handler)
    assert client.whole(server.url, headers={"x-api-key": "k"}) == EVENT
    assert seen[0].line == "POST /there?x=1 HTTP/1.1"
    assert seen[0].headers["x-api-key"] == "k"
    assert server.connections == 1


def test_a_circle_of_redirects_ends(serve: Serve, client: Any) -> None:
    with pytest.raises(ConnectError, match="more than 5 redirects") as caught:
        client.open(serve(_redirect("307 T", "/again")).url)
    assert caught.value.retryable is False


# -- adapters of other kinds ---------------------------------------------------------------


class _Bare:
    """A body as an adapter may make it: a file, and no more of one than must be."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.read = self._file.read


@pytest.mark.parametrize("kind", [_Bare, io.BytesIO])
def test_a_body_that_is_a_mere_file_is_read(kind: Any, make_client: Any) -> None:
    class Files(requests.adapters.BaseAdapter):
        def send(self, request: Any, **settings: Any) -> requests.Response:
            reply = requests.Response()
            reply.status_code = 200
            reply.request = request
            reply.raw = kind(EVENT * 2)
            return reply

        def close(self) -> None:
            pass

    session = requests.Session()
    session.mount("http://", Files())
    client = make_client(session)
    assert client.whole("http://api.test/") == EVENT * 2


# -- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["example.test/v1", "ftp://example.test/", "http://", "http://[::1/", "nonsense:"]
)
def test_a_wrong_url_is_a_configuration_error(url: str, client: Any) -> None:
    with pytest.raises(ConfigurationError):
        client.open(url)
    assert client.steps == []


@pytest.mark.parametrize("value", ["a\nb: c", "“quoted”"])
def test_a_header_that_cannot_be_sent_is_a_configuration_error(
    value: str, client: Any, asked: Any
) -> None:
    with pytest.raises(ConfigurationError):
        client.open(asked[0], headers={"Authorization": value})
    assert asked[1] == []


@pytest.mark.parametrize("options", [{"pool_maxsize": 0}, {"pool_maxsize": True}, {"keepalive": 0}])
def test_wrong_settings_are_named(options: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        HttpTransport(**options)


def test_a_head_over_the_limit_is_refused(serve: Serve, make_client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.answer(b"", "X-Long: " + "x" * 2000)

    with pytest.raises(LimitExceededError, match="max_header_bytes"):
        make_client(limits=Limits(max_header_bytes=1000)).open(serve(handler).url)


# -- libraries that mock -------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, requests.Session], ids=["own", "callers"])
def test_responses_mocks_a_stream(given: Any, make_client: Any) -> None:
    client = make_client(given() if given else None)
    with responses.RequestsMock() as mock:
        mock.post("http://api.test/v1", body=EVENT * 3, content_type="text/event-stream")
        response = client.open("http://api.test/v1")
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert b"".join(iter(response.read, b"")) == EVENT * 3
        response.finish()


def test_responses_mocks_a_refused_connection(client: Any) -> None:
    with responses.RequestsMock() as mock:
        mock.post("http://api.test/v1", body=requests.ConnectionError("refused by mock"))
        with pytest.raises(ConnectError, match="refused by mock"):
            client.open("http://api.test/v1")
