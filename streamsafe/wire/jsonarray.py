"""JSON array: a streamed ``[{…},{…}]`` becomes one event an element, as each is closed.

Here lives the scanner for the one API that streams so (Gemini without ``alt=sse``). A single
object, or objects behind one another, are taken as well. The surface is ``sse.SSEFramer``'s.
"""

from __future__ import annotations

import re
from typing import Optional

from streamsafe.errors import LimitExceededError, StreamingError
from streamsafe.limits import Limits
from streamsafe.models import ServerSentEvent

#: All that matters for finding an element's end: quotes, escapes, braces.
_MARK = re.compile(rb'["\\{}\[\]]')
_OPEN, _CLOSE = b"{[", b"}]"


class JSONArrayFramer:
    """Cuts bytes into the elements of a JSON array; linear whatever the reads."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self.failure: Optional[StreamingError] = None
        self.heartbeats = 0
        self.has_ids = False
        self.last_event_id = ""
        self.retry: Optional[int] = None
        self.replaced = 0
        self.strays: list[str] = []
        self._limit = limits.max_event_bytes
        self._pieces: list[bytes] = []
        self._size = 0
        self._depth = 0  # of braces inside the element
        self._string = False
        self._escape = False

    @property
    def tail(self) -> str:
        """The element that is not closed."""
        return b"".join(self._pieces).decode("utf-8", "replace")

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The elements that are closed with these bytes."""
        events: list[ServerSentEvent] = []
        start = 0 if self._depth else -1
        position = 0
        while self.failure is None:
            if self._escape:
                if position >= len(data):
                    break
                self._escape, position = False, position + 1
            match = _MARK.search(data, position)
            if match is None:
                break
            position = match.end()
            mark = match.group()
            if self._string:
                self._escape = mark == b"\\"
                self._string = mark != b'"'
            elif mark == b'"':
                self._string = self._depth > 0
            elif mark in _OPEN:
                if self._depth or mark == b"{":
                    start = match.start() if not self._depth else start
                    self._depth += 1
            elif mark in _CLOSE and self._depth:
                self._depth -= 1
                if not self._depth:
                    events.append(self._closed(data[start:position]))
                    start = -1
        if self._depth and start >= 0:
            self._pieces.append(data[start:])
            self._size += len(data) - start
            self._check(self._size)
        return events

    def _closed(self, rest: bytes) -> ServerSentEvent:
        element = b"".join(self._pieces) + rest
        self._pieces, self._size = [], 0
        self._check(len(element))
        try:
            return ServerSentEvent("message", element.decode())
        except UnicodeDecodeError:
            self.replaced += 1
            return ServerSentEvent("message", element.decode("utf-8", "replace"))

    def _check(self, size: int) -> None:
        if size > self._limit:
            self.failure = LimitExceededError("max_event_bytes", size, self._limit, "an element")
