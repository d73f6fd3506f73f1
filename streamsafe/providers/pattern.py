"""Pattern: events that differ in one string alone, read by that string.

Here lives what a decoder knows of the piece of text, of which a stream has thousands: from one
event to the next nothing changes but a JSON string. What stands around it was read once by the
JSON scanner; where an event begins and ends in the very same characters, the string alone is
scanned, by the scanner's own function. Such an event says the same on both ways, and tests hold
it to that.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from streamsafe.models import ServerSentEvent
from streamsafe.providers.payloads import scan, scanstring

#: Tries without a hit after which a stream is taken for one whose every event differs elsewhere
#: too (a time, padding): learning costs as much as two readings.
TRIES = 4

#: The parts of a pattern that no event has: no JSON text begins so.
_NONE: tuple[str, str, int, str, dict[str, Any]] = ("", "\0", 0, "", {})
#: Stands for the string when what was learnt is put to the test. JSON escapes neither character.
_PROBE = "\ufffc0"


class Pattern:
    """The pattern of one response's events. Used by the reading thread.

    ``member`` is the name of the string, ``depth`` the number of lists and objects in a payload,
    all of them around the string; ``with_text(payload, text)`` copies those and shares the rest.
    ``tries`` is to be set to TRIES by whoever read an event by the pattern.
    """

    __slots__ = ("tries", "_member", "_depth", "_with_text", "_parts")

    def __init__(
        self, member: str, depth: int, with_text: Callable[[dict[str, Any], str], dict[str, Any]]
    ) -> None:
        self.tries = TRIES
        self._member = member
        self._depth = depth
        self._with_text = with_text
        self._parts = _NONE

    def parts(self) -> tuple[str, str, int, str, dict[str, Any]]:
        """``name, before, start, after, payload``: an event of this name, whose data
        ``startswith(before)``, has a string from ``start`` on, then ``after`` and no more, is
        ``payload`` with that string in it."""
        return self._parts

    def forget(self) -> None:
        """No event to come is like those before."""
        self._parts = _NONE

    def learn(self, event: ServerSentEvent, payload: dict[str, Any], text: str) -> None:
        """Take an event as the pattern for those to come, if it is fit for one."""
        self.tries -= 1
        cut = _cut(event.data, self._member, text)
        # What is shared must be such that nobody can change it.
        if cut is None or _nested(payload) != self._depth:
            return
        before, after = cut
        try:
            probed, _ = scan(f'{before}{_PROBE}"{after}', 0)
        except (ValueError, StopIteration, RecursionError):
            return
        if probed == self._with_text(payload, _PROBE):
            # A copy: the program may do with the event's own what it likes.
            known = self._with_text(payload, text)
            self._parts = (event.event, before, len(before), after, known)


def _nested(value: Any) -> int:
    """How many lists and objects are in a list or object."""
    items = value.values() if isinstance(value, dict) else value
    return sum(1 + _nested(item) for item in items if isinstance(item, (dict, list)))


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
