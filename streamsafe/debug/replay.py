"""Replay: a transport that gives what a cassette holds.

Here lives the giving; the same code reads it as reads a server. A recording becomes a test in one
line: ``StreamSession("openai", api_key="k", transport=Replay("answer.cassette"))``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Optional, Union
from urllib.parse import urlsplit

from streamsafe import errors
from streamsafe.debug import cassette
from streamsafe.errors import ConfigurationError, ConnectionDroppedError, StreamingError
from streamsafe.models import Request
from streamsafe.wire.scope import Scope
from streamsafe.wire.transport import OnStep


class Replay:
    """Answers requests with the exchanges of a cassette, in their order; a context manager.

    Each exchange is given once, to the first request of its method and path. ``speed``: None = as
    fast as it is read; 1.0 = with the times of the recording; 2.0 = twice as fast. Raises
    ConfigurationError for a damaged or foreign file, and for a request the cassette has none for.
    """

    def __init__(
        self, path: Union[str, os.PathLike[str]], speed: Optional[float] = None
    ) -> None:
        if speed is not None and (isinstance(speed, bool) or not speed > 0):
            raise ConfigurationError(f"speed={speed!r}: expected a number > 0, or None")
        self._path = os.fspath(path)
        self._speed = speed
        self._lock = threading.Lock()  # guards _left
        self._left = cassette.load(self._path)

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
        on_step("sent", {})
        pace = _Pace(self._speed, scope)
        if exchange.status is None:
            raise _failure(exchange, pace)
        pace.until(exchange.opened)
        return _Replayed(exchange, exchange.status, pace)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

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
        if self._speed is not None:
            wait = at / self._speed - (time.monotonic() - self._began)
            if wait > 0:
                self._scope.wait(wait)


class _Replayed:
    """A recorded response."""

    reused = False

    def __init__(self, exchange: cassette.Exchange, status: int, pace: _Pace) -> None:
        self.status = status
        self.headers: Mapping[str, str] = exchange.headers
        self._exchange = exchange
        self._reads = iter(exchange.reads)
        self._pace = pace

    def read(self) -> bytes:
        """The next read as it was; the recorded failure where there was one."""
        found = next(self._reads, None)
        if found is None:
            if self._exchange.failure is not None:
                raise _failure(self._exchange, self._pace)
            return b""
        self._pace.until(found.at)
        return found.data

    def pending(self) -> bool:
        """Nothing waits unread."""
        return False

    def finish(self) -> None:
        """Nothing is held open."""

    def close(self) -> None:
        """Nothing is held open."""


def _failure(exchange: cassette.Exchange, pace: _Pace) -> StreamingError:
    """The error that was recorded; a program's own end of the stream is a drop here."""
    failed = exchange.failure
    if failed is None:
        return ConnectionDroppedError("the recording ends before the answer began")
    pace.until(failed.at)
    kind = getattr(errors, failed.error, None)
    plain = (errors.ConnectError, errors.ConnectionDroppedError, errors.MalformedStreamError)
    if kind not in plain:
        kind = ConnectionDroppedError
    error: StreamingError = kind(failed.message)
    return error
