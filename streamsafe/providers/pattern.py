"""Pattern: events that differ in one string alone, read by that string.

Here lives what a decoder knows of the piece of text, of which a stream has thousands: from one
event to the next nothing changes but a JSON string. What stands around it was read once by the
JSON scanner; where an event begins and ends in the very same characters, the string alone is
scanned, by the scanner's own function. Such an event says the same on both ways, and tests hold
it to that.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional

from streamsafe.models import Chunk, ServerSentEvent
from streamsafe.providers.payloads import scan, scanstring

#: Tries without a hit after which a stream is taken for one whose every event differs elsewhere
#: too (a time, padding): learning costs as much as two readings.
TRIES = 4


class Piece(NamedTuple):
    """What a payload is that adds to one text."""

    text: str
    #: The name of the string.
    member: str
    #: How many lists and objects are in the payload, all of them around the string.
    depth: int
    #: Copies those and shares the rest: such a payload, with another text.
    with_text: Callable[[dict[str, Any], str], dict[str, Any]]
    #: Makes the chunk of a text and its payload; None: it is one of the answer's text.
    made: Optional[Callable[[str, dict[str, Any]], Chunk]] = None
    #: Who besides the program is to have the texts, if somebody is.
    keep: Optional[Callable[[str], object]] = None


_Parts = tuple[str, str, int, str, dict[str, Any], Piece]

#: The parts of a pattern that no event has: no JSON text begins so.
_NONE: _Parts = ("", "\0", 0, "", {}, Piece("", "", 0, lambda payload, text: payload))
#: Stands for the string when what was learnt is put to the test. JSON escapes neither character.
_PROBE = "\ufffc0"


class Pattern:
    """The pattern of one response's events. Used by the reading thread.

    ``padding`` is the name of a string that differs, too, behind the text: with it some servers
    hide from who watches the wire how long a token is. ``tries`` is to be set to TRIES by whoever
    read an event by the pattern.
    """

    __slots__ = ("tries", "_padding", "_parts", "_tail")

    def __init__(self, padding: str = "") -> None:
        self.tries = TRIES
        self._padding = padding
        self._parts = _NONE
        self._tail: Optional[str] = None  # what stands behind the padding, if there is one

    def parts(self) -> _Parts:
        """``name, before, start, after, payload, piece``: an event of this name, whose data
        ``startswith(before)``, has a string from ``start`` on, then ``after`` and no more, is
        ``payload`` with that string in it, a ``piece`` of a text. If ``after`` is not all, ask
        ``padded``."""
        return self._parts

    def renew(self, piece_of: Callable[[dict[str, Any]], Optional[Piece]]) -> None:
        """Ask anew what the payload is a piece of; if of nothing, no event is like it."""
        if self._parts is _NONE:
            return
        piece = piece_of(self._parts[4])
        if piece is None:
            self._parts, self._tail = _NONE, None
        else:
            self._parts = (*self._parts[:5], piece)

    def learn(self, event: ServerSentEvent, payload: dict[str, Any], piece: Piece) -> None:
        """Take an event as the pattern for those to come, if it is fit for one."""
        self.tries -= 1
        if not self.tries:
            self._parts, self._tail = _NONE, None
            return
        # What is shared must be such that nobody can change it. A bracket in a string is taken
        # for one more list: then the next event is learnt.
        if event.data.count("{") + event.data.count("[") != piece.depth + 1:
            return
        cut = _cut(event.data, piece.member, piece.text)
        if cut is None:
            return
        before, after = cut
        padding = payload.get(self._padding)
        end = _cut(after, self._padding, padding) if isinstance(padding, str) else None
        middle, tail = end or (after, None)
        probe = f'{before}{_PROBE}"{middle}' + ("" if tail is None else f'{_PROBE}"{tail}')
        expected = piece.with_text(payload, _PROBE)
        if tail is not None:
            expected[self._padding] = _PROBE
        try:
            probed, _ = scan(probe, 0)
        except (ValueError, StopIteration, RecursionError):
            return
        if probed == expected:
            # A copy: the program may do with the event's own what it likes.
            known = piece.with_text(payload, piece.text)
            self._parts = (event.event, before, len(before), middle, known, piece)
            self._tail = tail

    def padded(self, data: str, end: int, text: str) -> Optional[dict[str, Any]]:
        """The payload of an event whose text ended at ``end``, if but for its padding it is like
        the others."""
        _, _, _, middle, known, piece = self._parts
        if self._tail is None or not data.startswith(middle, end):
            return None
        try:
            padding, end = scanstring(data, end + len(middle))
        except ValueError:
            return None
        if data[end:] != self._tail:
            return None
        payload = piece.with_text(known, text)
        payload[self._padding] = padding
        return payload


def _cut(data: str, name: str, text: str) -> Optional[tuple[str, str]]:
    """What stands before and behind the text, or None where that is not plain to see."""
    at = data.find(f'"{name}"')
    at = data.find('"', at + len(name) + 2) if at >= 0 else at
    if at < 0:
        return None
    try:
        found, end = scanstring(data, at + 1)
    except ValueError:
        return None
    return (data[: at + 1], data[end:]) if found == text else None
