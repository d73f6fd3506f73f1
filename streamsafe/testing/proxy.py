"""ProxyServer: a forward and CONNECT proxy on a real socket, with faults of its own.

Here lives what a proxy does more than a fault server: going on to the origin. What it is
asked is recorded, and a script takes the place of going on, as with ``FaultServer``.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Optional
from urllib.parse import urlsplit

from streamsafe.testing.channel import Channel
from streamsafe.testing.request import RecordedRequest, RequestReader
from streamsafe.testing.script import Exchange, reply
from streamsafe.testing.server import FaultServer, Handler

#: Seconds for the connection to an origin on this machine.
_CONNECT = 5.0

#: A test must never reach out, whatever the client under test asks for.
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: What belongs to one hop and not to the origin (RFC 9110, section 7.6.1).
_HOP_HEADERS = ("connection", "proxy-connection", "proxy-authorization", "transfer-encoding",
                "content-length")  # fmt: skip


def forward() -> Exchange:
    """Go on to the origin: what a proxy does unless its script says otherwise.

    Only for scripts that let some requests pass: ``proxy.expect(forward(), reply(502))``.
    """
    return Exchange("forward", ())


class ProxyServer(FaultServer):
    """A proxy on 127.0.0.1, for plain requests and for CONNECT.

    ::

        with FaultServer(tls=True) as server, ProxyServer() as proxy:
            proxy.expect(reply(407), raw(stall()))   # then it lets everything through
            ...                                      # proxies={"https": proxy.url}
            assert proxy.requests[0].method == "CONNECT"

    Everything of ``FaultServer`` is here too: ``expect``, ``on_connect``, ``always``, ``refuse``,
    ``requests`` … Where it has nothing scripted it goes on to the origin.

    ``routes`` maps host names to (host, port) on this machine, ``{"api.test": server.address}``; a
    host that is neither there nor loopback gets a 502, and is an error. ``tls=True`` is a proxy
    that is spoken to over TLS.
    """

    _name = "fault-server-proxy"

    def __init__(
        self, *, tls: bool = False, routes: Optional[Mapping[str, tuple[str, int]]] = None
    ) -> None:
        super().__init__(tls=tls)
        self._routes = dict(routes or {})

    def _chosen(self, handler: Optional[Handler], request: RecordedRequest) -> Exchange:
        return forward() if handler is None else super()._chosen(handler, request)

    def _play(
        self, channel: Channel, reader: RequestReader, request: RecordedRequest, exchange: Exchange
    ) -> bool:
        if exchange.kind != "forward":
            return super()._play(channel, reader, request, exchange)
        try:
            origin = self._connect(request)
        except (OSError, ValueError) as error:
            if not isinstance(error, OSError):
                self._error(str(error))
            bad = reply(502, f"streamsafe's proxy: {request}: {error}\n")
            return self._player(channel, bad).play(request.method, not request.keeps_alive)
        try:
            if request.method == "CONNECT":
                channel.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                origin.send(reader.rest())
            else:
                origin.send(_rewritten(request))
            channel.relay(origin)
        finally:
            origin.close()
        return False

    def _connect(self, request: RecordedRequest) -> Channel:
        url = "//" + request.path if request.method == "CONNECT" else request.path
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        if host in self._routes:
            host, port = self._routes[host]
        if host not in _LOOPBACK:
            raise ValueError(f"{request} asks for {host!r}, which is neither loopback nor a route")
        assert self._running is not None
        return Channel(socket.create_connection((host, port), _CONNECT), self._running)


def _rewritten(request: RecordedRequest) -> bytes:
    parts = urlsplit(request.path)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{request.method} {path} HTTP/1.1"]
    lines += [f"{n}: {v}" for n, v in request.headers.pairs if n.lower() not in _HOP_HEADERS]
    # One request a connection keeps this a relay; the origin's own close tells the client.
    lines += ["Connection: close", f"Content-Length: {len(request.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + request.body
