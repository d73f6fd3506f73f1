"""FakeTransport: a script played without sockets, for ``StreamSession(transport=...)``.

Here lives a ``wire.transport.Transport`` that takes the same exchanges as a fault server. It is
quick and needs no port; what only a socket can show (framing, compression, TLS, what stands
in the headers byte by byte) it does not know: use ``FaultServer`` for that.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Callable, Optional

from streamsafe.engine.timing import Clock, SystemClock
from streamsafe.errors import ConnectError, ConnectionDroppedError, StreamTimeoutError
from streamsafe.models import Request
from streamsafe.testing.gate import Gate
from streamsafe.testing.script import (
    Chunk,
    Exchange,
    Fin,
    Finish,
    Heartbeats,
    Pause,
    Rst,
    Stall,
    Step,
    Verbatim,
    Wait,
)
from streamsafe.wire.scope import Scope
from streamsafe.wire.transport import OnStep

#: A reader can't wait for a gate and for its scope at once: it looks at the gate this often.
_TICK = 0.005


class FakeTransport:
    """Answers requests from a script, on the calling thread.

    ::

        transport = FakeTransport(reply(429), stream(events[:3], then=rst()), stream(events))
        session = StreamSession("openai", api_key="test", transport=transport)

    ``requests`` lists what was asked (``streamsafe.models.Request``). ``clock`` is the one whose
    ``sleep`` makes the pauses: with ``FakeClock(autojump=True)`` they take no time. ``unclosed``
    counts the responses that were neither finished nor closed: 0 after every test.
    """

    def __init__(self, *exchanges: Exchange, clock: Optional[Clock] = None) -> None:
        self.requests: list[Request] = []
        self.unclosed = 0
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()  # guards all that changes here
        self._script = deque(exchanges)
        self._handler: Optional[Callable[[Request], Exchange]] = None
        self._gates: dict[str, threading.Event] = {}
        self._unexpected: list[str] = []

    def expect(self, *exchanges: Exchange) -> None:
        """Add exchanges to the script."""
        with self._lock:
            self._script.extend(exchanges)

    def always(self, exchange: Exchange) -> None:
        """Do this for every request for which the script has nothing (more)."""
        self.handle(lambda request: exchange)

    def handle(self, handler: Callable[[Request], Exchange]) -> None:
        """Let a function choose where the script has nothing (more); on the asking thread."""
        self._handler = handler

    def gate(self, name: str) -> threading.Event:
        """The event for which ``wait(name)`` waits; ``set()`` opens it."""
        with self._lock:
            return self._gates.setdefault(name, threading.Event())

    def assert_nothing_more(self) -> None:
        """Every scripted exchange was used and nothing else was asked, or AssertionError."""
        with self._lock:
            wrong = list(self._unexpected)
            if self._script:
                wrong.append(f"{len(self._script)} exchange(s) not asked for: {[*self._script]}")
        if wrong:
            raise AssertionError("\n".join(wrong))

    def open(
        self,
        request: Request,
        scope: Scope,
        *,
        connect_timeout: Optional[float],
        read_timeout: Optional[float],
        on_step: OnStep,
    ) -> FakeResponse:
        """See ``wire.transport.Transport.open``."""
        exchange = self._next(request)
        on_step("connecting", {})
        playing = _Playing(self, scope, exchange)
        if exchange.kind == "connect":
            playing.connect(connect_timeout)
        on_step("connected", {})
        on_step("sent", {})
        playing.before_head()
        with self._lock:
            self.unclosed += 1
        return FakeResponse(self, exchange, playing.body())

    def close(self) -> None:
        """Nothing is kept open between requests."""

    def _next(self, request: Request) -> Exchange:
        with self._lock:
            self.requests.append(request)
            exchange = self._script.popleft() if self._script else None
            handler = self._handler
            if exchange is None and handler is None:
                text = f"{request.method} {request.url} was not expected: the script is used up"
                self._unexpected.append(text)
                raise AssertionError(text)
        if exchange is None:
            assert handler is not None
            exchange = handler(request)
        return exchange

    def _closed(self) -> None:
        with self._lock:
            self.unclosed -= 1


class FakeResponse:
    """An open response of a ``FakeTransport``; see ``wire.transport.Response``."""

    reused = False

    def __init__(
        self, transport: FakeTransport, exchange: Exchange, body: Iterator[bytes]
    ) -> None:
        self.status = exchange.status
        self.headers: Mapping[str, str] = {n.lower(): v for n, v in exchange.headers}
        self._transport = transport
        self._body = body
        self._open = True

    def read(self) -> bytes:
        """The next step's bytes; b"" at the end."""
        return next(self._body, b"")

    def pending(self) -> bool:
        """Nothing ever waits unread here."""
        return False

    def finish(self) -> None:
        """The rest of the script is not wanted."""
        self.close()

    def close(self) -> None:
        """Count it as closed, once."""
        if self._open:
            self._open = False
            self._transport._closed()


class _Playing:
    """One exchange on its way to one reader, whose scope ends every wait."""

    def __init__(self, transport: FakeTransport, scope: Scope, exchange: Exchange) -> None:
        self._transport = transport
        self._scope = scope
        self._exchange = exchange
        self._aborted = threading.Event()
        scope.on_abort(self._aborted.set)

    def connect(self, timeout: Optional[float]) -> None:
        """Never returns: a scripted connect always fails."""
        started = time.monotonic()
        for step in self._exchange.steps:
            if isinstance(step, Stall):
                self._scope.wait(timeout)
                elapsed = time.monotonic() - started
                raise StreamTimeoutError("connect", timeout or elapsed, elapsed)
            if isinstance(step, (Fin, Rst, Finish)):
                break
            self._silence(step)
        raise ConnectError("the connection was closed before it was made, as scripted")

    def before_head(self) -> None:
        """What comes before status and headers, and all of an exchange that has none."""
        exchange = self._exchange
        steps = exchange.first if exchange.kind == "http" else exchange.steps
        for _ in self._bytes(steps):
            raise TypeError("raw bytes need a FaultServer: a FakeTransport has no wire")
        if exchange.kind != "http":
            raise ConnectionDroppedError("the connection was closed without an answer, as scripted")

    def body(self) -> Iterator[bytes]:
        """The bytes, one read after the other."""
        return self._bytes(self._exchange.steps)

    def _bytes(self, steps: tuple[Step, ...]) -> Iterator[bytes]:
        for step in steps:
            if self._aborted.is_set():
                return
            if isinstance(step, bytes):
                yield step
            elif isinstance(step, Heartbeats):
                yield from self._heartbeats(step)
            elif isinstance(step, Chunk):
                yield from self._bytes(step.steps)
            elif isinstance(step, Verbatim):
                raise TypeError("verbatim() needs a FaultServer: a FakeTransport has no framing")
            elif isinstance(step, Finish):
                return
            elif isinstance(step, Rst):
                raise ConnectionDroppedError("the connection was reset, as scripted")
            elif isinstance(step, Fin):
                if self._exchange.kind == "http" and self._exchange.framing == "close":
                    return  # no mark tells this end from a proper one
                raise ConnectionDroppedError("the connection was closed too early, as scripted")
            else:
                self._silence(step)

    def _heartbeats(self, step: Heartbeats) -> Iterator[bytes]:
        sent = 0
        while (step.times is None or sent < step.times) and not self._aborted.is_set():
            self._silence(Pause(step.every))
            yield step.data
            sent += 1

    def _silence(self, step: Step) -> None:
        if isinstance(step, Pause):
            self._transport._clock.sleep(step.seconds, self._aborted)
        elif isinstance(step, Stall):
            self._aborted.wait()
        elif isinstance(step, Wait):
            gate = self._transport.gate(step.gate) if isinstance(step.gate, str) else step.gate
            opened = gate.is_open if isinstance(gate, Gate) else gate.is_set
            while not opened() and not self._aborted.wait(_TICK):
                pass
