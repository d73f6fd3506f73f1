"""HTTP/1.1 as a server reads it: one request off a channel, small and strict.

Here live the recorded request and its parsing. Answers are not made here: a fault server
wants every byte of them in its own hands (``script``, ``player``).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from streamsafe.testing.channel import Channel

#: Bounds of what a test server reads, so that a client gone wild can't fill the memory.
_MAX_HEAD = 1024 * 1024
_MAX_BODY = 256 * 1024 * 1024


class BadRequest(Exception):
    """What came is not HTTP/1.1 as this server understands it."""


class Headers(Mapping[str, str]):
    """Headers by name, in any case; a name that came twice is joined with ", "."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        #: As they came: spelling, order and repetition.
        self.pairs = tuple(pairs)
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            self._values[key] = f"{self._values[key]}, {value}" if key in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({list(self.pairs)!r})"


class RecordedRequest:
    """A request that a server was sent, and what became of it.

    ``method``, ``path`` (with its query, as sent), ``headers`` (any case), ``body`` (bytes) and
    ``json`` are what was asked; ``connection`` counts from 1 in the order of accepting, ``at`` is
    ``time.monotonic()`` when the request was whole. ``client_gone`` is set when the client closed
    the connection before the exchange was over, at ``gone_at``; ``over`` is set when the exchange
    is over, however. Both are threading.Events: ``assert request.client_gone.wait(5)``. A client
    that shuts only its sending side counts as gone.
    """

    def __init__(self, method: str, path: str, headers: Headers, version: str) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.version = version
        self.body = b""
        self.connection = 0
        self.at = 0.0
        self.client_gone = threading.Event()
        self.gone_at: Optional[float] = None
        self.over = threading.Event()

    @property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError if it is none."""
        return json.loads(self.body)

    @property
    def keeps_alive(self) -> bool:
        """True if the client means to use the connection again."""
        said = self.headers.get("connection", "").lower()
        return self.version == "HTTP/1.1" and "close" not in said

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} on connection {self.connection}>"


class RequestReader:
    """Reads the requests of one connection, one after the other."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._buffer = b""

    def read(self) -> Optional[RecordedRequest]:
        """The next request, or None if the client closed in between.

        Raises BadRequest, PeerGone or Stopped.
        """
        head = self._until(b"\r\n\r\n", _MAX_HEAD, may_end=True)
        if head is None:
            return None
        request = _parse(head)
        if request.headers.get("expect", "").lower() == "100-continue":
            self._channel.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = self._body(request.headers)
        request.at = time.monotonic()
        return request

    def rest(self) -> bytes:
        """What came after the last request, for whoever takes the connection over."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _body(self, headers: Headers) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return b"".join(self._chunks())
        try:
            return self._exactly(int(headers.get("content-length", "0")))
        except ValueError:
            raise BadRequest(f"Content-Length: {headers['content-length']!r}") from None

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._until(b"\r\n", 1024) or b""
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise BadRequest(f"chunk size: {line!r}") from None
            if size == 0:
                while self._until(b"\r\n", _MAX_HEAD):
                    pass  # trailers
                return
            yield self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise BadRequest("no line end behind a chunk")

    def _until(self, mark: bytes, limit: int, may_end: bool = False) -> Optional[bytes]:
        while mark not in self._buffer:
            if len(self._buffer) > limit:
                raise BadRequest(f"more than {limit} bytes without {mark!r}")
            if not self._more():
                if may_end and not self._buffer:
                    return None
                raise BadRequest(f"the client closed in the middle: {self._buffer[:200]!r}")
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_BODY:
            raise BadRequest(f"a body of {size} bytes")
        parts = [self._buffer]
        have = len(self._buffer)
        while have < size:
            self._buffer = b""
            if not self._more():
                raise BadRequest(f"the client closed after {have} of {size} bytes of its body")
            parts.append(self._buffer)
            have += len(self._buffer)
        whole = b"".join(parts)
        self._buffer = whole[size:]
        return whole[:size]

    def _more(self) -> bool:
        data = self._channel.receive()
        self._buffer += data
        return bool(data)


def _parse(head: bytes) -> RecordedRequest:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(f"no HTTP/1.1 request: {head[:200]!r}")
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(f"no header: {line!r}")
        pairs.append((name, value.strip()))
    return RecordedRequest(words[0], words[1], Headers(pairs), words[2])
