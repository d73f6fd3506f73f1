"""Texts: the loop over events of which most are one piece of text and nothing else.

Here lives the short way for them, in two steps: an event like the one before is read by its text
alone (``pattern``); of any other the JSON is read once, and looked at for a piece of text before
it goes the general way of ``jsonevents``. What an API's pieces of text are - of the answer, of
reasoning, of a tool call's arguments -, its decoder says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from streamsafe.models import Chunk, ServerSentEvent
from streamsafe.providers.halves import is_whole
from streamsafe.providers.jsonevents import UNREAD, JSONDecoder
from streamsafe.providers.pattern import TRIES, Pattern, Piece
from streamsafe.providers.payloads import scan, scanstring

#: What a payload that is not of the expected shape raises when it is looked into.
_OTHER_SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)

_new = tuple.__new__


class TextDecoder(JSONDecoder):
    """A decoder with a short way. ``padding`` is the name of a string which means nothing."""

    padding = ""

    def __init__(self) -> None:
        super().__init__()
        self._pattern = Pattern(self.padding)
        self._had_text = False

    def piece(self, payload: Any) -> Optional[Piece]:
        """What a payload is that is one piece of text and nothing else of interest; else None, or
        one of the errors that looking into another shape raises. Changes nothing."""
        raise NotImplementedError

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """Chunks of these events, up to a failure."""
        chunks: list[Chunk] = []
        pattern, kept, hit = self._pattern, self._halves.kept, False
        name, before, start, after, known, piece = pattern.parts()
        _, _, _, with_text, made, keep = piece
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
                    ends = data[end:] == after
                    raw = with_text(known, text) if ends else pattern.padded(data, end, text)
                if raw is not None:
                    hit = True
                    chunks.append(
                        _new(Chunk, ("text", text, "", None, None, None, 0, raw, "", None, None))
                        if made is None
                        else made(text, raw)
                    )
                    if keep is not None:
                        keep(text)
                    continue
            if not self._other(event, chunks):
                break
            name, before, start, after, known, piece = pattern.parts()
            _, _, _, with_text, made, keep = piece
        if hit:
            pattern.tries = TRIES
        return chunks

    def _other(self, event: ServerSentEvent, chunks: list[Chunk]) -> bool:
        """An event that is not like the one before; False once there is nothing more to read."""
        payload = self._read_alone(event)
        piece = None if payload is UNREAD else self._piece(payload)
        if piece is None or not (piece.text.isascii() or is_whole(piece.text)):
            more = self.general(event, chunks, payload)
            # What such an event has ended or begun, the pattern's texts may have belonged to.
            self._pattern.renew(self._piece)
            return more
        text, made = piece.text, piece.made
        chunks.append(Chunk("text", text, raw=payload) if made is None else made(text, payload))
        if piece.keep is not None:
            piece.keep(text)
        # A stream of one token has nothing to learn for.
        if self._pattern.tries and self._had_text:
            self._pattern.learn(event, payload, piece)
        self._had_text = True
        return True

    def _read_alone(self, event: ServerSentEvent) -> Any:
        """The event's payload, or UNREAD if that is for the general way to see to."""
        if self._halves.kept or event.event == "error":
            return UNREAD
        try:
            payload, end = scan(event.data, 0)
        except (ValueError, StopIteration, RecursionError):
            return UNREAD
        return payload if end == len(event.data) else UNREAD  # else something follows

    def _piece(self, payload: Any) -> Optional[Piece]:
        try:
            piece = self.piece(payload)
        except _OTHER_SHAPE:
            return None
        return piece if piece is not None and piece.text else None
