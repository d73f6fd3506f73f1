"""Connections: urllib3's connections and pools, and requests' adapter over them, under a scope.

Here a scope takes hold of a connection (made or taken from the pool) and lets go of it, before
the pool hands it to somebody else. Nothing here overrides ``HTTPAdapter.send``: libraries that
mock HTTP replace that method.
"""

from __future__ import annotations

import os
import socket
import sys
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from streamsafe.wire.answer import Answer
from streamsafe.wire.dial import dial, socket_options
from streamsafe.wire.idle import IdleStack
from streamsafe.wire.opening import CURRENT, Opening
from streamsafe.wire.scope import Scope

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

#: Idle connections kept per host. More than a process has threads, so that a burst of streams
#: finds its connections again; what is over is closed without a word.
POOL_MAXSIZE = 1000

#: Seconds of silence before TCP asks whether the peer is alive. Below the 60 s after which
#: home routers and many proxies forget a connection; Go's net package takes 15 s, curl 60 s.
KEEPALIVE = 30.0

#: What is sent at once, in bytes: a TLS record, and no copying of a large body.
PACKET = 16 * 1024

#: The part of the descriptors that a process may have, below which idle connections keep a second
#: one: an eighth, 128 of the 1,024 that are usual in a shell.
KEPT = 8

#: Hosts whose pools are kept. requests keeps 10; a service with fallbacks talks to more.
POOLS = 32


# The mixins below stand before one of two classes each.
if TYPE_CHECKING:
    _Connection = HTTPConnection
    _Pool = HTTPConnectionPool
else:
    _Connection = _Pool = object


class _Head(NamedTuple):
    """The head that a connection sent last: ``asked`` is all that it was made of but the body and
    its length, which stands between ``before`` and ``after``; ``options`` are urllib3's."""

    asked: Any
    before: bytes
    after: bytes
    options: Any


class _Scoped(_Connection):
    """A connection that a scope has hold of while a request is on it."""

    response_class = Answer
    _scope: Optional[Scope] = None
    #: The socket's duplicate while no scope has it. Closing it with each stream would let go of the
    #: interpreter's lock once more: a thousand streams that end at once stood in line twice.
    _duplicate: Optional[int] = None
    _address = ""
    _outgoing: Optional[list[Any]] = None
    _head: Optional[_Head] = None

    def _new_conn(self) -> socket.socket:
        opening = CURRENT.get()
        if opening is None:
            return super()._new_conn()
        self._scope = opening.scope
        # Wrapped as urllib3 wraps them: it tells a proxy's fault from the origin's by these.
        try:
            sock = dial(
                self._dns_host, self.port, opening, self.socket_options, self.source_address
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except socket.timeout as error:
            raise ConnectTimeoutError(self, f"connecting to {self.host}: {error}") from error
        except OSError as error:
            raise NewConnectionError(self, f"connecting to {self.host}: {error}") from error
        sys.audit("http.client.connect", self, self.host, self.port)
        self._address = opening.address
        opening.phase = "tls" if isinstance(self, HTTPSConnection) else "send"
        return sock

    def _tunnel(self) -> None:
        opening = CURRENT.get()
        if opening is None:
            return super()._tunnel()
        opening.phase = "tunnel"
        heads: list[Answer] = []

        def head(*args: Any, **kwargs: Any) -> Answer:
            heads.append(Answer(*args, **kwargs))
            return heads[-1]

        # Python before 3.12 leaves the head of the proxy's answer open, and the socket with it.
        self.response_class = head  # type: ignore[assignment]
        try:
            super()._tunnel()
        finally:
            del self.response_class
            for one in heads:
                one.close()
        opening.phase = "tls"

    def connect(self) -> None:
        super().connect()
        opening = CURRENT.get()
        if opening is not None:
            opening.phase = "send"
            sock: Any = self.sock
            opening.scope.wrapped(sock)
            if hasattr(sock, "cipher"):
                opening.step("tls", version=sock.version(), cipher=(sock.cipher() or ("",))[0])

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        **how: Any,
    ) -> None:
        opening = CURRENT.get()
        if opening is None:
            return super().request(method, url, body, headers, **how)
        if self.sock is None:
            self.connect()
        elif self._scope is not opening.scope:
            self._reuse(opening)
        # urllib3 sends under the connect timeout, which a large body would overrun; the scope
        # reaches this connection, so no timeout of the socket's own is needed from here on.
        self.timeout = None
        self._outgoing = []
        try:
            self._write(self._outgoing, method, url, body, headers or {}, how)
            outgoing = self._outgoing
        finally:
            self._outgoing = None
        self._send_together(outgoing)
        opening.phase = "answer"
        opening.step("sent")

    def _write(
        self,
        outgoing: list[Any],
        method: str,
        url: str,
        body: Any,
        headers: Mapping[str, str],
        how: Mapping[str, Any],
    ) -> None:
        """Have head and body put into ``outgoing``; a head like the last one is not made anew."""
        length = headers.get("Content-Length", "")
        whole = isinstance(body, bytes) and body and length == str(len(body))
        if not whole or how.get("chunked") or "Host" in headers:
            return super().request(method, url, body, headers, **how)
        others = [item for item in headers.items() if item[0] != "Content-Length"]
        asked, head = (method, url, others, how), self._head
        line = b"\r\nContent-Length: %d\r\n" % len(body)
        if head is not None and head.asked == asked:
            # For http.client's states, and for those who have it write lines of theirs.
            self._response_options = head.options
            self.sock.settimeout(self.timeout)
            self.putrequest(method, url, skip_host=True, skip_accept_encoding=True)
            self.endheaders()
            first = outgoing.pop()
            return outgoing.extend((first[:-2], head.before, line, head.after, body))
        super().request(method, url, body, headers, **how)
        # A line for the request, one for the host, and no header that nobody asked for.
        _, _, lines = outgoing[0].partition(b"\r\n")
        before, found, after = lines.partition(line)
        if found and lines.count(b"\r\n") == len(others) + 3:
            self._head = _Head(asked, before, after, self._response_options)

    def send(self, data: Any) -> None:
        if self._outgoing is None:
            super().send(data)
        else:
            self._outgoing.append(data)

    def _send_together(self, parts: list[Any]) -> None:
        """In one packet if they are short: head and body would be two, and two TLS records."""
        if sum(map(len, parts)) <= PACKET:
            parts = [b"".join(parts)]
        for part in parts:
            super().send(part)

    def _reuse(self, opening: Opening) -> None:
        opening.phase = "send"
        opening.reused = True
        self._scope = opening.scope
        fd, self._duplicate = self._duplicate, None
        opening.scope.attach(self.sock, fd)
        opening.step("reused", address=self._address)

    def let_go(self) -> None:
        """No scope may reach the connection any more."""
        scope, self._scope = self._scope, None
        if scope is not None:
            self._duplicate = scope.hand_over(self.sock)
            if self._duplicate is not None and self._duplicate >= _most_kept():
                self._drop_duplicate()

    def close(self) -> None:
        self._drop_duplicate()
        super().close()

    def __del__(self) -> None:
        self._drop_duplicate()

    def _drop_duplicate(self) -> None:
        # The server learns that a connection is closed when no descriptor of it is left.
        fd, self._duplicate = self._duplicate, None
        if fd is not None:
            os.close(fd)


class ScopedHTTPConnection(_Scoped, HTTPConnection):
    """urllib3's HTTP connection, under a scope."""


class ScopedHTTPSConnection(_Scoped, HTTPSConnection):
    """urllib3's HTTPS connection, under a scope."""


def _most_kept() -> float:
    """Below which number a duplicate is kept: the lowest free one is given out, so high numbers
    say that descriptors run short, of which an idle connection then takes one."""
    if resource is None:
        return float("inf")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft / KEPT


class _ScopedPool(_Pool):
    QueueCls: Any = IdleStack

    def _get_conn(self, timeout: Optional[float] = None) -> Any:
        conn = super()._get_conn(timeout)
        opening = CURRENT.get()
        if opening is not None and opening.fresh:
            conn.close()  # it connects anew when it is used
        return conn

    def _put_conn(self, conn: Any) -> None:
        # First: as soon as it lies in the pool another thread may take it.
        if conn is not None:
            conn.let_go()
        super()._put_conn(conn)


class ScopedHTTPPool(_ScopedPool, HTTPConnectionPool):
    """urllib3's pool for one HTTP host, of scoped connections."""

    ConnectionCls: Any = ScopedHTTPConnection


class ScopedHTTPSPool(_ScopedPool, HTTPSConnectionPool):
    """urllib3's pool for one HTTPS host, of scoped connections."""

    ConnectionCls: Any = ScopedHTTPSConnection


_POOL_CLASSES = {"http": ScopedHTTPPool, "https": ScopedHTTPSPool}


class ScopedAdapter(HTTPAdapter):
    """requests' adapter over scoped connections; direct, over forward proxies and CONNECT.

    ``pool_maxsize`` idle connections are kept per host; how many may be in use has no bound.
    ``keepalive`` is in seconds, None = no probes. ``pool_options`` go to urllib3's PoolManager
    (``ssl_context``, ``source_address`` ...). It never repeats a request.
    """

    def __init__(
        self,
        *,
        pool_maxsize: int = POOL_MAXSIZE,
        keepalive: Optional[float] = KEEPALIVE,
        pool_options: Optional[dict[str, Any]] = None,
    ) -> None:
        self._options: dict[str, Any] = {"socket_options": socket_options(keepalive)}
        self._options.update(pool_options or {})
        self._maxsize = pool_maxsize
        # What requests would look up for each request anew, with much taking apart of URLs.
        self._pools: dict[Any, Any] = {}
        self._targets: dict[Any, str] = {}
        super().__init__(pool_connections=POOLS, pool_maxsize=pool_maxsize)
        _adapters.add(self)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """Called by requests: the pools of direct connections."""
        super().init_poolmanager(connections, maxsize, block, **{**self._options, **pool_kwargs})
        self.poolmanager.pool_classes_by_scheme = _POOL_CLASSES

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Called by requests: the pools of connections over ``proxy``, which is not SOCKS."""
        manager = super().proxy_manager_for(proxy, **{**self._options, **proxy_kwargs})
        manager.pool_classes_by_scheme = _POOL_CLASSES
        return manager

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Called by requests: the pool for a request, which is the same as the last time."""
        cert = tuple(cert) if isinstance(cert, list) else cert
        key = (request.url, verify, cert, tuple((proxies or {}).items()))
        pool = self._pools.get(key)
        if pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            if len(self._pools) >= POOLS:
                self._pools.clear()
            self._pools[key] = pool
        return pool

    def request_url(self, request: Any, proxies: Any) -> str:
        """Called by requests: what the first line asks for, which is the same as the last time."""
        key = (request.url, tuple((proxies or {}).items()))
        target = self._targets.get(key)
        if target is None:
            target = super().request_url(request, proxies)
            if len(self._targets) >= POOLS:
                self._targets.clear()
            self._targets[key] = target
        return target

    def build_response(self, req: Any, resp: Any) -> Any:
        """Called by requests: its response, which is not searched for cookies if it has none."""
        original = resp._original_response
        if not any(map(resp.headers.__contains__, ("Set-Cookie", "Set-Cookie2"))):
            resp._original_response = None
        try:
            return super().build_response(req, resp)
        finally:
            resp._original_response = original

    def close(self) -> None:
        """Close all idle connections."""
        self._pools = {}
        super().close()

    def renew(self) -> None:
        """Forget all connections without touching them: after a fork they are the parent's."""
        self._pools = {}
        self.proxy_manager = {}
        self.init_poolmanager(POOLS, self._maxsize)


_adapters: weakref.WeakSet[ScopedAdapter] = weakref.WeakSet()


def _renew_all() -> None:
    for adapter in list(_adapters):
        adapter.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
