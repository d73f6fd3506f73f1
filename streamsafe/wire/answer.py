"""Answer: http.client's response, with a head that is bounded and whole, and chunks read fast."""

from __future__ import annotations

import http.client
import io
import socket
import re
from typing import Any, Optional

from streamsafe.errors import LimitExceededError
from streamsafe.wire.chunked import ChunkedDecoder
from streamsafe.wire.opening import CURRENT

#: A read gives at most this. What a JSON scanner makes of it is some ten times as
#: large: of 64 KB it outgrew the caches, of 8 KB the calls for each read weighed more.
READ_SIZE = 32 * 1024
#: The buffer that a connection has; a read that filled it is followed by larger ones.
BUFFER_SIZE = io.DEFAULT_BUFFER_SIZE

_NAME, _VALUE = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", r"[\t -~]*"
#: A head as nearly all are: nothing but tokens and ASCII, one line a header, CRLF.
_PLAIN_HEAD = re.compile(rf"HTTP/1\.1 200( {_VALUE})?\r\n((?:{_NAME}:{_VALUE}\r\n)*)\r\n")
_HEADER = re.compile(rf"({_NAME}):[\t ]*({_VALUE})\r\n")
#: http.client takes no head of more lines, the blank one behind the headers included.
_MOST_LINES = 100


class Answer(http.client.HTTPResponse):
    """Reads the head within ``Limits.max_header_bytes`` and takes a cut one for what it is.

    http.client lets a head end where the connection does: a 200 without the headers that were
    still to come, Transfer-Encoding among them.
    """

    _chunks: Optional[ChunkedDecoder] = None
    _full = False  # the last read filled the connection's buffer

    def __init__(self, sock: Any, *args: Any, **how: Any) -> None:
        super().__init__(sock, *args, **how)
        lines = getattr(self.fp, "raw", None)
        if type(lines) is socket.SocketIO:
            # SocketIO.readinto looks twice whether it is closed, which its buffer does as well,
            # and whether a read timed out, after which there is none here.
            lines.readinto = sock.recv_into  # type: ignore[method-assign]

    def begin(self) -> None:
        """Read the status line and the headers."""
        opening = CURRENT.get()
        if opening is None or self.headers is not None:
            return super().begin()
        lines = self.fp
        # One byte proves that the server answers, and the connection was not a stale one.
        there = lines.peek(1)
        if there:
            opening.answered = True
        if self._begin_at_once(there, opening.max_header_bytes):
            return
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

    def _begin_at_once(self, there: bytes, limit: int) -> bool:
        """Begin with the head of a chunked stream that is ``there`` as a whole, if it is plain.

        http.client has e-mail's parser read a head, which takes as long as the rest of a short
        answer. What this takes, it takes for the same.
        """
        end = there.find(b"\r\n\r\n") + 4
        if not 4 <= end <= limit or self.debuglevel:
            return False
        plain = _PLAIN_HEAD.fullmatch(there[:end].decode("latin-1"))
        if plain is None or self._method == "HEAD":  # type: ignore[attr-defined]
            return False
        headers = _HEADER.findall(plain[2])
        # Of a name that comes twice the first counts.
        known = {name.lower(): value.lower() for name, value in reversed(headers)}
        if (
            known.get("transfer-encoding") != "chunked"
            or "content-length" in known
            or "close" in known.get("connection", "")
            or known.get("content-type", "").startswith(("multipart", "message"))
            or len(headers) >= _MOST_LINES
        ):
            return False
        self.fp.read(end)
        self.version, self.code, self.status = 11, 200, 200
        self.reason = (plain[1] or "").strip()
        self.headers = self.msg = message = http.client.HTTPMessage()
        for name, value in headers:
            message.set_raw(name, value)
        message.set_payload("")
        self.chunked, self.chunk_left, self.length = True, None, None
        self.will_close = False
        return True

    def _read_status(self) -> tuple[str, int, str]:
        # A client must be ready for any number of 1xx (RFC 9110, 15.2); http.client
        # takes all of them but 100 for the answer.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status < 200:
                return version, status, reason
            while self.fp.readline(65537) not in (b"\r\n", b"\n", b""):
                pass

    def take(self, most: int = READ_SIZE) -> bytes:
        """The body's next bytes, up to ``most``, as soon as there are any; b"" at its end."""
        lines = self.fp
        if lines is None or self._method == "HEAD":  # type: ignore[attr-defined]
            return b""
        if not self.chunked:
            return self._take_plain(most)
        chunks = self._chunks
        if chunks is None:
            chunks = self._chunks = ChunkedDecoder()
        body = b""
        while most and not body and self.fp is not None:
            if chunks.failure is not None:
                self._close_conn()  # type: ignore[attr-defined]
                raise chunks.failure
            # A reader waits in the buffer that its connection has anyway: READ_SIZE bytes, made
            # before there is anything to put in them, would be most of what a waiting stream needs.
            data = lines.read1(most if self._full else min(most, len(lines.peek(1))))
            if data:
                self._full = len(data) >= BUFFER_SIZE
                body = chunks.feed(data)
            else:
                chunks.end()
            if chunks.ended:
                self._close_conn()  # type: ignore[attr-defined]
        return body

    def _take_plain(self, most: int) -> bytes:
        if self.length == 0:
            return b""  # to look for more would be to wait for the next answer
        data = super().read1(most if self._full else len(self.fp.peek(1)) or 1)
        self._full = len(data) >= BUFFER_SIZE
        return data

    def read1(self, n: int = -1) -> bytes:
        """Up to ``n`` bytes of the body as soon as there are any, of however many chunks."""
        head = self._method == "HEAD"  # type: ignore[attr-defined]
        if not self.chunked or self.fp is None or head:
            return super().read1(n)
        return self.take(READ_SIZE if n < 0 else min(n, READ_SIZE))

    def read(self, amt: Optional[int] = None) -> bytes:
        """Up to ``amt`` bytes of the body, waiting for all of them."""
        if self._chunks is None:
            return super().read(amt)
        # http.client's own reading knows nothing of what the decoder has taken already.
        pieces: list[bytes] = []
        while amt is None or amt > 0:
            pieces.append(self.read1(-1 if amt is None else amt))
            if not pieces[-1]:
                break
            amt = None if amt is None else amt - len(pieces[-1])
        return b"".join(pieces)


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
            begun = self._left < self._limit
            where = "inside the head of its answer" if begun else "without an answer"
            raise http.client.RemoteDisconnected(f"the server closed it {where}")
        return line

    def close(self) -> None:
        self._lines.close()

    def flush(self) -> None:
        pass
