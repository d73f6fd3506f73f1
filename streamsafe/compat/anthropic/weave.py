"""Weave: one unbroken message in Anthropic's own events, of the chunks of several attempts.

Here lives the giving back of events as they came, and what a repaired message wants: one
``message_start``, blocks that are begun and ended once and numbered in their order, one end.

The end of a message (``message_delta``) is held back until it is sure (``message_stop``): they come
together, and if an attempt breaks between them, the next one brings an end of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.compat.anthropic.types import MessageStreamEvent
from streamsafe.models import Attempt, Chunk
from streamsafe.providers.payloads import mapping, objects, word

Event = Mapping[str, Any]


class MessageWeave:
    """The weave of messages."""

    shape = MessageStreamEvent

    def __init__(self) -> None:
        self.over = False
        self._begun = False
        self._broken = False
        self._last: Any = None
        self._ends: list[Event] = []
        #: The block that the program has been told of and not been told the end of.
        self._open: Optional[int] = None
        self._type = ""
        self._next = 0
        #: Where this attempt's blocks are in the whole message, once it is not the first.
        self._places: dict[Optional[str], int] = {}
        self._signed: set[int] = set()

    def again(self, attempt: Attempt) -> None:
        """From now on blocks are numbered behind those that the program knows."""
        self._broken = self._begun
        self._places.clear()
        self._ends.clear()

    def __call__(self, chunk: Chunk) -> list[Event]:
        """The event as it came, once; or those that the chunk wants."""
        raw = chunk.raw
        if raw is not None and raw is self._last:
            return []
        kind = mapping(raw).get("type")
        if kind == "message":
            self._last = raw
            return _of_document(raw)
        if chunk.kind == "text" and mapping(mapping(raw).get("delta")).get("text") != chunk.text:
            return self._mended(chunk)
        self._last = raw
        if kind == "message_start":
            return [] if self._broken else self._start(raw)
        if kind == "message_delta":
            self._ends.append(raw)
            return []
        if kind == "message_stop":
            # A pause: streamsafe would go on with the answer, the SDK's user does it.
            self.over = chunk.kind != "finish"
            return [*self._closed(), *self._ends, raw]
        if kind == "content_block_start":
            return self._block(raw)
        if kind in ("content_block_delta", "content_block_stop"):
            return self._of_block(raw, kind)
        return [raw] if isinstance(raw, Mapping) else []

    def _start(self, raw: Event) -> list[Event]:
        self._begun = True
        return [raw]

    def _block(self, raw: Event) -> list[Event]:
        """A block begins; where the program is in such a one, the new one goes on with it."""
        kind = mapping(raw.get("content_block")).get("type")
        if self._broken and self._open is not None and kind == self._type:
            self._places[word(raw.get("index"))] = self._open
            return []
        return [*self._closed(), self._opened(raw, str(kind))]

    def _opened(self, raw: Event, kind: str) -> Event:
        self._open, self._type = self._next, kind
        self._places[word(raw.get("index"))] = self._next
        self._next += 1
        return {**raw, "index": self._open}

    def _closed(self) -> list[Event]:
        if self._open is None:
            return []
        index, self._open = self._open, None
        return [{"type": "content_block_stop", "index": index}]

    def _of_block(self, raw: Event, kind: str) -> list[Event]:
        """A piece or the end of a block; of one that the program was told whole, nothing.

        A block whose beginning was not seen is one of an answer that was asked for again, and is
        where it was before.
        """
        place = self._places.get(word(raw.get("index")), raw.get("index"))
        if place is None or place != self._open:
            return []
        if kind == "content_block_stop":
            self._open = None
        elif mapping(raw.get("delta")).get("type") == "signature_delta":
            if place in self._signed:
                return []
            self._signed.add(place)
        return [raw if raw.get("index") == place else {**raw, "index": place}]

    def _mended(self, chunk: Chunk) -> list[Event]:
        """The event for a text that did not come so: it was cut at a join, or put together."""
        events: list[Event] = []
        if self._open is None or self._type != "text":
            block = {"type": "text", "text": ""}
            begun = {"type": "content_block_start", "content_block": block}
            events = [*self._closed(), self._opened(begun, "text")]
        delta = {"type": "text_delta", "text": chunk.text}
        return [*events, {"type": "content_block_delta", "index": self._open, "delta": delta}]


def _of_document(raw: Event) -> list[Event]:
    """The events of a message that came as one document: the server does not stream."""
    events: list[Event] = [{"type": "message_start", "message": {**raw, "content": []}}]
    for index, block in enumerate(objects(raw.get("content"))):
        text = block.get("text") if block.get("type") == "text" else None
        begun = block if text is None else {**block, "text": ""}
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        if text is not None:
            delta = {"type": "text_delta", "text": text}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    ended = {name: raw.get(name) for name in ("stop_reason", "stop_sequence")}
    events.append({"type": "message_delta", "delta": ended, "usage": raw.get("usage") or {}})
    return [*events, {"type": "message_stop"}]
