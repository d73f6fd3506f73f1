"""Recorder: a transport round a transport that writes what passes to a cassette.

Here lives the passing on; the file's form is ``cassette``'s. What is recorded is what the attempt
sees: steps, and decoded bytes, read by read, with their times. Keys, cookies and tokens are masked.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Optional, TextIO, Union

from streamsafe.debug import cassette
from streamsafe.debug.masking import Masker, secrets_of
from streamsafe.errors import (
    ConfigurationError,
    StreamCancelledError,
    StreamingError,
    StreamTimeoutError,
)
from streamsafe.models import Request
from streamsafe.wire.http import HttpTransport
from streamsafe.wire.scope import Scope
from streamsafe.wire.transport import OnStep, Response, Transport

logger = logging.getLogger("streamsafe")


class Recorder:
    """``StreamSession(transport=Recorder("answer.jsonl"))``; a context manager.

    ``path`` is written anew. ``transport`` is what is recorded, None = HTTP. Serves many threads
    and sessions. ``bodies=True`` masks the texts of the requests as well. Closing it, or leaving
    the ``with``, closes the file, until something more is to be recorded; every line is flushed,
    so that a program that is killed leaves what there was.

    A disk that is full ends the recording, not the streams: it is logged, and ``error`` tells it.
    Raises ConfigurationError where the file can't be made.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        transport: Optional[Transport] = None,
        *,
        bodies: bool = False,
    ) -> None:
        #: Why the recording broke off, or None.
        self.error: Optional[OSError] = None
        self._path = os.fspath(path)
        self._bodies = bodies
        # Guards _file, _count and error. Reentrant: a stream that is garbage ends wherever the
        # collector runs, be it in here.
        self._lock = threading.RLock()
        try:
            self._file: Optional[TextIO] = open(self._path, "w", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"the cassette can't be written: {error}") from error
        self._transport: Transport = transport or HttpTransport()
        self._count = 0
        self._began = time.monotonic()
        self._write(cassette.head(time.time()))

    def open(
        self,
        request: Request,
        scope: Scope,
        *,
        connect_timeout: Optional[float],
        read_timeout: Optional[float],
        on_step: OnStep,
    ) -> Response:
        """Open by the transport inside, and record."""
        tape = self._tape(request, scope)

        def step(name: str, detail: Mapping[str, Any]) -> None:
            tape.step(name, detail)
            on_step(name, detail)

        try:
            response = self._transport.open(
                request,
                scope,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                on_step=step,
            )
        except BaseException as error:
            tape.failed(error)
            raise
        tape.opened(response)
        return _Recorded(response, tape, scope)

    def close(self) -> None:
        """Close the file and the transport's idle connections."""
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            file.close()
        self._transport.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _tape(self, request: Request, scope: Scope) -> _Tape:
        """A new exchange, its request written."""
        masker = Masker(secrets_of(request.url, request.headers), self._bodies)
        with self._lock:
            self._count += 1
            number = self._count
        self._write(
            cassette.request_line(
                number, time.monotonic() - self._began, request.method, masker.url(request.url),
                masker.headers(request.headers), masker.body(request.json),
            ),
            begins=True,
        )  # fmt: skip
        return _Tape(self, number, masker, scope)

    def _write(self, line: str, begins: bool = False) -> None:
        with self._lock:
            if self.error is not None or (self._file is None and not begins):
                return
            try:
                if self._file is None:  # a session that was closed is used again
                    self._file = open(self._path, "a", encoding="utf-8")
                self._file.write(line)
                self._file.flush()
                return
            except OSError as error:
                self.error, file, self._file = error, self._file, None
        logger.warning("the recording to %s broke off: %s", self._path, self.error)
        try:
            if file is not None:
                file.close()
        except OSError:
            pass  # it is what could not be written that it complains of


class _Tape:
    """One exchange's lines."""

    def __init__(self, recorder: Recorder, number: int, masker: Masker, scope: Scope) -> None:
        self._write = recorder._write
        self._number = number
        self._masker = masker
        self._scope = scope
        self._began = time.monotonic()
        self._over = False
        #: Reads with their times that are not written yet.
        self._reads: list[tuple[float, bytes]] = []

    def step(self, name: str, detail: Mapping[str, Any]) -> None:
        """The transport got so far."""
        shown = {key: self._shown(value) for key, value in detail.items()}
        self._item(cassette.Step(self._elapsed(), name, shown))

    def opened(self, response: Response) -> None:
        """Status and headers are here."""
        headers = self._masker.headers(response.headers)
        line = cassette.opened_line(self._number, self._elapsed(), response.status, headers)
        self._write(line)

    def read(self, data: bytes) -> None:
        """A read returned. It is written at once, unless a secret may go on in the next one."""
        self._over = self._over or not data
        if not data:
            self._put_reads()
        self._reads.append((self._elapsed(), data))
        if not self._masker.begun(b"".join(data for _, data in self._reads)):
            self._put_reads()

    def _put_reads(self) -> None:
        """Write the reads that wait; where a secret was cut by their ends they become one."""
        reads, self._reads = self._reads, []
        raw = self._masker.raw
        masked = [(at, raw(data)) for at, data in reads]
        if len(reads) > 1:
            whole = raw(b"".join(data for _, data in reads))
            if whole != b"".join(data for _, data in masked):
                masked = [(reads[-1][0], whole)]
        for at, data in masked:
            self._write(cassette.read_line(self._number, at, data))

    def failed(self, error: BaseException) -> None:
        """It broke; what cut it says more than what the cut connection raised."""
        cause = self._scope.cause or error
        if isinstance(cause, StreamCancelledError) or not isinstance(cause, StreamingError):
            self.ended("left")
            return
        self._over = True
        message = self._masker.text(cause.message)
        facts: dict[str, Any] = {}
        if isinstance(cause, StreamTimeoutError):
            facts = {"clock": cause.clock, "limit": cause.limit, "elapsed": cause.elapsed}
        failure = cassette.Failure(self._elapsed(), type(cause).__name__, message, facts)
        self._item(failure)

    def ended(self, why: str) -> None:
        """No more is read; the first reason counts."""
        if not self._over:
            self._over = True
            self._item(cassette.End(self._elapsed(), why))

    def _item(self, item: Union[cassette.Step, cassette.Failure, cassette.End]) -> None:
        self._put_reads()
        self._write(cassette.item_line(self._number, item))

    def _shown(self, value: Any) -> Any:
        return self._masker.text(value) if isinstance(value, str) else value

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


class _Recorded:
    """A response whose reads are written down."""

    def __init__(self, response: Response, tape: _Tape, scope: Scope) -> None:
        self._response = response
        self._scope = scope
        self._tape = tape
        self.status = response.status
        self.headers = response.headers
        self.reused = response.reused

    def read(self) -> bytes:
        try:
            data = self._response.read()
        except BaseException as error:
            self._tape.failed(error)
            raise
        # A cut close-delimited body looks like its end; the caller finds the cause, too.
        if self._scope.cause is not None:
            self._tape.failed(self._scope.cause)
        else:
            self._tape.read(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    def pending(self) -> bool:
        return self._response.pending()

    def finish(self) -> None:
        self._tape.ended("finished")
        self._response.finish()

    def close(self) -> None:
        self._tape.ended("left")
        self._response.close()
