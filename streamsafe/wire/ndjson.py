"""NDJSONFramer: bytes -> one event for each line (https://github.com/ndjson/ndjson-spec).

Here lives the cutting into lines. Whether a line is JSON, and whether a last one without its
line end can be believed, is the decoder's to say.
"""

from __future__ import annotations

from streamsafe.limits import Limits
from streamsafe.models import ServerSentEvent
from streamsafe.wire.framer import Framer

# Half the price of calling the class, once for every token.
_new = tuple.__new__


class NDJSONFramer(Framer):
    """Cuts a body into lines, each an event "message" with the line as its data.

    Lines end in LF or CRLF. Blank ones, which proxies put in, count as ``heartbeats``. A last
    line without its LF stays in ``tail``. Limit: ``max_event_bytes`` for a line with its LF.
    """

    __slots__ = ()

    def __init__(self, limits: Limits = Limits()) -> None:
        super().__init__(limits)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """All lines that these bytes complete, in order; none after a failure."""
        events: list[ServerSentEvent] = []
        if self.failure is not None:
            return events
        if self._start is not None:
            data = self._without_bom(data)
        head, found, rest = data.rpartition(b"\n")
        if found:
            if self._buffer:
                self._buffer += head
                head = bytes(self._buffer)
                self._buffer = bytearray()
            for line in head.split(b"\n"):
                if self._exceeds(len(line) + 1):
                    return events
                text = self._decoded(line).strip(" \t\r")
                if text:
                    events.append(_new(ServerSentEvent, ("message", text, "", None)))
                else:
                    self.heartbeats += 1
        if rest:
            self._buffer += rest
            self._exceeds(len(self._buffer))
        return events
