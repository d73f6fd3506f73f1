"""Texts: the loop over events of which most are one piece of text and nothing else.

Here lives the short way for them, in two steps: an event like the one before is read by its text
alone (``pattern``); of any other the JSON is read once, and looked at for a piece of text before
it goes the general way of ``jsonevents``. What an API's piece of text is, its decoder says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional

from streamsafe.models import Chunk, ServerSentEvent
from streamsafe.providers.halves import is_whole
from streamsafe.providers.jsonevents import UNREAD, JSONDecoder
from streamsafe.providers.pattern import TRIES, Pattern
from streamsafe.providers.payloads import scan, scanstring

#: What a payload that is not of the expected shape raises when it is looked into.
_OTHER_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)

_new = tuple.__new__


class TextDecoder(JSONDecoder):
    """A decoder with a short way. ``member`` is the name under which a piece of text stands, inside
    ``depth`` lists and objects; ``padding`` that of a string which means nothing."""

    member = ""
    depth = 1
    padding = ""

    def __init__(self) -> None:
        super().__init__()
        self._pattern = Pattern(self.member, self.depth, self.with_text, self.padding)

    def text_of(self, payload: Any) -> str:
        """The text of a payload that is one piece of it and nothing else of interest; else "", or
        one of the errors that looking into another shape raises."""
        raise NotImplementedError

    @staticmethod
    def with_text(payload: dict[str, Any], text: str) -> dict[str, Any]:
        """A copy of such a payload, with another text."""
        raise NotImplementedError

    def keeps(self, payload: dict[str, Any]) -> Optional[Callable[[str], object]]:
        """Who besides the program is to have the texts of such payloads, if somebody is."""

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """Chunks of these events, up to a failure."""
        chunks: list[Chunk] = []
        pattern, kept, hit = self._pattern, self._halves.kept, False
        with_text, padded = self.with_text, pattern.padded
        name, before, start, after, known = pattern.parts()
        keep = self.keeps(known) if known else None
        for event in events:
            data = event[1]
            # Half a character waits for its other half, on the general way.
            if data.startswith(before) and event[0] == name and not kept:
                try:
                    text, end = scanstring(data, start)
                except ValueError:
                    text = ""
                raw = None
                if text and (text.isascii() or is_whole(text)):
                    raw = with_text(known, text) if data[end:] == after else padded(data, end, text)
                if raw is not None:
                    hit = True
                    chunks.append(
                        _new(Chunk, ("text", text, "", None, None, None, 0, raw, "", None, None))
                    )
                    if keep is not None:
                        keep(text)
                    continue
            if not self._other(event, chunks):
                break
            name, before, start, after, known = pattern.parts()
            keep = self.keeps(known) if known else None
        if hit:
            pattern.tries = TRIES
        return chunks

    def _other(self, event: ServerSentEvent, chunks: list[Chunk]) -> bool:
        """An event that is not like the one before; False once there is nothing more to read."""
        name, data = event.event, event.data
        payload, text = UNREAD, ""
        if not self._halves.kept and name != "error":
            try:
                payload, end = scan(data, 0)
            except (ValueError, StopIteration, RecursionError):
                end = len(data)
            if end != len(data):
                payload = UNREAD  # something follows
            try:
                text = self.text_of(payload) if payload is not UNREAD else ""
            except _OTHER_SHAPE:
                text = ""
        if not text or not (text.isascii() or is_whole(text)):
            return self.general(event, chunks, payload)
        chunks.append(Chunk("text", text, raw=payload))
        keep = self.keeps(payload)
        if keep is not None:
            keep(text)
        if self._pattern.tries:
            self._pattern.learn(event, payload, text)
        return True
