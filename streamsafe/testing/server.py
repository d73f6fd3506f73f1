"""FaultServer: a scripted HTTP server on a real socket, for tests of streaming clients.

Here live the queue of exchanges and the record of what was asked. Sockets and threads are
``listener``'s, the parsing of requests ``request``'s, the values of the script ``script``'s.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections import deque
from typing import Callable, Optional, Union

from streamsafe.testing import certificates
from streamsafe.testing.channel import Channel, PeerGone
from streamsafe.testing.gate import Gate
from streamsafe.testing.request import BadRequest, RecordedRequest, RequestReader
from streamsafe.testing.listener import Listener
from streamsafe.testing.player import Player
from streamsafe.testing.script import Exchange, reply

#: Chooses the exchange for a request; called on the connection's thread, many at once.
Handler = Callable[[RecordedRequest], Exchange]


class FaultServer(Listener):
    """A server that does to a client what you write down, on 127.0.0.1 and a free port.

    ::

        with FaultServer() as server:
            server.expect(reply(429), stream(events[:3], then=rst()), stream(events))
            ...                                  # have server.url asked three times
            assert server.requests[0].json["stream"] is True
            server.assert_nothing_more()

    Exchanges are used up in order, whatever connection the requests come on. Several
    servers can run at once, and each serves many connections at once, a thread to each.

    ``tls=True`` speaks TLS under a certificate for localhost that only tests trust: give
    ``server.ca_file`` to the client's ``verify=``. ``port``: 0 = a free one. ``keep``: how many
    requests and errors are remembered, the last ones; None = all. All methods may be called from
    any thread.
    """

    def __init__(
        self, *, tls: bool = False, port: int = 0, keep: Optional[int] = None
    ) -> None:
        super().__init__(port)
        #: The path of the certificate to trust, from ``start`` to ``stop``; None without TLS.
        self.ca_file: Optional[str] = None
        self._tls = tls
        if keep is not None and keep < 1:
            raise ValueError(f"keep={keep}: expected at least 1, or None for all")
        self._context: Optional[ssl.SSLContext] = None
        self._state = threading.Condition()  # guards _script, _handler, _requests, _gates
        self._script: deque[Exchange] = deque()
        self._handler: Optional[Handler] = None
        self._requests: deque[RecordedRequest] = deque(maxlen=keep)
        self._keep = keep
        self._gates: dict[str, Gate] = {}

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests that are remembered, in the order in which they were whole."""
        with self._state:
            return tuple(self._requests)

    def start(self) -> FaultServer:
        """Listen; ``with`` does it for you. Raises RuntimeError if it runs already."""
        if self._tls and self.ca_file is None:
            self._context = certificates.server_context()
            self.ca_file = certificates.write_ca_file()
        super().start()
        return self

    def stop(self) -> None:
        """Close port and connections, end all threads, open all gates; harmless twice."""
        super().stop()
        with self._state:
            gates, self._gates = list(self._gates.values()), {}
        for gate in gates:
            gate.close()
        if self.ca_file is not None:
            os.unlink(self.ca_file)
            self.ca_file = None

    def expect(self, *exchanges: Exchange) -> None:
        """Add exchanges to the script: the next requests get them, one each, in this order."""
        for exchange in exchanges:
            _checked(exchange)
        with self._state:
            self._script.extend(exchanges)

    def always(self, exchange: Exchange) -> None:
        """Do this for every request for which the script has nothing (more)."""
        _checked(exchange)
        self.handle(lambda request: exchange)

    def handle(self, handler: Handler) -> None:
        """Let a function choose the exchange where the script has nothing (more).

        It is called on the threads of the connections, many at once. What it raises is
        recorded as an error, and the client gets a 500.
        """
        with self._state:
            self._handler = handler

    def reset(self) -> None:
        """Forget script, handler, requests and errors: a server that outlives one test."""
        with self._state:
            self._script.clear()
            self._requests.clear()
            self._handler = None
        with self._changed:
            self.errors.clear()

    def gate(self, name: str) -> Gate:
        """The gate of this name, made when it is first asked for; see ``wait``.

        Raises RuntimeError when the server does not run: nobody would wait there.
        """
        self._must_run()
        with self._state:
            if name not in self._gates:
                self._gates[name] = Gate()
            return self._gates[name]

    def wait_for_request(self, number: int = 1, timeout: float = 5.0) -> RecordedRequest:
        """Wait until so many requests have come and return the last of them.

        Raises AssertionError when the time (seconds) is over.
        """
        with self._state:
            if not self._state.wait_for(lambda: len(self._requests) >= number, timeout):
                raise AssertionError(
                    f"{len(self._requests)} of {number} requests came within {timeout:g} s"
                )
            return self._requests[number - 1]

    def assert_nothing_more(self) -> None:
        """Every scripted exchange was used, nothing else was asked, nothing went wrong here.

        Raises AssertionError that says what was left, what was asked, and every error.
        """
        with self._state:
            left, asked = list(self._script), list(self._requests)
        with self._changed:
            wrong = list(self.errors)
        if left:
            wrong.append(f"{len(left)} scripted exchange(s) were not asked for: {left}")
        if wrong:
            listing = "".join(f"\n  asked: {request}" for request in asked)
            raise AssertionError("\n".join(wrong) + (listing or "\n  nothing was asked"))

    def _serve(self, channel: Channel, number: int) -> None:
        fault = self._connect_fault()
        if fault is not None:
            self._player(channel, fault).play()
            return
        if self._context is not None:
            channel.handshake(self._context)
        reader = RequestReader(channel)
        while True:
            try:
                request = reader.read()
            except BadRequest as bad:
                self._error(f"connection {number}: {bad}")
                self._player(channel, reply(400, f"{bad}\n", framing="close")).play()
                return
            if request is None:
                return
            request.connection = number
            if not self._exchange(channel, reader, request):
                return

    def _exchange(
        self, channel: Channel, reader: RequestReader, request: RecordedRequest
    ) -> bool:
        """Answer one request; True if the connection can be used again."""
        with self._state:
            self._requests.append(request)
            exchange = self._script.popleft() if self._script else None
            handler = self._handler
            self._state.notify_all()
        try:
            chosen = exchange if exchange is not None else self._chosen(handler, request)
            return self._play(channel, reader, request, chosen)
        except PeerGone:
            request.gone_at = time.monotonic()
            request.client_gone.set()
            raise
        finally:
            request.over.set()

    def _play(
        self, channel: Channel, reader: RequestReader, request: RecordedRequest, exchange: Exchange
    ) -> bool:
        if exchange.kind not in ("http", "raw"):
            exchange = self._unexpected(request, f"came where {exchange} was scripted")
        return self._player(channel, exchange).play(request.method, not request.keeps_alive)

    def _chosen(self, handler: Optional[Handler], request: RecordedRequest) -> Exchange:
        if handler is None:
            return self._unexpected(request, "was not expected: the script is used up")
        try:
            return _checked(handler(request))
        except Exception as error:
            return self._unexpected(request, f"made the handler raise {error!r}")

    def _unexpected(self, request: RecordedRequest, why: str) -> Exchange:
        text = f"{request} {why}"
        self._error(text)
        return reply(500, f"streamsafe's fault server: {text}\n")

    def _connect_fault(self) -> Optional[Exchange]:
        with self._state:
            if self._script and self._script[0].kind == "connect":
                return self._script.popleft()
            return None

    def _error(self, text: str) -> None:
        super()._error(text)
        if self._keep is not None:
            with self._changed:
                del self.errors[: -self._keep]

    def _player(self, channel: Channel, exchange: Exchange) -> Player:
        return Player(channel, exchange, self._find_gate)

    def _find_gate(
        self, gate: Union[str, Gate, threading.Event]
    ) -> Union[Gate, threading.Event]:
        return self.gate(gate) if isinstance(gate, str) else gate


def _checked(exchange: object) -> Exchange:
    if not isinstance(exchange, Exchange):
        raise TypeError(f"no exchange: {exchange!r}; make one with stream(), reply() or raw()")
    return exchange
