"""The dashboard on its own threaded server, over real sockets."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest

from streamsafe.monitor import StreamMonitor
from streamsafe.web import dashboard
from streamsafe.web.dashboard import feed
from streamsafe.web.dashboard.serving import Server


@pytest.fixture
def serve(monkeypatch):
    """``serve(app)`` -> the port of a server that is gone after the test."""
    monkeypatch.setattr(feed, "INTERVAL", 0.02)
    monkeypatch.setattr(feed, "HEARTBEAT", 0.02)
    running = []

    def start(app):
        server = Server("127.0.0.1", 0, app)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        running.append((server, thread, app))
        return server.server_port

    yield start
    for server, thread, app in running:
        app.close()
        server.shutdown()
        thread.join()
        server.server_close()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    return connection.getresponse()


def test_page_figures_and_events_come_over_the_wire(serve):
    port = serve(dashboard.app(StreamMonitor()))
    with get(port, "/") as page, get(port, "/snapshot") as snapshot, get(port, "/live") as live:
        assert b"<title>streamsafe" in page.read()
        assert json.loads(snapshot.read())["totals"]["total_streams"] == 0
        assert live.readline() == b"retry: 2000\n"
        assert live.readline() == b"\n"
        assert live.readline() == b"event: parts\n"


def test_a_browser_that_has_gone_gives_its_place_back(serve, capfd):
    port = serve(dashboard.app(StreamMonitor(), max_live=1))
    first = get(port, "/live")
    assert first.status == 200
    with get(port, "/live") as second:
        assert second.status == 503
    # A reset, as of a browser that was killed: the heartbeats find out.
    first.fp.raw._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    first.close()
    while True:
        with get(port, "/live") as again:
            if again.status == 200:
                break
    assert capfd.readouterr().err == ""


def test_closing_ends_what_is_open(serve):
    app = dashboard.app(StreamMonitor())
    with get(serve(app), "/live") as live:
        assert live.readline() == b"retry: 2000\n"
        app.close()
        assert live.read().endswith(b"\n\n")


def test_it_listens_on_ipv6_where_that_is_asked():
    try:
        server = Server("::1", 0, dashboard.app(StreamMonitor()))
    except OSError:
        pytest.skip("no IPv6 here")
    assert server.address_family == socket.AF_INET6
    server.server_close()
