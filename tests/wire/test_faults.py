"""Every fault on real sockets becomes the error that says what the caller can do."""

from __future__ import annotations

import datetime
import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Callable

import pytest
import requests
import trustme
import urllib3

from streamsafe.errors import (
    ConfigurationError,
    ConnectError,
    ConnectionDroppedError,
    LimitExceededError,
    MalformedStreamError,
    StreamTimeoutError,
)
from streamsafe.wire import faults, resolver
from streamsafe.wire.opening import Opening
from streamsafe.wire.scope import Scope

Serve = Callable[..., Any]
EVENT = b'data: {"text": "hi"}\n\n'


def hang(conn: Any) -> None:
    conn.gone()


def https(url: str) -> str:
    return url.replace("http:", "https:")


# -- no connection -------------------------------------------------------------------------


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/v1"


def test_a_refused_connection(client: Any, nobody: str) -> None:
    with pytest.raises(ConnectError, match="Connection refused") as caught:
        client.open(nobody)
    assert caught.value.retryable
    assert "127.0.0.1" in caught.value.message
    assert caught.value.__cause__ is not None
    assert "sent" not in client.names


def test_a_name_that_does_not_exist(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(key: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolver, "_look_up", unknown)
    with pytest.raises(ConnectError, match="Name or service not known") as caught:
        client.open("http://no-such-host.test/")
    assert "base_url" in caught.value.hint
    assert client.names == ["resolving"]


def test_a_name_look_up_that_takes_too_long(client: Any, hanging_names: Any) -> None:
    with pytest.raises(StreamTimeoutError) as caught:
        client.open("http://slow.test/", connect=0.05)
    assert (caught.value.clock, caught.value.limit) == ("connect", 0.05)
    assert caught.value.elapsed >= 0.05


def test_a_server_that_does_not_take_connections(client: Any) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        with pytest.raises(StreamTimeoutError) as caught:
            client.open(f"http://127.0.0.1:{listener.getsockname()[1]}", connect=0.05)
        for filler in fillers:
            filler.close()
    assert caught.value.clock == "connect"


# -- TLS -----------------------------------------------------------------------------------


def test_a_handshake_that_stalls(serve: Serve, client: Any) -> None:
    with pytest.raises(StreamTimeoutError) as caught:
        client.open(https(serve(hang).url), connect=0.1)
    assert caught.value.clock == "connect"


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_a_handshake_that_is_cut_is_transient(end: str, serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.sock.recv(65536)
        if end == "rst":
            conn.reset()

    with pytest.raises(ConnectError, match="TLS handshake") as caught:
        client.open(https(serve(handler).url))
    assert caught.value.retryable


def test_an_unknown_certificate_is_permanent(serve: Serve, client: Any) -> None:
    with pytest.raises(ConnectError, match="certificate .* can't be verified") as caught:
        client.open(serve(hang, tls=True).url)
    assert caught.value.retryable is False
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint and "verify" in caught.value.hint


@pytest.mark.parametrize("wrong", ["name", "date"])
def test_an_unfit_certificate_is_permanent(
    wrong: str, authority: trustme.CA, ca_file: str, client: Any, server_class: Any
) -> None:
    name = "other.test" if wrong == "name" else "127.0.0.1"
    past = datetime.datetime(2020, 1, 1) if wrong == "date" else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=past).configure_cert(context)
    server = server_class(hang, context)
    client.transport._session.verify = ca_file
    try:
        with pytest.raises(ConnectError, match="certificate") as caught:
            client.open(server.url)
    finally:
        server.close()
    assert caught.value.retryable is False


def test_https_to_a_port_that_speaks_http(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.sock.recv(65536)
        conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        conn.gone()

    with pytest.raises(ConnectError, match="does not speak TLS") as caught:
        client.open(https(serve(handler).url))
    assert caught.value.retryable is False
    assert "http://" in caught.value.hint


def test_a_ca_bundle_that_is_not_there(client: Any, serve: Serve) -> None:
    client.transport._session.verify = "/no/such/bundle.pem"
    with pytest.raises(ConfigurationError, match="/no/such/bundle.pem"):
        client.open(serve(hang, tls=True).url)


def test_the_sessions_verify_comes_before_the_environments(
    serve: Serve, client: Any, ca_file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    server = serve(lambda conn: (conn.ask(), conn.answer(EVENT), conn.gone()), tls=True)
    with pytest.raises(ConnectError):
        client.open(server.url)
    client.transport._session.verify = ca_file
    assert client.whole(server.url) == EVENT
    client.transport._session.verify = True
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    client.transport.close()
    assert client.whole(server.url) == EVENT


# -- proxies -------------------------------------------------------------------------------


def test_a_proxy_that_refuses_the_connection(client: Any, nobody: str) -> None:
    client.transport._session.proxies = {"http": nobody, "https": nobody}
    for url in ("http://api.test/", "https://api.test/"):
        with pytest.raises(ConnectError, match="no connection to the proxy") as caught:
            client.open(url)
        assert "HTTPS_PROXY" in caught.value.hint
        assert caught.value.retryable


@pytest.mark.parametrize(
    ("status", "retryable", "hint"),
    [
        ("407 Proxy Authentication Required", False, "password"),
        ("403 Forbidden", False, "NO_PROXY"),
        ("502 Bad Gateway", True, "HTTPS_PROXY"),
    ],
)
def test_a_proxy_that_refuses_the_tunnel(
    status: str, retryable: bool, hint: str, serve: Serve, client: Any
) -> None:
    proxy = serve(lambda conn: (conn.ask(), conn.send(f"HTTP/1.1 {status}\r\n\r\n".encode())))
    client.transport._session.proxies = {"https": proxy.url}
    with pytest.raises(ConnectError, match=status[:3]) as caught:
        client.open("https://api.test/")
    assert caught.value.retryable is retryable
    assert hint in caught.value.hint


def test_a_proxy_that_stalls(serve: Serve, client: Any) -> None:
    client.transport._session.proxies = {"https": serve(hang).url}
    with pytest.raises(StreamTimeoutError) as caught:
        client.open("https://api.test/", connect=0.1)
    assert caught.value.clock == "connect"


def test_a_proxy_that_hangs_up(serve: Serve, client: Any) -> None:
    client.transport._session.proxies = {"https": serve(lambda conn: conn.ask()).url}
    with pytest.raises(ConnectError, match="proxy broke off"):
        client.open("https://api.test/")


def test_an_origin_that_hangs_up_behind_a_tunnel_is_not_the_proxys_fault(
    serve: Serve, client: Any
) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n")
        conn.sock.recv(65536)

    client.transport._session.proxies = {"https": serve(handler).url}
    with pytest.raises(ConnectError, match="api.test broke off the TLS handshake"):
        client.open("https://api.test/")


# -- no answer -----------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Ty", b"HTTP/1.1 200 OK\r\n"])
def test_a_connection_cut_before_the_answer_is_a_drop(
    begun: bytes, end: str, tls: bool, serve: Serve, client: Any, ca_file: str
) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.send(begun)
        if end == "rst":
            conn.reset()

    client.transport._session.verify = ca_file
    with pytest.raises(ConnectionDroppedError) as caught:
        client.open(serve(handler, tls=tls).url)
    assert caught.value.retryable
    assert client.names[-1] == "sent"  # the server may have begun to work


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.test ESMTP\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(101)) + b"\r\n",
    ],
)
def test_what_is_not_http_is_malformed(answer: bytes, serve: Serve, client: Any) -> None:
    server = serve(lambda conn: (conn.ask(), conn.send(answer), conn.gone()))
    with pytest.raises(MalformedStreamError) as caught:
        client.open(server.url)
    assert caught.value.__cause__ is not None


def test_a_head_without_end_is_over_the_limit(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            conn.send(b"x" * 65536)

    with pytest.raises(LimitExceededError, match="max_header_bytes") as caught:
        client.open(serve(handler).url)
    assert caught.value.setting == 64 * 1024


# -- inside the body -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked", b"9\r\nhello"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n1"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\nxyz\r\n"),
        ("Content-Length: 9", b"hello"),
    ],
)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_body_cut_short_is_a_drop_and_what_came_is_kept(
    header: str, body: bytes, tls: bool, serve: Serve, client: Any, ca_file: str
) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.head(header)
        conn.send(body)

    client.transport._session.verify = ca_file
    response = client.open(serve(handler, tls=tls).url)
    got = b""
    with pytest.raises(ConnectionDroppedError) as caught:
        while True:
            data = response.read()
            assert data, "a cut body looks like a whole one"
            got += data
    assert got == b"hello"
    assert caught.value.retryable
    assert caught.value.__cause__ is not None
    response.close()


def test_a_reset_inside_the_body_is_a_drop(serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.head("Connection: close")
        conn.send(b"hello")
        conn.ask()  # until the client has read
        conn.reset()

    response = client.open(serve(handler).url)
    assert response.read() == b"hello"
    sock = socket.socket(fileno=socket.dup(client.scope._fd))
    sock.sendall(b"\r\n\r\n")
    sock.close()
    with pytest.raises(ConnectionDroppedError, match="reset"):
        response.read()
    response.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_undecodable_bytes_are_a_drop(encoding: str, serve: Serve, client: Any) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.answer(b"this is not compressed at all", f"Content-Encoding: {encoding}")
        conn.gone()

    response = client.open(serve(handler).url)
    with pytest.raises(ConnectionDroppedError, match="can't be decoded"):
        response.read()
    response.close()


def test_a_silent_foreign_connection_runs_out_of_time(
    serve: Serve, make_client: Any
) -> None:
    class Adapter(requests.adapters.HTTPAdapter):
        pass

    def handler(conn: Any) -> None:
        conn.ask()
        conn.head("Transfer-Encoding: chunked")
        conn.gone()

    with requests.Session() as session:
        session.mount("http://", Adapter())
        client = make_client(session)
        # A second: under load the head itself may take longer than a tenth.
        response = client.open(serve(handler).url, read=1.0)
        with pytest.raises(StreamTimeoutError) as caught:
            response.read()
        assert (caught.value.clock, caught.value.limit) == ("inactivity", 1.0)
        response.close()
        with pytest.raises(StreamTimeoutError) as caught:
            client.open(serve(hang).url, read=0.1)
        assert caught.value.clock == "first_token"


# -- the map itself ------------------------------------------------------------------------


def _opening(phase: str = "answer") -> Opening:
    opening = Opening(Scope(), lambda *_: None, 10, 20, 1000)
    opening.phase = phase
    return opening


def test_the_systems_own_patience_is_no_clock() -> None:
    """ETIMEDOUT says that keepalive found the peer dead."""
    error = urllib3.exceptions.ProtocolError("aborted", TimeoutError(110, "timed out"))
    assert type(faults.before_answer(error, _opening(), "http://a/")) is ConnectionDroppedError
    assert type(faults.in_body(error, 20, 1)) is ConnectionDroppedError


def test_an_internal_error_of_a_tls_server_is_transient_and_a_refusal_is_not() -> None:
    for reason, retryable in (
        ("TLSV1_ALERT_INTERNAL_ERROR", True),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", False),
    ):
        root = ssl.SSLError(1, f"[SSL: {reason}]")
        root.reason = reason
        error = requests.exceptions.SSLError(urllib3.exceptions.SSLError(root))
        fault = faults.before_answer(error, _opening("tls"), "https://a/")
        assert isinstance(fault, ConnectError)
        assert fault.retryable is retryable


def test_a_fingerprint_that_does_not_match_is_permanent() -> None:
    error = requests.exceptions.SSLError(urllib3.exceptions.SSLError("Fingerprints did not match"))
    fault = faults.before_answer(error, _opening("tls"), "https://a/")
    assert isinstance(fault, ConnectError) and not fault.retryable


def test_messages_show_no_more_of_a_url_than_its_host() -> None:
    url = "https://name:word@api.test:8443/v1?key=secret"
    for phase in ("start", "connect", "tunnel", "tls", "send", "answer"):
        fault = faults.before_answer(
            http.client.RemoteDisconnected("gone"), _opening(phase), url
        )
        assert "api.test:8443" in str(fault)
        assert "secret" not in str(fault) and "word" not in str(fault)


def test_a_circle_of_causes_ends() -> None:
    one, two = OSError("one"), OSError("two")
    one.__cause__, two.__cause__ = two, one
    assert isinstance(faults.in_body(one, None, 0), ConnectionDroppedError)


@pytest.mark.parametrize(
    ("raised", "clock"),
    [
        (requests.exceptions.ReadTimeout, "first_token"),
        (requests.exceptions.ConnectTimeout, "connect"),
    ],
)
def test_a_mocks_timeout_is_that_of_its_name(raised: Any, clock: str) -> None:
    opening = Opening(Scope(), lambda name, detail: None, 1.0, 2.0, 1000)
    fault = faults.before_answer(raised("slow"), opening, "http://api.test/")
    assert isinstance(fault, StreamTimeoutError) and fault.clock == clock
