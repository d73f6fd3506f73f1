"""The floor: a raw socket and chunk decoding of one's own below what the limit does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Callable
from urllib.parse import urlsplit

from benchmarks.clients.limit import READ, runs
from benchmarks.clients.payloads import BODIES, PATHS, Take

PACKAGES: tuple[str, ...] = ()
MODULES = ("socket",)
APIS = ("chat", "anthropic")
SHARE = 1.0


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    parts = urlsplit(url + PATHS[api])
    address = (parts.hostname, parts.port)
    body = json.dumps(BODIES[api]).encode()
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}"
    request = head.encode() + b"\r\n\r\n" + body
    idle: list[socket.socket] = []
    read = READ[api]

    def stream(take: Take) -> None:
        connection = idle.pop() if idle else socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        head, _, rest = received.partition(b"\r\n\r\n")
        if b"chunked" in head:
            read(runs(_chunked(connection, rest)), take)
            idle.append(connection)
        elif b"Content-Length" in head:
            length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
            read(runs(_counted(connection, rest, length)), take)
            idle.append(connection)
        else:
            read(runs(_closed(connection, rest)), take)
            connection.close()

    return stream


def _chunked(connection: socket.socket, data: bytes) -> Iterator[bytes]:
    """What each recv brought, without the framing."""
    left, parts = 0, []
    while True:
        at, size = 0, len(data)
        if left > 2:
            parts.append(data[: left - 2])
        if left:
            at, left = (left, 0) if left <= size else (size, left - size)
        while at < size:
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            length = int(data[at:end], 16)
            if not length:
                if parts:
                    yield b"".join(parts)
                return
            start, at = end + 2, end + 4 + length
            parts.append(data[start : min(at - 2, size)])
            if at > size:
                left, at = at - size, size
        if parts:
            yield b"".join(parts)
            parts = []
        data = data[at:] + connection.recv(65536)


def _counted(connection: socket.socket, data: bytes, length: int) -> Iterator[bytes]:
    while True:
        if data:
            yield data
        length -= len(data)
        if not length:
            return
        data = connection.recv(65536)


def _closed(connection: socket.socket, data: bytes) -> Iterator[bytes]:
    if data:
        yield data
    yield from iter(lambda: connection.recv(65536), b"")
