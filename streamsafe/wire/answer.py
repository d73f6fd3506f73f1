"""Answer: http.client's response, with a head that is bounded, whole, and seen when it begins."""

from __future__ import annotations

import http.client
from typing import Any

from streamsafe.errors import LimitExceededError
from streamsafe.wire.opening import CURRENT


class Answer(http.client.HTTPResponse):
    """Reads the head within ``Limits.max_header_bytes`` and takes a cut one for what it is.

    http.client lets a head end where the connection does: a 200 without the headers that were
    still to come, Transfer-Encoding among them.
    """

    def begin(self) -> None:
        """Read the status line and the headers."""
        opening = CURRENT.get()
        if opening is None or self.headers is not None:
            return super().begin()
        lines = self.fp
        # One byte proves that the server answers, and the connection was not a stale one.
        if lines.peek(1):
            opening.answered = True
        head = _Head(lines, opening.max_header_bytes)
        self.fp = head
        try:
            super().begin()
        finally:
            if self.fp is head:
                self.fp = lines
        lengths = self.headers.get_all("content-length", ())
        if len({one.strip() for one in ",".join(lengths).split(",")}) > 1:
            # urllib3 refuses it too, but leaves the socket to the garbage collector.
            raise http.client.HTTPException(f"Content-Length is {', '.join(lengths)}")

    def _read_status(self) -> tuple[str, int, str]:
        # A client must be ready for any number of 1xx (RFC 9110, 15.2); http.client
        # takes all of them but 100 for the answer.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status < 200:
                return version, status, reason
            while self.fp.readline(65537) not in (b"\r\n", b"\n", b""):
                pass


class _Head:
    """The lines of a head, counted."""

    def __init__(self, lines: Any, limit: int) -> None:
        self._lines = lines
        self._limit = limit
        self._left = limit

    def readline(self, size: int) -> bytes:
        size = min(size, self._left + 1)
        line: bytes = self._lines.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise LimitExceededError(
                "max_header_bytes", self._limit - self._left, self._limit, "the response's head"
            )
        if len(line) < size and not line.endswith(b"\n"):
            where = "inside the head of its answer" if self._left < self._limit else "unanswered"
            raise http.client.RemoteDisconnected(f"the server closed the connection {where}")
        return line

    def close(self) -> None:
        self._lines.close()

    def flush(self) -> None:
        pass
