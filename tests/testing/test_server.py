"""The fault server, asked by a client that sees every byte, and by requests."""

from __future__ import annotations

import gzip
import os
import socket
import ssl
import sys
import threading
from http.client import HTTPResponse

import pytest
import requests

from streamsafe.testing import (
    FaultServer,
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
    rst,
    split,
    stall,
    stream,
    verbatim,
    wait,
)

EVENTS = [b"data: %d\n\n" % number for number in range(6)]
WHOLE = b"".join(EVENTS)


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running


@pytest.fixture
def client():
    with requests.Session() as session:
        session.trust_env = False
        yield session


class Plain:
    """A client of sockets: what it reads is what was sent."""

    def __init__(self, server: FaultServer) -> None:
        self.sock = socket.create_connection(server.address, timeout=5)

    def ask(self, path: str = "/") -> Plain:
        self.sock.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        return self

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.sock.recv(size - len(data))
        return data

    def rest(self) -> bytes:
        data = b""
        while True:
            piece = self.sock.recv(65536)
            if not piece:
                return data
            data += piece

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.sock.close()


def test_exchanges_are_used_up_in_their_order_and_requests_recorded(server, client):
    server.expect(reply(429, headers={"Retry-After": "1"}), stream(EVENTS))
    first = client.post(server.url + "/v1/chat?x=1", json={"stream": True}, headers={"X-Key": "k"})
    second = client.post(server.url, data=iter([b"a", b"bc"]))
    assert (first.status_code, first.headers["retry-after"], first.content) == (429, "1", b"")
    assert (second.status_code, second.content) == (200, WHOLE)
    asked = server.requests[0]
    assert (asked.method, asked.path, asked.json) == ("POST", "/v1/chat?x=1", {"stream": True})
    assert asked.headers["x-KEY"] == "k" and "x-key" in asked.headers
    assert server.requests[1].body == b"abc"
    assert server.requests[0].at <= server.requests[1].at
    server.assert_nothing_more()


def test_one_connection_serves_request_after_request(server, client):
    server.always(stream(EVENTS))
    for _ in range(5):
        assert client.get(server.url).content == WHOLE
    assert server.connections == 1
    assert [asked.connection for asked in server.requests] == [1] * 5


@pytest.mark.parametrize("framing", ["chunked", "close", "length"])
@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("flush", [True, False])
def test_every_framing_and_encoding_gives_the_same_body(server, client, framing, encoding, flush):
    body = [EVENTS[0], chunk(EVENTS[1], chunk(EVENTS[2])), heartbeats(2, every=0), EVENTS[3]]
    server.expect(stream(body, framing=framing, encoding=encoding, flush=flush))
    answer = client.get(server.url)
    beats = b": keep-alive\n\n" * 2
    assert answer.content == EVENTS[0] + EVENTS[1] + EVENTS[2] + beats + EVENTS[3]
    assert answer.headers.get("Content-Encoding") == encoding
    assert ("Content-Length" in answer.headers) == (framing == "length")


def test_without_flush_the_compressor_holds_events_back(server):
    server.expect(
        stream(EVENTS[0], wait("go"), EVENTS[1], encoding="gzip", flush=False, framing="close")
    )
    with Plain(server).ask() as plain:
        response = HTTPResponse(plain.sock)
        response.begin()
        assert len(response.read(10)) == 10  # gzip's own header: all that there is to read
        server.gate("go").open()
        rest = response.read()
        response.close()
    assert rest and EVENTS[0] not in rest


def test_a_gzip_body_is_one_gzip_file(server):
    server.expect(stream(EVENTS, encoding="gzip", framing="close"))
    with Plain(server).ask() as plain:
        assert gzip.decompress(plain.rest().partition(b"\r\n\r\n")[2]) == WHOLE


def test_each_piece_of_a_split_is_a_chunk(server):
    server.expect(stream(split("aéb", at=[2, 3]), split(b"xyz", every=2), then=[finish(), fin()]))
    with Plain(server).ask() as plain:
        body = plain.rest().partition(b"\r\n\r\n")[2]
    assert body == (
        b"2\r\na\xc3\r\n" b"1\r\n\xa9\r\n" b"1\r\nb\r\n" b"2\r\nxy\r\n" b"1\r\nz\r\n" b"0\r\n\r\n"
    )


def test_a_drip_goes_out_byte_by_byte(server):
    server.expect(stream(drip(b"abc", every=0.001, size=2), then=fin()))
    with Plain(server).ask() as plain:
        assert plain.rest().endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n")


def test_cut_inside_an_announced_chunk(server, client):
    server.expect(stream(chunk(b"data: hal", fin(), size=64)))
    with Plain(server).ask() as plain:
        assert plain.rest().endswith(b"\r\n\r\n40\r\ndata: hal")


def test_one_announced_chunk_can_arrive_in_parts(server, client):
    server.expect(stream(chunk(drip(EVENTS[0], every=0.0)), EVENTS[1]))
    assert client.get(server.url).content == EVENTS[0] + EVENTS[1]


def test_a_wrong_length_is_declared_as_asked(server, client):
    server.expect(stream(EVENTS, framing="length", declared=len(WHOLE) + 5, then=fin()))
    answer = client.get(server.url, stream=True)
    assert answer.headers["Content-Length"] == str(len(WHOLE) + 5)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        answer.content


def test_verbatim_bytes_break_the_chunk_sizes(server, client):
    server.expect(stream(EVENTS[0], verbatim(b"zz\r\n"), then=fin()))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get(server.url)


def test_a_reset_comes_after_what_was_sent(server):
    server.expect(stream(EVENTS[:2], then=rst()))
    with Plain(server).ask() as plain:
        assert plain.read(len(head()))
        with pytest.raises(ConnectionResetError):
            plain.rest()


def test_a_fin_without_terminator_is_an_incomplete_body(server, client):
    server.expect(stream(EVENTS[:2], then=fin()))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="prematurely|InvalidChunk"):
        client.get(server.url)


def test_a_finished_connection_can_go_stale(server, client):
    server.expect(stream(EVENTS, finish(), fin()), stream(EVENTS))
    for _ in range(2):
        assert client.get(server.url).content == WHOLE
        assert server.requests[-1].over.wait(5)
    assert server.connections == 2
    assert not server.requests[0].client_gone.is_set()


def test_raw_stands_alone_on_the_connection(server, client):
    server.expect(
        raw(fin()),
        raw(rst()),
        raw(head()[:40], fin()),
        raw(drip(head(), every=0.0), EVENTS),
    )
    for _ in range(2):
        with pytest.raises(requests.exceptions.ConnectionError):
            client.get(server.url)
    cut = client.get(server.url)
    assert (cut.status_code, cut.content) == (200, b"")
    assert cut.headers == {"Content-Type": "text/even"}
    assert client.get(server.url).content == WHOLE
    server.assert_nothing_more()


def test_faults_on_connect_come_before_the_request(server, client):
    server.expect(on_connect(rst()), on_connect(fin()), stream(EVENTS))
    for _ in range(2):
        with pytest.raises(requests.exceptions.ConnectionError):
            client.get(server.url)
    assert client.get(server.url).content == WHOLE
    assert (server.connections, len(server.requests)) == (3, 1)


def test_a_request_where_a_new_connection_was_scripted_is_an_error(server, client):
    server.expect(stream(EVENTS), on_connect(rst()))
    client.get(server.url)
    assert client.get(server.url).status_code == 500
    with pytest.raises(AssertionError, match="(?s)came where .*connect.* was scripted"):
        server.assert_nothing_more()


def test_the_server_sees_the_client_leave_while_it_stalls(server, client):
    server.expect(stream(EVENTS[:1], stall()))
    answer = client.get(server.url, stream=True)
    asked = server.wait_for_request()
    assert not asked.client_gone.is_set() and not asked.over.is_set()
    answer.close()
    assert asked.client_gone.wait(5) and asked.over.wait(5)
    assert asked.gone_at >= asked.at
    server.assert_nothing_more()


@pytest.mark.parametrize(
    "silence",
    [pause(60), wait("never"), heartbeats(every=60), wait(threading.Event()), stall()],
    ids=["pause", "gate", "heartbeats", "event", "stall"],
)
def test_it_sees_the_client_leave_in_every_silence_even_after_it_spoke(server, silence):
    server.expect(stream(EVENTS[:1], silence))
    with Plain(server).ask() as plain:
        plain.read(10)
        plain.sock.sendall(b"GET / HTTP/1.1\r\n")  # too early, and half of it
    assert server.requests[0].client_gone.wait(5)


def test_it_sees_the_client_leave_while_it_sends_more_than_fits(server):
    server.expect(stream(b"x" * (64 << 20)))
    with Plain(server).ask() as plain:
        plain.read(100)
    assert server.requests[0].client_gone.wait(5)


def test_a_request_that_came_early_is_served_next(server):
    server.expect(stream(wait("go"), EVENTS), reply(204, headers={"Connection": "close"}))
    with Plain(server).ask("/first").ask("/second") as plain:
        server.wait_for_request()
        server.gate("go").open()
        server.wait_for_request(2)
        plain.read(10)
    assert [asked.path for asked in server.requests] == ["/first", "/second"]


def test_gates_and_events_hold_the_body_until_they_open(server, client):
    opened = threading.Event()
    server.expect(stream(EVENTS[0], wait("go"), EVENTS[1], wait(opened), EVENTS[2]))
    answer = client.get(server.url, stream=True)
    assert answer.raw.read1(100) == EVENTS[0]
    server.gate("go").open()
    server.gate("go").open()
    assert server.gate("go").is_open()
    assert answer.raw.read1(100) == EVENTS[1]
    opened.set()
    assert answer.raw.read1(100) == EVENTS[2]
    assert answer.raw.read1(100) == b""


def test_the_head_can_be_held_back(server, client):
    server.expect(stream(EVENTS, first=wait("thought")))
    with Plain(server).ask() as plain:
        server.wait_for_request()
        plain.sock.settimeout(0.05)
        with pytest.raises(socket.timeout):
            plain.sock.recv(1)
        server.gate("thought").open()
        plain.sock.settimeout(5)
        assert plain.read(15) == b"HTTP/1.1 200 OK"


def test_a_handler_chooses_once_the_script_is_used_up(server, client):
    server.handle(lambda asked: reply(200, asked.path))
    server.expect(reply(200, "scripted"))
    assert client.get(server.url + "/a").text == "scripted"
    assert client.get(server.url + "/b").text == "/b"
    server.assert_nothing_more()


@pytest.mark.parametrize("wrong", [lambda asked: 1 / 0, lambda asked: "no exchange"])
def test_a_handler_that_fails_is_reported(server, client, wrong):
    server.handle(wrong)
    assert client.get(server.url).status_code == 500
    with pytest.raises(AssertionError, match="handler"):
        server.assert_nothing_more()


def test_an_unexpected_request_gets_a_clear_500_and_is_reported(server, client):
    answer = client.get(server.url + "/more")
    assert answer.status_code == 500 and "script is used up" in answer.text
    with pytest.raises(AssertionError, match="GET /more on connection 1.*script is used up"):
        server.assert_nothing_more()


def test_an_unused_exchange_is_reported(server):
    server.expect(reply(503))
    with pytest.raises(AssertionError, match="(?s)1 scripted.*503.*nothing was asked"):
        server.assert_nothing_more()


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/3\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        b"GET / HT",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
    ],
)
def test_garbage_is_refused_and_reported(server, garbage):
    with Plain(server) as plain:
        plain.sock.sendall(garbage)
        plain.sock.shutdown(socket.SHUT_WR)
        assert plain.rest().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(AssertionError, match="connection 1: "):
        server.assert_nothing_more()


def test_odds_and_ends_of_answers(server, client):
    server.expect(
        redirect("/there"),
        reply(200, "<h1>Gateway</h1>"),
        reply(400, json={"error": "no"}),
        reply(204),
        reply(299, b"x", headers=[("X-Huge", "a" * 60_000), ("A", "1"), ("A", "2")]),
    )
    assert client.get(server.url).headers["Content-Type"].startswith("text/html")
    assert server.requests[1].path == "/there"
    assert client.get(server.url).json() == {"error": "no"}
    nothing = client.get(server.url)
    assert nothing.content == b"" and "Content-Length" not in nothing.headers
    huge = client.get(server.url)
    assert len(huge.headers["x-huge"]) == 60_000 and huge.headers["A"] == "1, 2"
    assert server.connections == 1


def test_a_head_request_gets_no_body(server, client):
    server.expect(reply(200, "text"), reply(200, "text"))
    assert client.head(server.url).headers["Content-Length"] == "4"
    assert client.get(server.url).text == "text"
    assert server.connections == 1


def test_it_listens_refuses_and_listens_again_on_one_port(server, client):
    server.always(stream(EVENTS))
    url = server.url
    server.refuse()
    with pytest.raises(requests.exceptions.ConnectionError, match="refused"):
        client.get(url)
    server.accept()
    assert client.get(url).content == WHOLE and server.url == url


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="the backlog is Linux's")
def test_an_ignored_connect_hangs(server, client):
    server.always(stream(EVENTS))
    server.ignore()
    with pytest.raises(requests.exceptions.ConnectTimeout):
        client.get(server.url, timeout=0.2)
    server.accept()
    assert client.get(server.url).content == WHOLE


def test_two_hundred_connections_at_once(server):
    server.always(stream(EVENTS[0], wait("all here"), EVENTS[1:]))
    bodies: list[bytes] = []

    def ask() -> None:
        with Plain(server).ask() as plain:
            plain.sock.settimeout(30)
            text = plain.read(len(head()) + 40)
            while not text.endswith(b"0\r\n\r\n"):
                text += plain.sock.recv(65536)
            bodies.append(text)

    threads = [threading.Thread(target=ask) for _ in range(200)]
    for thread in threads:
        thread.start()
    server.wait_for_request(200, timeout=30)
    server.gate("all here").open()
    for thread in threads:
        thread.join(30)
    assert len(bodies) == 200 and len(set(bodies)) == 1
    assert server.connections == 200


def test_a_client_that_wants_to_close_is_told_so_and_closed(server):
    server.expect(stream(EVENTS), reply(200, "x", headers={"Connection": "close"}))
    with Plain(server) as plain:
        plain.sock.sendall(b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n")
        assert b"Connection: close\r\n" in plain.rest()
    with Plain(server).ask() as plain:
        assert plain.rest().count(b"Connection: close\r\n") == 1


def test_reset_forgets_script_requests_and_errors(server, client):
    client.get(server.url)
    server.expect(reply(200))
    server.reset()
    server.assert_nothing_more()
    assert server.requests == ()


def test_several_servers_run_at_once(client):
    with FaultServer() as one, FaultServer() as two:
        one.always(reply(200, "one"))
        two.always(reply(200, "two"))
        assert client.get(one.url).text + client.get(two.url).text == "onetwo"


@pytest.mark.parametrize("tls", [False, True])
def test_stop_leaves_no_thread_and_no_descriptor(tls):
    before = set(threading.enumerate())
    descriptors = _descriptors()
    server = FaultServer(tls=tls).start()
    server.expect(stream(EVENTS[:1], wait("never")), stream(b"x" * (64 << 20)), reply(200))
    held = []
    for _ in range(3):
        sock = socket.create_connection(server.address, timeout=5)
        if tls:
            sock = _trusting(server).wrap_socket(sock, server_hostname="127.0.0.1")
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.recv(1)
        held.append(sock)
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert all(name.startswith("streamsafe-fault-server-") for name in names) and len(names) == 4
    ca_file = server.ca_file
    server.stop()
    server.stop()
    for sock in held:
        sock.close()
    assert set(threading.enumerate()) == before
    assert _descriptors() == descriptors
    assert ca_file is None or not os.path.exists(ca_file)


def test_it_can_be_started_again_but_not_twice():
    server = FaultServer()
    with server:
        with pytest.raises(RuntimeError, match="running"):
            server.start()
    with server:
        server.expect(reply(200, "again"))
        assert requests.get(server.url).text == "again"


def test_tls_is_trusted_by_its_ca_file_alone(client):
    with FaultServer(tls=True) as server:
        server.always(stream(EVENTS))
        assert server.url.startswith("https://")
        assert client.get(server.url, verify=server.ca_file).content == WHOLE
        named = server.url.replace("127.0.0.1", "localhost")
        assert client.get(named, verify=server.ca_file).content == WHOLE
        with pytest.raises(requests.exceptions.SSLError, match="self.signed"):
            client.get(server.url + "/other", verify=True)


@pytest.mark.parametrize("notified", [False, True])
def test_a_tls_cut_has_a_close_notify_only_if_asked(notified):
    with FaultServer(tls=True) as server:
        server.expect(stream(EVENTS[:1], fin(close_notify=notified)))
        context = _trusting(server)
        with socket.create_connection(server.address, timeout=5) as sock:
            tls = context.wrap_socket(
                sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False
            )
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with tls:
                if notified:
                    while tls.recv(4096):
                        pass
                elif sys.version_info >= (3, 10):  # before, Python takes the one for the other
                    with pytest.raises(ssl.SSLEOFError):
                        while tls.recv(4096):
                            pass


def test_a_stalled_handshake_ends_with_the_client(client):
    with FaultServer(tls=True) as server:
        server.expect(on_connect(stall()), stream(EVENTS))
        with pytest.raises(requests.exceptions.Timeout):
            client.get(server.url, verify=server.ca_file, timeout=0.1)
        assert client.get(server.url, verify=server.ca_file).content == WHOLE
        server.assert_nothing_more()


def test_all_closed_waits_for_the_client_to_close(server):
    server.always(stream(EVENTS))
    with Plain(server).ask() as plain:
        plain.read(10)
        with pytest.raises(AssertionError, match="open after 0.01 s: .*-connection-1"):
            server.assert_all_closed(timeout=0.01)
    server.assert_all_closed()


def test_what_needs_a_running_server_says_so():
    for act in (FaultServer().accept, FaultServer().ignore, lambda: FaultServer().gate("x")):
        with pytest.raises(RuntimeError, match="not running"):
            act()


def test_a_port_that_was_taken_in_between_is_an_error_and_no_more():
    server = FaultServer().start()
    server.stop()
    with socket.create_server(server.address):
        with pytest.raises(OSError):
            server.start()
    server.start().stop()


def test_a_handler_that_does_not_come_back_is_reported(monkeypatch):
    monkeypatch.setattr("streamsafe.testing.listener._JOIN", 0.05)
    back = threading.Event()
    server = FaultServer().start()
    server.handle(lambda asked: reply(200) if back.wait(10) else reply(500))
    with Plain(server).ask():
        server.wait_for_request()
        server.stop()
        assert "does not come back" in server.errors[0]
        back.set()
        server.requests[0].over.wait(5)
    monkeypatch.undo()
    server.stop()
    server.start().stop()


def test_waiting_for_a_request_that_does_not_come_says_how_many_came(server):
    with pytest.raises(AssertionError, match="0 of 1 requests came within 0.01 s"):
        server.wait_for_request(timeout=0.01)


def _trusting(server: FaultServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file)


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0


def test_a_server_may_have_a_port_of_its_own_and_forget_what_is_old():
    with FaultServer() as first:
        port = first.port
    with FaultServer(port=port, keep=2) as server:
        assert server.port == port
        server.always(reply(200))
        for number in range(3):
            requests.get(f"{server.url}/{number}")
        assert [request.path for request in server.requests] == ["/1", "/2"]
    with pytest.raises(ValueError, match="keep=0"):
        FaultServer(keep=0)
