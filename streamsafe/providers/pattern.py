"""Pattern: events that differ in one string alone, read by that string.

Here lives the short way for the piece of text, of which a stream has thousands: from one event to
the next nothing changes but a JSON string. What stands around it was read once by the JSON
scanner; where an event begins and ends in the very same characters, the string alone is scanned,
by the scanner's own function. Such an event says the same on both ways, and tests hold it to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

from streamsafe.providers.payloads import scan, scanstring

#: Tries without a hit after which a stream is taken for one whose every event differs elsewhere
#: too (a time, padding): learning costs as much as two readings.
TRIES = 4

#: No JSON text begins so.
_NEVER = "\0"
#: Stands for the string when what was learnt is put to the test. JSON escapes neither.
_PROBE = "\ufffc0"


class Pattern:
    """The pattern of one response's events. Used by the reading thread.

    An event whose data ``startswith(before)``, has a string from ``start`` on and then ``after``
    and no more, is ``payload`` with that string in it. ``tries`` is to be set to TRIES by
    whoever read an event so.
    """

    __slots__ = ("before", "start", "after", "payload", "tries")

    def __init__(self) -> None:
        self.before = _NEVER
        self.start = 0
        self.after = ""
        self.payload: dict[str, Any] = {}
        self.tries = TRIES

    def parts(self) -> tuple[str, int, str, dict[str, Any]]:
        """``before``, ``start``, ``after`` and ``payload``, for the names of a hot loop."""
        return self.before, self.start, self.after, self.payload

    def learn(
        self,
        data: str,
        payload: dict[str, Any],
        name: str,
        text: str,
        with_text: Callable[[dict[str, Any], str], dict[str, Any]],
    ) -> None:
        """Take an event as the pattern for those to come, if it is fit for one.

        ``text`` is the member ``name``; ``with_text(payload, other)`` is the payload with another
        text. It must make anew what holds the text and may share the rest, which therefore has
        to be plain values.
        """
        self.tries -= 1
        cut = _cut(data, name, text)
        if cut is None:
            return
        before, after = cut
        try:
            probed, _ = scan(f'{before}{_PROBE}"{after}', 0)
        except (ValueError, StopIteration, RecursionError):
            return
        if probed == with_text(payload, _PROBE):
            self.before, self.start, self.after = before, len(before), after
            # A copy: the program may do with the event's own what it likes.
            self.payload = with_text(payload, text)


def plain(mapping: Mapping[str, Any], but: str = "") -> bool:
    """Whether nothing in it can be changed but the member ``but``."""
    return not any(
        isinstance(value, (dict, list)) for name, value in mapping.items() if name != but
    )


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
