"""Recorder: a transport round a transport that writes what passes to a cassette.

Here lives the passing on; the file's form is ``cassette``'s. What is recorded is what the attempt
sees: decoded bytes, read by read, with their times. Keys, cookies and tokens are masked.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Optional, TextIO, Union

from streamsafe.debug import cassette
from streamsafe.debug.masking import Masker, secrets_of
from streamsafe.models import Request
from streamsafe.wire.http import HttpTransport
from streamsafe.wire.scope import Scope
from streamsafe.wire.transport import OnStep, Response, Transport


class Recorder:
    """``StreamSession(transport=Recorder("answer.cassette"))``; a context manager.

    ``path`` is written anew. ``transport`` is what is recorded, None = HTTP. Serves many threads.
    ``bodies=True`` masks the texts of the requests as well. Closing it, or leaving the ``with``,
    closes the file; every line is flushed, so that a program that is killed leaves what there was.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        transport: Optional[Transport] = None,
        *,
        bodies: bool = False,
    ) -> None:
        self._transport: Transport = transport or HttpTransport()
        self._bodies = bodies
        self._lock = threading.Lock()  # guards _file and _count
        self._file: Optional[TextIO] = open(os.fspath(path), "w", encoding="utf-8")
        self._count = 0
        self._write(cassette.head())

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
        masker = Masker(secrets_of(request.url, request.headers), self._bodies)
        with self._lock:
            self._count += 1
            number = self._count
        self._write(
            cassette.request_line(
                number, request.method, masker.url(request.url), masker.headers(request.headers),
                masker.body(request.json),
            )
        )  # fmt: skip
        tape = _Tape(self, number, masker)
        try:
            response = self._transport.open(
                request,
                scope,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                on_step=on_step,
            )
        except BaseException as error:
            tape.failed(error)
            raise
        tape.opened(response.status, masker.headers(response.headers))
        return _Recorded(response, tape)

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

    def _write(self, line: str) -> None:
        with self._lock:
            if self._file is not None:
                self._file.write(line)
                self._file.flush()


class _Tape:
    """One exchange's lines."""

    def __init__(self, recorder: Recorder, number: int, masker: Masker) -> None:
        self._write = recorder._write
        self._number = number
        self._masker = masker
        self._began = time.monotonic()

    def opened(self, status: int, headers: Mapping[str, str]) -> None:
        self._write(cassette.opened_line(self._number, self._elapsed(), status, headers))

    def read(self, data: bytes) -> None:
        masked = self._masker.raw(data)
        self._write(cassette.read_line(self._number, self._elapsed(), masked))

    def failed(self, error: BaseException) -> None:
        message = self._masker.text(str(getattr(error, "message", error)))
        self._write(cassette.failure_line(self._number, self._elapsed(), error, message))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


class _Recorded:
    """A response whose reads are written down."""

    def __init__(self, response: Response, tape: _Tape) -> None:
        self._response = response
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
        self._tape.read(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    def pending(self) -> bool:
        return self._response.pending()

    def finish(self) -> None:
        self._response.finish()

    def close(self) -> None:
        self._response.close()
