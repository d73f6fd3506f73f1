"""Chunked: the bytes of ``Transfer-Encoding: chunked`` to the body's (RFC 9112, 7.1).

http.client gives out one chunk a read, and an LLM's server sends a chunk a token. Here all that
a network read brought is decoded in one go. What is taken for what is the same as there: line
ends may be bare, extensions and trailers are dropped, what stands for a chunk's CRLF is not
looked at, and a connection may end after the last chunk's size. No IO.
"""

from __future__ import annotations

import http.client
from typing import Optional

#: As in http.client: the longest line of a size with its extensions, or of a trailer.
MAX_LINE = 65536
#: A size without extensions: 16 digits and CR.
_SHORT_LINE = 18


class ChunkedDecoder:
    """The state of one body. ``ended``: the last chunk and its trailers are through.

    ``failure`` is what is wrong with what came after the bytes given out last, to be raised by
    whoever asks for more: http.client.IncompleteRead for garbage, as for an end too early.
    """

    __slots__ = ("ended", "failure", "_left", "_line", "_trailers")

    def __init__(self) -> None:
        self.ended = False
        self.failure: Optional[http.client.HTTPException] = None
        self._left = 0  # of the current chunk and of the two bytes behind it
        self._line = b""  # the beginning of a line whose end is still to come
        self._trailers = False

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in ``data``, which is not empty. Keeps none of them back."""
        if not (self._left or self._line or self._trailers):
            # Most reads are exactly one chunk.
            newline = data.find(b"\n", 0, _SHORT_LINE)
            try:
                size = int(data[:newline], 16) if newline > 0 else 0
            except ValueError:
                size = 0
            if size > 0 and newline + 3 + size == len(data):
                return data[newline + 1 : -2]
        pieces: list[bytes] = []
        start = 0
        if self._left:
            start = min(self._left, len(data))
            pieces.append(data[: max(0, min(start, self._left - 2))])
            self._left -= start
        elif self._line:
            data, self._line = self._line + data, b""
        if not self._left and not self._trailers:
            start = self._chunks(data, start, pieces)
        if self._trailers:
            self._drop_trailers(data, start)
        return b"".join(pieces)

    def end(self) -> None:
        """The connection ended: sets ``ended`` where that may be, else ``failure``."""
        if not self._left and not self._trailers:
            self._trailers = _size(self._line) == 0
        if self._trailers:
            self.ended = True
        else:
            self.failure = http.client.IncompleteRead(b"")

    def _chunks(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        """Take whole chunks, and the part that is there of the last one: the hot loop."""
        end, find, take = len(data), data.find, pieces.append
        while True:
            newline = find(b"\n", start)
            if newline < 0 or newline - start >= MAX_LINE:
                self._hold(data[start:], "chunk size")
                return end
            try:
                size = int(data[start:newline], 16)
            except ValueError:
                size = _size(data[start:newline])
            if size <= 0:
                self._trailers = size == 0
                if size < 0:
                    self.failure = http.client.IncompleteRead(b"")
                return newline + 1
            body = newline + 1
            start = body + size + 2
            take(data[body : start - 2])
            if start > end:
                self._left = start - end
                return end

    def _drop_trailers(self, data: bytes, start: int) -> None:
        while True:
            newline = data.find(b"\n", start)
            if newline < 0 or newline - start >= MAX_LINE:
                return self._hold(data[start:], "trailer line")
            if data[start:newline] in (b"", b"\r"):
                self.ended = True
                return None
            start = newline + 1

    def _hold(self, line: bytes, kind: str) -> None:
        if len(line) > MAX_LINE:
            self.failure = http.client.LineTooLong(kind)
        else:
            self._line = line


def _size(line: bytes) -> int:
    """A chunk's size, or -1 for what is none."""
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        return -1
