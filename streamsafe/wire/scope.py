"""Scope: the handle by which any thread can cut one attempt's connection.

Here lives the race-free way to wake a blocked reader: a duplicate of the socket's file
descriptor, taken where the connection is made, that is shut down under a lock after the
cause was set. Who decides to cut, and why, is the watchdog's and the stream's business.

``close()`` from another thread would block until the server speaks, and shutting the SSL
object down can hand ciphertext out as body; shutdown(2) on a duplicate does neither.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from typing import Any, Callable, Optional


class Scope:
    """One attempt's hold on its connection.

    Made and finished by the reading thread; ``abort`` and ``pending`` may be called by any
    thread at any time and never block. ``cause`` is set before the socket is shut, so the
    reader that wakes finds it: it must look after every read, since a cut close-delimited
    body looks like a clean end.
    """

    __slots__ = ("cause", "_lock", "_fd", "_socket", "_wake", "_callback", "_process")

    def __init__(self) -> None:
        self.cause: Optional[BaseException] = None
        # Guards cause, _fd, _socket, _wake and _callback. Reentrant: a signal's handler that
        # cancels runs on the reading thread, wherever that is.
        self._lock = threading.RLock()
        # The duplicate is kept as an int: a socket object made from it would, under
        # socket.setdefaulttimeout(), flip O_NONBLOCK on the description that the reader uses.
        self._fd: Optional[int] = None
        # Of a stream that is garbage in a cycle the collector would close the socket first, with a
        # ResourceWarning, were it not held by whom the watchdog knows.
        self._socket: Any = None
        self._wake: Optional[threading.Event] = None
        self._callback: Optional[Callable[[], None]] = None
        # A forked child has a copy of all streams, and drops it: the connection is its parent's.
        self._process = os.getpid()

    def forked(self) -> None:
        """In a forked child: a thread that held the lock is not there to let go of it."""
        self._lock, self._wake = threading.RLock(), None

    def attach(self, sock: socket.socket, fd: Optional[int] = None) -> None:
        """Take hold of a connection's socket, in place of any held before; shut it if aborted.

        ``fd``: a duplicate that there is already, which is the scope's from now on."""
        if fd is None:
            fd = os.dup(sock.fileno())
        with self._lock:
            old, self._fd = self._fd, fd
            self._socket = sock
            if self.cause is not None:
                self._shut(fd)
        if old is not None:
            os.close(old)

    def wrapped(self, sock: Any) -> None:
        """What it has hold of is this from now on: TLS over the same descriptor."""
        with self._lock:
            if self._fd is not None:
                self._socket = sock

    def detach(self) -> None:
        """Let go, before the connection becomes visible to others; harmless when not attached."""
        with self._lock:
            fd, self._fd = self._fd, None
            self._socket = None
        if fd is not None:
            os.close(fd)

    def hand_over(self, sock: Any) -> Optional[int]:
        """Let go as ``detach`` does, and give the duplicate to who keeps the connection, to be
        closed with it; None if it is of another socket."""
        with self._lock:
            if self._socket is sock:
                fd, self._fd = self._fd, None
                self._socket = None
                return fd
        self.detach()
        return None

    def cut(self) -> None:
        """Shut the connection down and let go: for the reading thread, which is done with it."""
        with self._lock:
            fd, self._fd = self._fd, None
            self._socket = None
        if fd is not None:
            self._shut(fd)
            os.close(fd)

    def abort(self, cause: BaseException) -> bool:
        """Set the cause and wake whoever is blocked; False if it was aborted before."""
        with self._lock:
            if self.cause is not None:
                return False
            self.cause = cause
            if self._fd is not None:
                self._shut(self._fd)
            wake, callback = self._wake, self._callback
        if wake is not None:
            wake.set()
        if callback is not None:
            callback()
        return True

    def on_abort(self, callback: Optional[Callable[[], None]]) -> None:
        """Have ``callback`` called once, by the aborting thread, beside the shutdown.

        For transports without a socket of ours. It must not block. Called at once if aborted.
        """
        with self._lock:
            self._callback = callback
            aborted = self.cause is not None
        if aborted and callback is not None:
            callback()

    def wait(self, seconds: Optional[float]) -> bool:
        """Sleep on the reading thread; True as soon as the scope is aborted."""
        with self._lock:
            if self.cause is not None:
                return True
            if self._wake is None:
                self._wake = threading.Event()
            wake = self._wake
        return wake.wait(seconds)

    def pending(self) -> bool:
        """True if bytes wait unread on the socket: a starved reader is no silent server."""
        with self._lock:
            if self._fd is None or self.cause is not None:
                return False
            return _readable(self._fd)

    def _shut(self, fd: int) -> None:
        if self._process != os.getpid():
            return
        # detach() at once: the object must not close what is not its own.
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            return
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not connected yet, or gone already
        finally:
            sock.detach()


def _readable(fd: int) -> bool:
    try:
        if hasattr(select, "poll"):
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            return any(mask & select.POLLIN for _, mask in poller.poll(0))
        return bool(select.select([fd], [], [], 0)[0])
    except (OSError, ValueError):
        return False
