"""The proxy, between requests and a fault server."""

from __future__ import annotations

import pytest
import requests
import urllib3

from streamsafe.testing import (
    FaultServer,
    ProxyServer,
    fin,
    forward,
    on_connect,
    raw,
    reply,
    rst,
    stall,
    stream,
    wait,
)

#: Such a urllib3 leaves the socket of a tunnel that failed to the garbage collector.
LEAKS = tuple(map(int, urllib3.__version__.split(".")[:2])) < (2, 3)

EVENTS = [b"data: %d\n\n" % number for number in range(6)]


@pytest.fixture
def proxy():
    with ProxyServer() as running:
        yield running


@pytest.fixture(params=[False, True], ids=["http", "https"])
def server(request):
    if request.param and LEAKS and request.node.originalname in FAILING:
        pytest.skip("this urllib3 leaks the socket")
    with FaultServer(tls=request.param) as running:
        yield running


FAILING = ("test_it_can_refuse", "test_it_can_break", "test_it_can_stall")


@pytest.fixture
def client(proxy):
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": proxy.url, "https": proxy.url}
        yield session


def ask(client, server, **options):
    return client.post(
        server.url + "/v1/x?y=1", json={"a": 1}, verify=server.ca_file or True, timeout=5, **options
    )


def test_it_goes_on_to_the_origin_and_records_what_it_was_asked(proxy, server, client):
    server.always(stream(EVENTS))
    for _ in range(3):
        assert ask(client, server).content == b"".join(EVENTS)
    asked = proxy.requests[0]
    if server.ca_file:
        assert (asked.method, asked.path) == ("CONNECT", f"127.0.0.1:{server.port}")
        assert len(proxy.requests) == 1
    else:
        assert (asked.method, asked.path) == ("POST", server.url + "/v1/x?y=1")
    assert [(got.path, got.json) for got in server.requests] == [("/v1/x?y=1", {"a": 1})] * 3
    proxy.assert_nothing_more()
    server.assert_nothing_more()


def test_events_pass_as_they_come(proxy, server, client):
    server.expect(stream(EVENTS[0], wait("go"), EVENTS[1]))
    answer = ask(client, server, stream=True)
    assert answer.raw.read1(100) == EVENTS[0]
    server.gate("go").open()
    assert answer.raw.read1(100) == EVENTS[1]
    answer.close()


def test_it_passes_a_reset_of_the_origin_on(proxy, client):
    with FaultServer() as server:
        server.expect(stream(EVENTS[:2], then=rst()))
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset"):
            ask(client, server)


def test_the_origin_sees_the_client_leave(proxy, server, client):
    server.expect(stream(EVENTS[:1], stall()))
    ask(client, server, stream=True).close()
    assert server.requests[0].client_gone.wait(5)
    assert proxy.requests[0].client_gone.wait(5)


@pytest.mark.parametrize("status", [407, 502])
def test_it_can_refuse(proxy, server, client, status):
    proxy.expect(reply(status), forward())
    server.expect(stream(EVENTS))
    if server.ca_file:
        with pytest.raises(requests.exceptions.ProxyError, match=str(status)):
            ask(client, server)
    else:
        assert ask(client, server).status_code == status
    assert ask(client, server).content == b"".join(EVENTS)
    proxy.assert_nothing_more()


@pytest.mark.parametrize("fault", [raw(fin()), on_connect(rst())], ids=["fin", "rst"])
def test_it_can_break(proxy, server, client, fault):
    proxy.expect(fault)
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(client, server)


def test_it_can_stall(proxy, server, client):
    proxy.expect(raw(stall()))
    with pytest.raises(requests.exceptions.Timeout):
        client.get(server.url, timeout=0.1)
    assert proxy.requests[0].client_gone.wait(5)


def test_an_origin_that_refuses_is_a_502_and_no_error_of_the_proxy(proxy, client):
    with FaultServer() as server:
        server.refuse()
        assert ask(client, server).status_code == 502
    proxy.assert_nothing_more()


def test_it_never_leaves_this_machine(proxy, client):
    assert client.get("http://example.com/", timeout=5).status_code == 502
    with pytest.raises(AssertionError, match="'example.com', which is neither loopback"):
        proxy.assert_nothing_more()


def test_routes_bring_a_foreign_name_to_a_server_here():
    with FaultServer() as server:
        server.expect(reply(200, "here"))
        with ProxyServer(routes={"api.example.com": server.address}) as proxy:
            answer = requests.get("http://api.example.com/v1", proxies={"http": proxy.url})
        assert answer.text == "here"
        assert server.requests[0].headers["Host"] == "api.example.com"


def test_tls_inside_tls():
    with FaultServer(tls=True) as server, ProxyServer(tls=True) as proxy:
        server.expect(stream(EVENTS))
        answer = requests.get(
            server.url, proxies={"https": proxy.url}, verify=server.ca_file, timeout=5
        )
        assert answer.content == b"".join(EVENTS)


def test_stop_ends_open_tunnels(server):
    proxy = ProxyServer().start()
    server.expect(stream(EVENTS[:1], stall()))
    session = requests.Session()
    session.proxies = {"http": proxy.url, "https": proxy.url}
    answer = ask(session, server, stream=True)
    proxy.stop()
    assert server.requests[0].client_gone.wait(5)
    answer.close()
    session.close()


def test_a_fault_server_can_not_forward():
    with FaultServer() as server:
        server.expect(forward())
        assert requests.get(server.url).status_code == 500
