"""Connections under a scope: cut in every phase and over every way, and nobody else hurt."""

from __future__ import annotations

import gc
import queue
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, Optional

import pytest
import requests
from requests.adapters import HTTPAdapter

from streamsafe.errors import StreamCancelledError, StreamingError
from streamsafe.wire import connections, dial
from streamsafe.wire.connections import ScopedAdapter, ScopedHTTPConnection
from streamsafe.wire.dial import socket_options
from streamsafe.wire.scope import Scope

EVENT = b'data: {"text": "hi"}\n\n'
Serve = Callable[..., Any]


# -- ways to the server --------------------------------------------------------------------


def _pump(source: Any, sink: Any) -> None:
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
    except OSError:
        pass
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def _join(conn: Any, address: tuple[str, int], already: bytes = b"") -> None:
    with socket.create_connection(address) as far:
        far.sendall(already)
        back = threading.Thread(target=_pump, args=(far, conn.sock), daemon=True)
        back.start()
        _pump(conn.sock, far)
        back.join(10)


def proxy(conn: Any) -> None:
    """A proxy for one connection: CONNECT, or a request in absolute form."""
    asked = conn.ask()
    if asked is None:
        return
    method, target, _ = asked.line.split()
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        conn.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return _join(conn, (host, int(port)))
    host, _, port = target.split("/")[2].partition(":")
    head = "".join(f"{name}: {value}\r\n" for name, value in asked.headers.items())
    _join(conn, (host, int(port)), f"{asked.line}\r\n{head}\r\n".encode() + asked.body)


class Way:
    """A client, and how its servers are to be made."""

    def __init__(self, client: Any, kind: str) -> None:
        self.client = client
        self.tls = kind in ("tls", "connect", "tls-in-tls")
        #: Somebody between takes the whole request before its server is asked.
        self.stores = kind == "forward"


@pytest.fixture(params=["plain", "tls", "forward", "connect", "tls-in-tls"])
def way(request: Any, serve: Serve, client: Any, ca_file: str) -> Way:
    """Straight, or through a proxy; session settings are those that a user would make."""
    session = client.transport._session
    session.verify = ca_file
    session.trust_env = False
    kind = request.param
    if kind in ("forward", "connect", "tls-in-tls"):
        url = serve(proxy, tls=kind == "tls-in-tls").url
        session.proxies = {"http": url, "https": url}
    if kind == "tls-in-tls":
        # The proxy's own certificate is checked against the system's authorities.
        for adapter in session.adapters.values():
            adapter._options["proxy_ssl_context"] = _trusting(ca_file)
    return Way(client, kind)


def _trusting(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file)


# -- being cut -----------------------------------------------------------------------------


@contextmanager
def cut_when(client: Any, reached: threading.Event) -> Iterator[None]:
    """Aborts the client's scope as soon as ``reached`` is set; the body must raise."""
    cause = StreamCancelledError("test")

    def cut() -> None:
        assert reached.wait(10)
        client.scope.abort(cause)

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    try:
        with pytest.raises(StreamingError):
            yield
        assert client.scope.cause is cause, "it broke before it was cut"
    finally:
        reached.set()
        thread.join(10)


def test_a_wait_for_the_head_is_cut(way: Way, serve: Serve) -> None:
    asked, told = threading.Event(), threading.Event()

    def handler(conn: Any) -> None:
        conn.ask()
        asked.set()
        conn.gone()
        told.set()

    with cut_when(way.client, asked):
        way.client.open(serve(handler, tls=way.tls).url)
    assert told.wait(10)  # the server knows
    assert way.client.names[-1] == "sent"


def test_a_body_that_nobody_takes_is_cut(way: Way, serve: Serve) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def handler(conn: Any) -> None:
        conn.sock.recv(1)
        asked.set()
        assert go_on.wait(10)

    with cut_when(way.client, asked):
        # The connect timeout is over long before: it is not for the body.
        way.client.open(serve(handler, tls=way.tls).url, json="x" * 30_000_000)
    go_on.set()
    assert way.stores or "sent" not in way.client.names


def test_a_drip_of_headers_is_cut(way: Way, serve: Serve) -> None:
    dripping = threading.Event()

    def handler(conn: Any) -> None:
        conn.ask()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-A: b")
        dripping.set()
        conn.gone()

    with cut_when(way.client, dripping):
        way.client.open(serve(handler, tls=way.tls).url)


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Connection: close"])
def test_a_read_is_cut(framing: str, way: Way, serve: Serve) -> None:
    told = threading.Event()

    def handler(conn: Any) -> None:
        conn.ask()
        conn.head(framing)
        conn.chunk(EVENT)
        conn.gone()
        told.set()

    response = way.client.open(serve(handler, tls=way.tls).url)
    assert response.read()
    aborting = threading.Timer(0.05, way.client.scope.abort, [StreamCancelledError()])
    aborting.start()
    try:
        while response.read():
            pass
    except StreamingError:
        pass
    assert way.client.scope.cause is not None  # a cut close-delimited body just ends
    response.close()
    aborting.join()
    assert told.wait(10)


def test_a_stalled_handshake_is_cut(serve: Serve, client: Any) -> None:
    greeted = threading.Event()

    def handler(conn: Any) -> None:
        conn.sock.recv(1)
        greeted.set()
        conn.gone()

    with cut_when(client, greeted):
        client.open(serve(handler).url.replace("http:", "https:"))
    assert client.names == ["connecting", "connected"]


def test_a_stalled_connect_method_is_cut(serve: Serve, client: Any) -> None:
    asked = threading.Event()

    def handler(conn: Any) -> None:
        conn.ask()
        asked.set()
        conn.gone()

    client.transport._session.proxies = {"https": serve(handler).url}
    with cut_when(client, asked):
        client.open("https://api.test/")


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A URL whose server takes no more connections: the request to connect stays unanswered."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    for sock in (listener, *fillers):
        sock.close()


def test_an_unanswered_connect_is_cut(black_hole: str, client: Any) -> None:
    connecting = threading.Event()
    client.on_step = lambda name: connecting.set()
    with cut_when(client, connecting):
        client.open(black_hole, connect=None)
    assert client.names == ["connecting"]


def test_a_name_look_up_is_left(client: Any, hanging_names: threading.Event) -> None:
    resolving = threading.Event()
    client.on_step = lambda name: resolving.set()
    with cut_when(client, resolving):
        client.open("http://slow.test/", connect=None)
    assert client.names == ["resolving"]


def test_an_aborted_scope_opens_nothing(serve: Serve, client: Any) -> None:
    server = serve(lambda conn: conn.gone())
    client.on_step = lambda name: client.scope.abort(StreamCancelledError())
    with pytest.raises(StreamingError):
        client.open(server.url)
    assert client.names == ["connecting"]


# -- everything works over every way -------------------------------------------------------


def one_event_each(conn: Any) -> None:
    while conn.ask():
        conn.head("Transfer-Encoding: chunked")
        conn.chunk(EVENT)
        conn.send(b"0\r\n\r\n")


def test_streams_come_whole_and_share_a_connection(way: Way, serve: Serve) -> None:
    url = serve(one_event_each, tls=way.tls).url
    for turn in range(3):
        assert way.client.whole(url) == EVENT
        assert way.client.names[0] == ("reused" if turn else "connecting")


def let_go(client: Any) -> None:
    client.transport.close()


def forget(client: Any) -> None:
    """As in a forked child, whose idle connections are its parent's."""
    for adapter in list(connections._adapters):
        adapter.renew()
    gc.collect()


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("ended", [let_go, forget])
def test_an_idle_connection_is_closed_with_every_descriptor_of_it(
    ended: Any, streams: int, way: Way, serve: Serve
) -> None:
    closed = threading.Event()

    def handler(conn: Any) -> None:
        one_event_each(conn)
        closed.set()

    url = serve(handler, tls=way.tls).url
    for _ in range(streams):
        assert way.client.whole(url) == EVENT
    assert way.client.scope.abort(StreamCancelledError()) and not closed.wait(0.02)
    ended(way.client)
    assert closed.wait(20)


@pytest.mark.parametrize("drop", [ScopedHTTPConnection.close, lambda conn: None])
def test_a_connection_that_is_dropped_takes_its_duplicate_with_it(drop: Any) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        conn, scope = ScopedHTTPConnection("127.0.0.1"), Scope()
        scope.attach(ours)
        conn.sock, conn._scope = ours, scope
        conn.let_go()
        assert conn._duplicate is not None
        drop(conn)
        ours.close()
        del conn
        assert theirs.recv(1) == b""


def test_a_duplicate_is_kept_while_there_are_descriptors_enough(
    way: Way, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> list[bool]:
        assert way.client.whole(url) == EVENT
        idle = [one for one in gc.get_objects() if isinstance(one, connections._Scoped)]
        return [one._duplicate is not None for one in idle if one.sock is not None]

    url = serve(one_event_each, tls=way.tls).url
    assert kept() == [True] and kept() == [True]
    monkeypatch.setattr(connections, "_most_kept", lambda: 3)
    assert kept() == [False] and kept() == [False]


# Python leaves a socket that was reset just before its handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("count", [64, pytest.param(200, marks=pytest.mark.slow)])
def test_an_aborted_stream_hurts_no_other(way: Way, serve: Serve, count: int) -> None:
    """Requests from 16 threads over one transport; every second one is cut at some moment."""

    def handler(conn: Any) -> None:
        turn = 0
        while conn.ask():
            turn += 1
            conn.head("Transfer-Encoding: chunked")
            for _ in range(3):
                conn.chunk(EVENT)
            conn.send(b"0\r\n\r\n")

    url = serve(handler, tls=way.tls).url
    client_class, transport = type(way.client), way.client.transport
    work: queue.Queue[Optional[int]] = queue.Queue()
    hurt: list[Any] = []
    seed = random.Random(1)
    delays = {n: seed.uniform(0, 0.01) for n in range(0, count, 2)}

    def one(number: int) -> None:
        client = client_class(transport)
        timer = None
        if number in delays:
            timer = threading.Timer(
                delays[number], lambda: client.scope.abort(StreamCancelledError())
            )
            timer.start()
        try:
            body = client.whole(url)
            if client.scope.cause is None and body != EVENT * 3:
                hurt.append(body)
        except StreamingError as error:
            if client.scope.cause is None:
                hurt.append(error)
        finally:
            client.scope.detach()
            if timer is not None:
                timer.cancel()
                timer.join()

    def worker() -> None:
        for number in iter(work.get, None):
            one(number)

    for item in (*range(count), *[None] * 16):
        work.put(item)
    threads = [threading.Thread(target=worker, daemon=True) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert hurt == []


# -- sockets -------------------------------------------------------------------------------


def test_keepalive_and_no_delay_are_set(serve: Serve, client: Any) -> None:
    server = serve(lambda conn: (conn.ask(), conn.answer(EVENT), conn.gone()))
    response = client.open(server.url)
    sock = response._raw.connection.sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
    response.close()


def test_keepalive_can_be_left_out() -> None:
    assert socket_options(None) == [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


def test_the_next_address_is_tried_when_one_refuses(
    serve: Serve, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda conn: (conn.ask(), conn.answer(EVENT), conn.gone()))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = unused.getsockname()
    infos = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        for address in (refused, ("127.0.0.1", server.port))
    ]
    monkeypatch.setattr(dial, "_addresses", lambda *_: infos)
    assert client.whole(f"http://two.test:{server.port}/") == EVENT
    assert client.names == ["connecting", "connecting", "connected", "sent"]


def test_the_time_to_connect_is_shared_out() -> None:
    assert dial._share(None, 3) is None
    assert dial._share(12.0, 3) == 4.0
    assert dial._share(3.0, 3) == 2.0  # not less than is needed to connect at all
    assert dial._share(0.5, 3) == 0.5


def test_addresses_are_shown_as_people_write_them() -> None:
    assert dial.shown(("192.0.2.1", 443)) == "192.0.2.1:443"
    assert dial.shown(("2001:db8::1", 443, 0, 0)) == "[2001:db8::1]:443"


# -- the pool ------------------------------------------------------------------------------


def test_the_same_pool_serves_until_the_adapter_is_closed() -> None:
    adapter = ScopedAdapter()
    request = requests.Request("GET", "http://api.test/").prepare()

    def pool(**settings: Any) -> Any:
        return adapter.get_connection_with_tls_context(request, True, **settings)

    first = pool()
    assert pool() is first
    assert pool(proxies={"http": "http://127.0.0.1:1"}) is not first
    assert pool(cert=["a", "b"]) is pool(cert=("a", "b"))
    adapter.close()
    assert pool() is not first


def test_the_adapter_serves_without_a_scope_too(serve: Serve) -> None:
    """Somebody mounts it on a session and uses that for plain requests."""
    server = serve(lambda conn: (conn.ask(), conn.answer(EVENT), conn.ask(), conn.answer(b"2")))
    with requests.Session() as session:
        session.mount("http://", ScopedAdapter())
        assert session.get(server.url).content == EVENT
        assert session.get(server.url).content == b"2"
    assert server.connections == 1


# -- sessions with adapters of their own ---------------------------------------------------


class Tagging(HTTPAdapter):
    """An adapter such as programs write."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        request.headers["X-Tag"] = "1"
        return super().send(request, *args, **kwargs)


def _foreign(kind: str) -> requests.Session:
    session = requests.Session()
    if kind == "adapter":
        session.mount("http://", Tagging(max_retries=3))
    elif kind == "blocking pool":
        session.mount("http://", HTTPAdapter(pool_block=True))
    else:
        class Sending(requests.Session):
            def send(self, request: Any, **kwargs: Any) -> Any:
                request.headers["X-Tag"] = "1"
                return super().send(request, **kwargs)

        session = Sending()
    return session


@pytest.fixture(params=["adapter", "send", "blocking pool"])
def foreign(request: Any, make_client: Any) -> Iterator[Any]:
    with _foreign(request.param) as session:
        client = make_client(session)
        client.kind = request.param
        yield client


def test_a_foreign_adapter_is_used(foreign: Any, serve: Serve) -> None:
    tags = []

    def handler(conn: Any) -> None:
        while True:
            asked = conn.ask()
            if asked is None:
                return
            tags.append(asked.headers.get("x-tag"))
            conn.answer(EVENT)

    server = serve(handler)
    assert foreign.whole(server.url) == EVENT
    assert foreign.whole(server.url) == EVENT
    assert tags == [None if foreign.kind == "blocking pool" else "1"] * 2
    assert server.connections == 1


def test_a_wait_for_a_foreign_head_is_left(foreign: Any, serve: Serve) -> None:
    asked, go_on = threading.Event(), threading.Event()
    closed = threading.Event()

    def handler(conn: Any) -> None:
        conn.ask()
        asked.set()
        assert go_on.wait(10)
        conn.head("Transfer-Encoding: chunked")
        conn.chunk(EVENT)
        conn.gone()
        closed.set()

    with cut_when(foreign, asked):
        foreign.open(serve(handler).url)
    go_on.set()
    assert closed.wait(10)  # the late response is closed when it comes


def test_a_foreign_body_is_cut(foreign: Any, serve: Serve) -> None:
    def handler(conn: Any) -> None:
        conn.ask()
        conn.head("Transfer-Encoding: chunked")
        conn.chunk(EVENT)
        conn.gone()

    response = foreign.open(serve(handler).url)
    assert response.read() == EVENT
    threading.Timer(0.05, lambda: foreign.scope.abort(StreamCancelledError())).start()
    with pytest.raises(StreamingError):
        response.read()
    assert foreign.scope.cause is not None
    response.close()


def test_a_foreign_adapter_does_not_repeat_a_post(make_client: Any, serve: Serve) -> None:
    from urllib3.util import Retry

    session = requests.Session()
    adapter = Tagging(max_retries=Retry(3, status_forcelist=[503], allowed_methods=None))
    session.mount("http://", adapter)
    server = serve(lambda conn: (conn.ask(), conn.answer(b"", status="503 Busy"), conn.gone()))
    response = make_client(session).open(server.url)
    assert response.status == 503
    assert server.connections == 1
    assert adapter.max_retries.total == 3  # the caller's own is as it was
    response.close()


def test_a_plain_sessions_pool_options_are_taken_over(make_client: Any, serve: Serve) -> None:
    session = requests.Session()
    adapter = HTTPAdapter()
    adapter.init_poolmanager(10, 10, source_address=("127.0.0.2", 0))
    session.mount("http://", adapter)
    peers = []

    def handler(conn: Any) -> None:
        peers.append(conn.sock.getpeername()[0])
        conn.ask()
        conn.answer(EVENT)
        conn.gone()

    client = make_client(session)
    assert client.whole(serve(handler).url) == EVENT
    assert peers == ["127.0.0.2"]
    assert client.names == ["connecting", "connected", "sent"]
