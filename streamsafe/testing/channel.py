"""Channel: one accepted connection, plain or TLS, on which no wait can get stuck.

Here live sending, receiving, waiting and the ways to close. Every wait ends when the peer
leaves or the server stops, too. What HTTP says stands in ``request``, what to send in ``player``.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
from typing import Optional, Union

from streamsafe.testing.gate import Gate

#: poll() takes descriptors above 1024, which select() does not; Windows has select() alone.
Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)

#: A foreign threading.Event can't be waited for together with a socket: it is looked at.
_EVENT_TICK = 0.02

_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class PeerGone(Exception):
    """The peer closed or reset the connection."""


class Stopped(Exception):
    """The server is being stopped."""


class Channel:
    """A connected socket; used by one thread, which ``stop`` wakes."""

    def __init__(self, sock: socket.socket, stop: Gate) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # the peer has gone already: the first read says so
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._stop = stop
        self._early = bytearray()  # what the peer sent while we were busy waiting

    def handshake(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on, as the server."""
        sock = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
        self._sock = sock
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                self._select(selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                self._select(selectors.EVENT_WRITE)
            except (OSError, ValueError) as error:
                raise PeerGone(f"no TLS handshake: {error}") from error

    def send(self, data: bytes) -> None:
        """Send all of it, however slow the peer reads. Raises PeerGone or Stopped."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view[:65536]) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._select(selectors.EVENT_WRITE)
            except ssl.SSLWantReadError:
                self._select(selectors.EVENT_READ)
            except OSError as error:
                raise PeerGone(str(error)) from error

    def receive(self) -> bytes:
        """The next bytes, b"" when the peer has closed. Raises PeerGone on a reset, or Stopped."""
        if self._early:
            data, self._early = bytes(self._early), bytearray()
            return data
        while True:
            received = self._recv()
            if received is not None:
                return received
            self._select(selectors.EVENT_READ)

    def wait(
        self, seconds: Optional[float] = None, gate: Union[Gate, threading.Event, None] = None
    ) -> None:
        """Wait until the time is over or the gate opens; None and None: for ever.

        Raises PeerGone as soon as the peer leaves, Stopped when the server stops.
        """
        if isinstance(gate, threading.Event):
            while not gate.is_set():
                self.wait(_EVENT_TICK)
            return
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            ready = self._select(selectors.EVENT_READ, left, gate)
            if gate in ready or not ready:
                return
            self._absorb()

    def relay(self, other: Channel) -> None:
        """Pass bytes on, both ways, until either side closes or resets; then so is the other.

        Raises PeerGone if our own peer left before the other's did, or Stopped.
        """
        while True:
            left = self._pass_on(other) or other._pass_on(self)
            if left is self:
                raise PeerGone("the peer left")
            if left is other:
                return
            with Selector() as selector:
                for each in (self._sock, other._sock, self._stop):
                    selector.register(each, selectors.EVENT_READ)
                selector.select()
            if self._stop.is_open():
                raise Stopped

    def close(self) -> None:
        """Close in good order: over TLS with a close_notify."""
        if isinstance(self._sock, ssl.SSLSocket):
            try:
                self._sock.unwrap()
            except (OSError, ValueError):
                pass  # the peer's own close_notify is not waited for
        self.fin()

    def fin(self) -> None:
        """Send what is under way, then a FIN and nothing else (over TLS: no close_notify)."""
        try:
            # Not SSLSocket.shutdown, and before close(): the FIN goes out even where a
            # duplicate of the descriptor is still held, by a forked child for one.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            pass
        self._sock.close()

    def rst(self) -> None:
        """Reset the connection: what is under way may be lost, the peer gets ECONNRESET."""
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        except OSError:
            pass
        self._sock.close()

    def _recv(self) -> Optional[bytes]:
        try:
            return self._sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLEOFError:
            return b""
        except OSError as error:
            raise PeerGone(str(error)) from error

    def _pass_on(self, other: Channel) -> Optional[Channel]:
        """Hand over what has come. The side that has left, the other being closed, or None."""
        while True:
            try:
                data = bytes(self._early) or self._recv()
                self._early.clear()
            except PeerGone:
                other.rst()
                return self
            if data is None:
                return None
            if not data:
                other.close()
                return self
            try:
                other.send(data)
            except PeerGone:
                self.rst()
                return other

    def _absorb(self) -> None:
        while True:
            data = self._recv()
            if data is None:
                return
            if not data:
                raise PeerGone("the peer closed the connection")
            self._early += data

    def _select(
        self, event: int, seconds: Optional[float] = None, gate: Optional[Gate] = None
    ) -> list[object]:
        with Selector() as selector:
            selector.register(self._sock, event)
            selector.register(self._stop, selectors.EVENT_READ)
            if gate is not None:
                selector.register(gate, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in selector.select(seconds)]
        if self._stop in ready:
            raise Stopped
        return ready
