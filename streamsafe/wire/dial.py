"""Dial: a host and a port to a connected TCP socket that any thread can cut meanwhile.

Here live the look-up, the addresses tried in turn, and the time shared out among them. TLS and
proxies are the connection's business.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Sequence
from typing import Any, Optional, Union

from urllib3.util import wait_for_write
from urllib3.util.connection import allowed_gai_family

from streamsafe.wire import resolver
from streamsafe.wire.interrupts import interrupt
from streamsafe.wire.opening import Opening

SocketOption = tuple[int, int, Union[int, bytes]]

#: An address gets its part of the time left, but not less than this: so a black hole in front
#: does not keep the good address behind it from being tried (Go's net.Dialer has the same 2 s).
LEAST_SHARE = 2.0

#: Where shutdown(2) does not wake a connect (BSD, Windows) the scope is looked at this often.
LOOK = 0.1

_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", -1)}


def socket_options(keepalive: Optional[float]) -> list[SocketOption]:
    """No delay, and keepalive probes after ``keepalive`` seconds of silence; None = no probes.

    Without TCP_NODELAY a body that is sent after its headers waits for the peer's delayed
    acknowledgement; urllib3 sets it only where there is no proxy.
    """
    options: list[SocketOption] = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    if keepalive is None:
        return options
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    # Four probes, 10 s apart: a vanished peer is known 40 s after the first. macOS calls the
    # idle time TCP_KEEPALIVE; where Python knows none of them the system's two hours stay.
    for names, value in (
        (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), max(1, round(keepalive))),
        (("TCP_KEEPINTVL",), 10),
        (("TCP_KEEPCNT",), 4),
    ):
        known = [getattr(socket, name) for name in names if hasattr(socket, name)]
        options.extend((socket.IPPROTO_TCP, option, value) for option in known[:1])
    return options


def dial(
    host: str,
    port: int,
    opening: Opening,
    options: Optional[Sequence[SocketOption]] = None,
    source_address: Optional[tuple[str, int]] = None,
) -> socket.socket:
    """Connect to the first address of ``host`` that answers; the scope has hold of the socket.

    The opening's connect timeout covers the look-up and all addresses. Raises socket.gaierror,
    socket.timeout, and OSError for the last address that failed.
    """
    opening.phase = "connect"
    addresses = _addresses(host.strip("[]"), port, opening)
    error: OSError = OSError(f"{host} has no address")
    for index, address in enumerate(addresses):
        try:
            return _connect(address, len(addresses) - index, opening, options, source_address)
        except OSError as failed:
            error = failed
            if opening.scope.cause is not None or interrupt([failed]):
                break
    try:
        raise error
    finally:
        del error  # it holds this frame, and this frame would hold it


def _addresses(host: str, port: int, opening: Opening) -> list[resolver.AddressInfo]:
    family = allowed_gai_family()
    found = resolver.literal(host, port, family)
    if found is None:
        opening.step("resolving", host=host)
        found = resolver.resolve(host, port, family, opening.scope, opening.left_to_connect())
        opening.step("resolved", addresses=[shown(info[4]) for info in found])
    return found


def _connect(
    address: resolver.AddressInfo,
    addresses_left: int,
    opening: Opening,
    options: Optional[Sequence[SocketOption]],
    source_address: Optional[tuple[str, int]],
) -> socket.socket:
    family, kind, protocol, _, peer = address
    seconds = _share(opening.left_to_connect(), addresses_left)
    sock = socket.socket(family, kind, protocol)
    try:
        for option in options or ():
            sock.setsockopt(*option)
        if source_address:
            sock.bind(source_address)
        opening.address = shown(peer)
        opening.step("connecting", address=opening.address)
        sock.setblocking(False)
        _raise(sock.connect_ex(peer), but=_UNDER_WAY)
        # Not earlier: shutting a socket down that has not begun to connect does not stop it.
        opening.scope.attach(sock)
        _await_connected(sock, opening, seconds)
        opening.step("connected", address=opening.address, local=shown(sock.getsockname()))
        # For the handshake; 0 would mean non-blocking.
        left = opening.left_to_connect()
        sock.settimeout(None if left is None else max(left, 0.001))
    except BaseException:
        sock.close()
        raise
    return sock


def _share(left: Optional[float], addresses: int) -> Optional[float]:
    if left is None:
        return None
    return min(left, max(left / addresses, LEAST_SHARE))


def _await_connected(sock: socket.socket, opening: Opening, seconds: Optional[float]) -> None:
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        left = LOOK if end is None else min(LOOK, end - time.monotonic())
        if left <= 0:
            raise socket.timeout("no answer to the connection request")
        done = wait_for_write(sock, left)
        if opening.scope.cause is not None:
            raise ConnectionAbortedError("left while connecting")
        if done:
            return _raise(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def _raise(code: int, but: Any = ()) -> None:
    if code and code not in but:
        raise OSError(code, os.strerror(code))


def shown(address: Any) -> str:
    """A socket address as people write it: 192.0.2.1:443, [2001:db8::1]:443."""
    if isinstance(address, tuple) and len(address) >= 2:
        host = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
        return f"{host}:{address[1]}"
    return str(address)
