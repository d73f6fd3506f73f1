"""Payloads: the JSON of one event, decoded quickly and safely.

Here lives the one way in which providers read JSON from the wire, and the looks into it that hold
whatever a server sends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Callable, Optional

from streamsafe.errors import MalformedStreamError

#: The scanner itself: ``scan(text, start)`` gives (value, end), and raises StopIteration where no
#: value begins. Twice as fast as loads; it wants no space before the value, and leaves what trails.
scan: Callable[[str, int], tuple[Any, int]] = getattr(json.JSONDecoder(), "scan_once")

#: The scanner's own reading of a string whose first quote is behind it; ValueError if it is none.
scanstring: Callable[[str, int], tuple[str, int]] = getattr(json.decoder, "scanstring")

#: What an error shows of data that is no JSON.
SHOWN = 200


def decode(data: str) -> Any:
    """The value; MalformedStreamError for anything that is not exactly one JSON value."""
    try:
        value, end = scan(data, 0)
    except (ValueError, StopIteration, RecursionError):
        return _slowly(data)
    if end != len(data) and data[end:].strip():
        raise malformed(data, f"something follows the JSON at {end}")
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """The value, if it is an object; else an empty one."""
    if value.__class__ is dict:  # what JSON gives, and ten times cheaper to ask for
        return value
    return value if value is not None and isinstance(value, Mapping) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list; none, if it is no list."""
    if not isinstance(value, list):
        return []
    return [item for item in value if item.__class__ is dict or isinstance(item, Mapping)]


def word(value: Any) -> Optional[str]:
    """A name or an id: also one that came as a number; None for anything else, and for none."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value) or None


def _slowly(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise malformed(data, str(error)) from error
    except RecursionError as error:
        raise malformed(data, "nested too deeply") from error


def malformed(data: str, why: str) -> MalformedStreamError:
    """The error for an event whose data can't be read."""
    return MalformedStreamError(
        f"an event can't be read ({why}); it begins: {data[:SHOWN]!r}",
        hint="the server or something between broke the event; on_malformed='skip' passes over it",
    )
