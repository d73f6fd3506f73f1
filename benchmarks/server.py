"""The server: a process of its own that answers /<body>/... with a body rendered beforehand.

``python -m benchmarks.server SPECS`` (JSON: name -> fields of bodies.Spec) prints one line of JSON
(its port and each body's facts) and serves until its input is closed. GET /connections says how
many connections have asked for a body. Raw sockets, a thread a connection: what the server costs is
not measured, but it must not be what a client waits for.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from typing import Optional

from benchmarks.bodies import Body, Spec, render, stamped


class Crowd:
    """Connections that wait for one another and are then fed by one thread, turn by turn."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._lock = threading.Lock()  # guards the list
        self._waiting: list[socket.socket] = []

    def join(self, connection: socket.socket) -> None:
        """Add a connection whose head was sent; the last one to come starts the flow."""
        with self._lock:
            self._waiting.append(connection)
            if len(self._waiting) < self._body.spec.crowd:
                return
            crowd, self._waiting = self._waiting, []
        threading.Thread(target=self._feed, args=(crowd,)).start()

    def _feed(self, crowd: list[socket.socket]) -> None:
        body = self._body
        # The clients' threads shall stand in their reads when it begins.
        begin, step = time.monotonic() + 0.2, body.spec.pace / len(crowd)
        for turn, event in enumerate(body.events):
            for place, connection in enumerate(crowd):
                _sleep_until(begin + turn * body.spec.pace + place * step)
                _send(connection, stamped(event))
        for connection in crowd:
            _send(connection, body.tail)
            connection.close()


class Server:
    """Accepts connections and starts a thread for each."""

    def __init__(self, bodies: dict[str, Body]) -> None:
        self.bodies = bodies
        self.crowds = {name: Crowd(body) for name, body in bodies.items() if body.spec.crowd > 1}
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)

    def serve(self) -> None:
        """Until the process ends."""
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        """Answer requests until the client goes, or the connection becomes the crowd's."""
        first = True
        try:
            while True:
                path = _request(connection)
                if path is None:
                    break
                if path == "/connections":
                    connection.sendall(_counted(self.connections))
                    continue
                self.connections += first
                first = False
                name = path.split("/")[1]
                body = self.bodies[name]
                if name in self.crowds:
                    connection.sendall(body.head)
                    self.crowds[name].join(connection)
                    return
                _answer(connection, body)
                if body.spec.framing == "close":
                    break
        except OSError:
            pass  # the client has gone; whether it should have is for the runner to say
        connection.close()


def _request(connection: socket.socket) -> Optional[str]:
    """The path of the next request, whose body is read and thrown away; None at the end."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            return None
        head += data
    head, _, body = head.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    while len(body) < length:
        data = connection.recv(65536)
        if not data:
            return None
        body += data
    return lines[0].split(" ")[1]


def _answer(connection: socket.socket, body: Body) -> None:
    if body.spec.pace:
        connection.sendall(body.head)
        begin = time.monotonic() + body.spec.pace
        for number, event in enumerate(body.events):
            _sleep_until(begin + number * body.spec.pace)
            connection.sendall(stamped(event))
        connection.sendall(body.tail)
    elif len(body.events[0]) < 65536:
        connection.sendall(body.head + body.events[0] * body.spec.repeat + body.tail)
    else:
        connection.sendall(body.head)
        for _ in range(body.spec.repeat):
            connection.sendall(body.events[0])
        connection.sendall(body.tail)


def _counted(connections: int) -> bytes:
    text = b'{"connections": %d}' % connections
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        pass  # that client has gone; the others go on


def _sleep_until(at: float) -> None:
    left = at - time.monotonic()
    if left > 0:
        time.sleep(left)


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """See the module."""
    specs = {name: Spec(**fields) for name, fields in json.loads(sys.argv[1]).items()}
    server = Server({name: render(spec) for name, spec in specs.items()})
    facts = {name: body.facts for name, body in server.bodies.items()}
    print(json.dumps({"port": server.listener.getsockname()[1], "facts": facts}), flush=True)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    server.serve()


if __name__ == "__main__":
    main()
