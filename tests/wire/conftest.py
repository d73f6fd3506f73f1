"""Small servers on real sockets, whose behaviour is a function of the connection."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

import pytest
import trustme

from streamsafe.models import Request
from streamsafe.wire.http import HttpTransport
from streamsafe.wire.reply import HttpResponse
from streamsafe.wire.scope import Scope

PATIENCE = 10.0  # seconds after which a test that waits has failed


class Asked(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes


class Conn:
    """One connection, seen from the server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()  # bytes would make a large body quadratic

    def ask(self) -> Optional[Asked]:
        """The next request, or None if the client closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (item.partition(":") for item in rest)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            if not self._more():
                raise ConnectionError("cut inside a request")
        body, self._buffer = bytes(self._buffer[:length]), self._buffer[length:]
        return Asked(line, headers, body)

    def _more(self) -> bytes:
        data = self.sock.recv(65536)
        self._buffer += data
        return data

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.sock.sendall(part)

    def head(self, *headers: str, status: str = "200 OK") -> None:
        lines = (f"HTTP/1.1 {status}", "Content-Type: text/event-stream", *headers, "", "")
        self.send("\r\n".join(lines).encode())

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(self, data: bytes, *headers: str, status: str = "200 OK") -> None:
        self.head(f"Content-Length: {len(data)}", *headers, status=status)
        self.send(data)

    def gone(self) -> bool:
        """Wait until the client has closed or cut the connection."""
        try:
            while self._more():
                pass
        except OSError:
            pass
        return True

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Handler = Callable[[Conn], Any]


class Server:
    """Gives each connection to the handler, in a thread; what a handler raises fails the test."""

    def __init__(self, handler: Handler, context: Optional[ssl.SSLContext] = None) -> None:
        self._handler = handler
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.host, self.port = self._listener.getsockname()
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self.connections = 0
        self.failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._spawn(self._accept)

    def _spawn(self, function: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=function, args=args, name="test-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socks.append(sock)
            self._spawn(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._socks.append(sock)
            self._handler(Conn(sock))
        except (OSError, ValueError):
            pass  # the client went away, or the test is over
        except BaseException as error:
            self.failures.append(error)
        finally:
            sock.close()

    def close(self) -> None:
        for sock in (self._listener, *self._socks):
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def server_class() -> type[Server]:
    return Server


@pytest.fixture
def serve(server_context: ssl.SSLContext) -> Iterator[Callable[..., Server]]:
    """``serve(handler, tls=False)``: a server, closed at the test's end."""
    servers: list[Server] = []

    def start(handler: Handler, tls: bool = False) -> Server:
        servers.append(Server(handler, server_context if tls else None))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
    failures = [failure for server in servers for failure in server.failures]
    assert failures == []


class Client:
    """A transport with everything that an attempt gives it, and the steps that it told."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport
        self.scope = Scope()
        self.steps: list[tuple[str, Any]] = []
        self.on_step: Callable[[str], None] = lambda name: None

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.steps]

    def _told(self, name: str, detail: Any) -> None:
        self.steps.append((name, detail))
        self.on_step(name)

    def open(
        self,
        url: str,
        json: Any = {"stream": True},  # noqa: B006
        *,
        method: str = "POST",
        headers: Optional[dict[str, str]] = None,
        connect: Optional[float] = PATIENCE,
        read: Optional[float] = PATIENCE,
    ) -> HttpResponse:
        self.scope.detach()
        self.scope = Scope()
        self.steps = []
        return self.transport.open(
            Request(method, url, headers, json),
            self.scope,
            connect_timeout=connect,
            read_timeout=read,
            on_step=self._told,
        )

    def whole(self, url: str, **options: Any) -> bytes:
        """Open, read to the end, finish: the body."""
        response = self.open(url, **options)
        try:
            return b"".join(iter(response.read, b""))
        finally:
            response.finish()


@pytest.fixture
def make_client() -> Iterator[Callable[..., Client]]:
    """``make_client(session=None, transport=None, **options of HttpTransport)``"""
    made: list[Client] = []

    def make(
        session: Any = None, *, transport: Optional[HttpTransport] = None, **options: Any
    ) -> Client:
        made.append(Client(transport or HttpTransport(session, **options)))
        return made[-1]

    yield make
    for one in made:
        one.scope.detach()
        one.transport.close()


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()


@pytest.fixture
def hanging_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Names are looked up as soon as the event is set, not before; addresses as ever."""
    from streamsafe.wire import resolver

    released = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if socket.AI_NUMERICHOST in args:
            return real(host, port, *args, **kwargs)
        released.wait(PATIENCE)
        return real("127.0.0.1", port, *args, **kwargs)

    monkeypatch.setattr(resolver.socket, "getaddrinfo", getaddrinfo)
    yield released
    released.set()
    for thread in threading.enumerate():
        if thread.name == "streamsafe-resolver":
            thread.join(PATIENCE)
