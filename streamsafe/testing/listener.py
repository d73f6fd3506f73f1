"""Listener: a port on 127.0.0.1, its thread that accepts, and one thread a connection.

Here live sockets' and threads' beginnings and ends, for every server of this wing. What is
said on a connection is the server's own ``_serve``.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import traceback
from typing import Optional, TypeVar

from streamsafe.testing.channel import Channel, PeerGone, Stopped, Selector
from streamsafe.testing.gate import Gate

#: Room for a load test that connects all at once; the kernel lowers it to its own maximum.
_BACKLOG = 4096

#: Longest wait for a thread at the end. They wake at once; this is for one that a handler holds.
_JOIN = 5.0

_Self = TypeVar("_Self", bound="Listener")


class Listener:
    """Serves connections on a free port of 127.0.0.1, from ``start`` to ``stop``.

    Threads are daemons, so that a test that dies with a server running can't hold the
    interpreter; ``stop`` ends and joins them all.
    """

    _name = "fault-server"

    def __init__(self, port: int = 0) -> None:
        #: The port, from the first ``start`` on; it stays the same over ``refuse`` and ``accept``.
        self.port = port
        #: What went wrong on the server's side, as texts; a test wants this empty.
        self.errors: list[str] = []
        #: How many connections were accepted so far.
        self.connections = 0
        self._changed = threading.Condition()  # guards connections, errors, _threads
        self._threads: set[threading.Thread] = set()
        self._running: Optional[Gate] = None  # opens when the server stops
        self._door: Optional[_Door] = None
        self._fillers: list[socket.socket] = []

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return ("127.0.0.1", self.port)

    def start(self: _Self) -> _Self:
        """Listen. Raises RuntimeError if it runs already, OSError if its port was taken."""
        if self._running is not None:
            raise RuntimeError(f"this {type(self).__name__} is running already")
        self._running = Gate()
        try:
            self.accept()
        except OSError:
            self._running.close()
            self._running = None
            raise
        return self

    def stop(self) -> None:
        """Close the port and every connection, and wait for the threads; harmless twice."""
        if self._running is None:
            return
        self.refuse()
        self._running.open()
        with self._changed:
            threads = list(self._threads)
        for thread in threads:
            thread.join(_JOIN)
        late = [thread.name for thread in threads if thread.is_alive()]
        if late:  # the gate must stay for them to look at; another stop() may find them gone
            self._error(f"a handler does not come back: {', '.join(late)}")
            return
        self._running.close()
        self._running = None

    def __enter__(self: _Self) -> _Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def refuse(self) -> None:
        """Close the port: connects are refused until ``accept``. Open connections stay."""
        door, self._door = self._door, None
        if door is not None:
            door.close()
        for sock in self._fillers:
            sock.close()
        self._fillers = []

    def ignore(self) -> None:
        """Let connects hang until ``accept``: the backlog is full and nobody accepts.

        As a host behind a firewall that drops packets. Linux; elsewhere connects may succeed
        and then be left without an answer.
        """
        self._must_run()
        self.refuse()
        self._door = _Door(self.port, backlog=0)
        while True:
            sock = socket.socket()
            self._fillers.append(sock)
            sock.settimeout(0.1)
            try:
                sock.connect(self.address)
            except OSError:
                return  # the backlog is full
            if len(self._fillers) > 16:
                return

    def accept(self) -> None:
        """Listen again, on the same port, after ``refuse`` or ``ignore``."""
        self._must_run()
        self.refuse()
        self._door = _Door(self.port)
        self.port = self._door.port
        thread = threading.Thread(
            target=self._accept, args=(self._door,), daemon=True,
            name=f"streamsafe-{self._name}-accept",
        )  # fmt: skip
        self._door.thread = thread
        thread.start()

    def assert_all_closed(self, timeout: float = 5.0) -> None:
        """Every connection is closed, by the client or by the script, or will be in time.

        One that a client keeps idle in its pool is open. Raises AssertionError.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._threads, timeout):
                names = sorted(thread.name for thread in self._threads)
                raise AssertionError(f"open after {timeout:g} s: {', '.join(names)}")

    def _must_run(self) -> None:
        if self._running is None:
            raise RuntimeError(f"this {type(self).__name__} is not running")

    def _accept(self, door: _Door) -> None:
        while True:
            try:
                sock = door.wait()
            except OSError as error:  # no descriptors left, most likely
                self._error(f"no connection could be accepted: {error!r}")
                return
            if sock is None:
                return
            with self._changed:
                self.connections += 1
                number = self.connections
                thread = threading.Thread(
                    target=self._run, args=(sock, number), daemon=True,
                    name=f"streamsafe-{self._name}-connection-{number}",
                )  # fmt: skip
                self._threads.add(thread)
            thread.start()

    def _run(self, sock: socket.socket, number: int) -> None:
        assert self._running is not None
        channel = Channel(sock, self._running)
        try:
            self._serve(channel, number)
        except (PeerGone, Stopped):
            pass
        except Exception:
            self._error(f"connection {number}: {traceback.format_exc()}")
        finally:
            channel.close()
            with self._changed:
                self._threads.discard(threading.current_thread())
                self._changed.notify_all()

    def _serve(self, channel: Channel, number: int) -> None:
        """Speak on one connection, on its own thread, until it is over."""
        raise NotImplementedError

    def _error(self, text: str) -> None:
        with self._changed:
            self.errors.append(text)


class _Door:
    """A listening socket, with a gate that tells its thread to leave."""

    def __init__(self, port: int, backlog: int = _BACKLOG) -> None:
        self._sock = socket.socket()
        if os.name == "posix":  # on Windows it would let a second server in
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._sock.bind(("127.0.0.1", port))
            self._sock.listen(backlog)
        except OSError:
            self._sock.close()
            raise
        self._sock.setblocking(False)
        self._gate = Gate()
        self.port: int = self._sock.getsockname()[1]
        self.thread: Optional[threading.Thread] = None

    def wait(self) -> Optional[socket.socket]:
        """The next connection, or None once the door is closed."""
        with Selector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._gate, selectors.EVENT_READ)
            while True:
                selector.select()
                if self._gate.is_open():
                    return None
                try:
                    return self._sock.accept()[0]
                except (BlockingIOError, ConnectionError):
                    continue  # it was gone before it was accepted

    def close(self) -> None:
        self._gate.open()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join(_JOIN)
        self._sock.close()
        self._gate.close()
