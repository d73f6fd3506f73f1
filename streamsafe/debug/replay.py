"""Replay: a transport that gives what a cassette holds.

Here lives the giving; the same code reads it as reads a server. A recording becomes a test in one
line: ``StreamSession("openai", api_key="k", transport=Replay("answer.jsonl"))``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Optional, Protocol, Union
from urllib.parse import urlsplit

from streamsafe import errors
from streamsafe.debug import cassette
from streamsafe.errors import (
    ConfigurationError,
    ConnectionDroppedError,
    StreamingError,
    StreamTimeoutError,
)
from streamsafe.models import Request
from streamsafe.wire.scope import Scope
from streamsafe.wire.transport import OnStep

#: Errors of a transport, and so of a recording, that are made anew from their message.
_KINDS = ("ConnectError", "ConnectionDroppedError", "MalformedStreamError")


class Turned(Protocol):
    """A clock that can be turned, such as ``streamsafe.testing.FakeClock``."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""

    def advance(self, seconds: float) -> None:
        """Turn it forward."""


class Replay:
    """Answers requests with the exchanges of a cassette, in their order; a context manager.

    ``path``: the file, or what ``cassette.load`` made of one. Each exchange is given once, to the
    first request of its method and path. ``speed``: None = as fast as it is read; 1.0 = with the
    times of the recording; 2.0 = twice as fast. ``clock``: in place of waiting this clock is
    turned to the times of the recording; give it to the session, too, and all that is measured is
    as it was, though it takes no time.

    Where a clock of the recording program ran out it runs out again. Raises ConfigurationError
    for a damaged or foreign file, and for a request the cassette has none for.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str], cassette.Cassette],
        speed: Optional[float] = None,
        *,
        clock: Optional[Turned] = None,
    ) -> None:
        if speed is not None and (isinstance(speed, bool) or not speed > 0):
            raise ConfigurationError(f"speed={speed!r}: expected a number > 0, or None")
        if speed is not None and clock is not None:
            raise ConfigurationError("give speed= or clock=, not both")
        if isinstance(path, cassette.Cassette):
            self._path, found = "given", path
        else:
            self._path = os.fspath(path)
            found = cassette.load(self._path)
        self._speed = speed
        self._clock = clock
        self._lock = threading.Lock()  # guards _left and _origin
        self._left = list(found.exchanges)
        #: When the recording began, on the clock that is turned.
        self._origin: Optional[float] = None

    @property
    def left(self) -> int:
        """How many exchanges have not been asked for."""
        with self._lock:
            return len(self._left)

    def open(
        self,
        request: Request,
        scope: Scope,
        *,
        connect_timeout: Optional[float],
        read_timeout: Optional[float],
        on_step: OnStep,
    ) -> _Replayed:
        """The next exchange of this method and path."""
        exchange = self._next(request)
        pace = self._pace(exchange, scope)
        for step in exchange.steps:
            pace.until(step.at)
            on_step(step.name, step.detail)
        if exchange.status is None:
            raise _broken(exchange, pace)
        pace.until(exchange.opened)
        return _Replayed(exchange, exchange.status, pace)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _pace(self, exchange: cassette.Exchange, scope: Scope) -> _Pace:
        if self._clock is None:
            return _Pace(self._speed, scope)
        now = self._clock.now()
        with self._lock:
            if self._origin is None:
                self._origin = now - exchange.began
            began = self._origin + exchange.began
        return _Turning(self._clock, began, scope)

    def _next(self, request: Request) -> cassette.Exchange:
        path = urlsplit(request.url).path
        with self._lock:
            for place, exchange in enumerate(self._left):
                if exchange.method == request.method and urlsplit(exchange.url).path == path:
                    return self._left.pop(place)
            left = ", ".join(f"{e.method} {urlsplit(e.url).path}" for e in self._left) or "none"
        raise ConfigurationError(
            f"the cassette {self._path} has no exchange (left) for {request.method} {path}; "
            f"left are: {left}"
        )


class _Pace:
    """Waits for the times of the recording; an abort ends a wait at once."""

    def __init__(self, speed: Optional[float], scope: Scope) -> None:
        self._speed = speed
        self._scope = scope
        self._began = time.monotonic()

    def until(self, at: float) -> None:
        """Wait until ``at`` seconds after the exchange began."""
        if self._speed is not None:
            wait = at / self._speed - (time.monotonic() - self._began)
            if wait > 0:
                self._scope.wait(wait)


class _Turning(_Pace):
    """Turns a clock in place of waiting."""

    def __init__(self, clock: Turned, began: float, scope: Scope) -> None:
        super().__init__(None, scope)
        self._clock = clock
        self._began = began
        self.until(0.0)

    def until(self, at: float) -> None:
        """Turn the clock to ``at`` seconds after the exchange began; never back."""
        self._clock.advance(max(0.0, self._began + at - self._clock.now()))


class _Replayed:
    """A recorded response."""

    def __init__(self, exchange: cassette.Exchange, status: int, pace: _Pace) -> None:
        self.status = status
        self.headers: Mapping[str, str] = exchange.headers
        self.reused = any(step.name == "reused" for step in exchange.steps)
        self._exchange = exchange
        self._reads = iter(exchange.reads)
        self._pace = pace

    def read(self) -> bytes:
        """The next read as it was; the recorded failure where there was one."""
        found = next(self._reads, None)
        if found is not None:
            self._pace.until(found.at)
            return found.data
        if self._exchange.end is not None and self._exchange.end.why == "finished":
            return b""
        raise _broken(self._exchange, self._pace)

    def pending(self) -> bool:
        """Nothing waits unread."""
        return False

    def finish(self) -> None:
        """Nothing is held open."""

    def close(self) -> None:
        """Nothing is held open."""


def _broken(exchange: cassette.Exchange, pace: _Pace) -> StreamingError:
    """The error that was recorded; where the program left the answer it is a drop."""
    failed = exchange.failure
    if failed is None:
        if exchange.end is not None:
            pace.until(exchange.end.at)
        return ConnectionDroppedError(cassette.ENDS_HERE)
    pace.until(failed.at)
    facts = failed.facts
    if failed.error == "StreamTimeoutError" and {"clock", "limit", "elapsed"} <= set(facts):
        return StreamTimeoutError(facts["clock"], facts["limit"], facts["elapsed"])
    kind = getattr(errors, failed.error) if failed.error in _KINDS else ConnectionDroppedError
    error: StreamingError = kind(failed.message)
    return error
