"""Framer: what all ways of cutting a body into events have in common.

Here live the attributes that every framer shows, the buffer for what is unfinished, and the
byte order mark. A framer takes bytes and gives events: it opens nothing, waits for nothing and
knows no clock. Where the events stand in the bytes is told in ``sse``, ``ndjson`` and
``jsonarray``; which of them a body wants in ``sniff``.
"""

from __future__ import annotations

from typing import Optional

from streamsafe.errors import LimitExceededError, StreamingError
from streamsafe.limits import Limits
from streamsafe.models import ServerSentEvent

_BOM = b"\xef\xbb\xbf"

#: Enough for any error object; the precedent is Limits.max_error_body.
_MAX_STRAYS = 64 * 1024


class Framer:
    """Cuts the body of one response into events; used by one thread at a time.

    ``failure`` is None until a limit is met: it is set and not raised, so that the events from
    before it are still delivered. ``heartbeats`` counts what the server sends only to show that
    it is there. ``last_event_id`` is the one in force, "" if there never was one, and ``has_ids``
    tells whether the body has brought any, since ids persist over a reconnect. ``replaced``
    counts the events with bytes that were not UTF-8 (U+FFFD stands in their place). ``strays``
    are lines that are no part of any event, at most 64 KiB of them: some servers put errors
    there. The caller takes them and clears the list.
    """

    __slots__ = (
        "failure", "has_ids", "heartbeats", "last_event_id", "replaced", "strays",
        "_max_bytes", "_start", "_buffer", "_strays_room",
    )  # fmt: skip

    def __init__(self, limits: Limits = Limits()) -> None:
        self.failure: Optional[StreamingError] = None
        self.heartbeats = 0
        self.has_ids = False
        self.last_event_id = ""
        self.replaced = 0
        self.strays: list[str] = []
        self._max_bytes = limits.max_event_bytes
        # The body's first bytes while they may still become a BOM; None from then on.
        self._start: Optional[bytes] = b""
        # A bytearray and no list of pieces: a server that sends single bytes would make of
        # 16 MiB several hundred.
        self._buffer = bytearray()
        self._strays_room = _MAX_STRAYS

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """All events that these bytes complete, in order; none after a failure."""
        raise NotImplementedError

    @property
    def retry(self) -> Optional[int]:
        """The reconnection time in milliseconds that the server asked for last, or None."""
        return None

    @property
    def tail(self) -> str:
        """What came after the last whole event. Evidence for a diagnosis, never content."""
        return ((self._start or b"") + self._buffer).decode("utf-8", "replace")

    def _without_bom(self, data: bytes) -> bytes:
        """``data`` less a byte order mark at the body's start, which may come in three reads."""
        if self._start is None:
            return data
        data = self._start + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data[len(_BOM) :] if data.startswith(_BOM) else data

    def _decoded(self, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.replaced += 1
            return raw.decode("utf-8", "replace")

    def _stray(self, line: str) -> None:
        if not self.strays:
            self._strays_room = _MAX_STRAYS  # the caller has taken what there was
        if self._strays_room > 0:
            self.strays.append(line[: self._strays_room])
            self._strays_room -= len(line) + 1

    def _exceeds(self, size: int) -> bool:
        """True, with the failure set, if an event of ``size`` bytes is not allowed."""
        if size <= self._max_bytes:
            return False
        self.failure = LimitExceededError("max_event_bytes", size, self._max_bytes, "an event")
        return True
