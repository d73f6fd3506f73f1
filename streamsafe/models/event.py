"""ServerSentEvent: one event on the wire, as the WHATWG standard dispatches it."""

from __future__ import annotations

from typing import NamedTuple, Optional


class ServerSentEvent(NamedTuple):
    """One dispatched event.

    ``event`` is "message" where the server named none. ``data`` are its data lines joined
    by a line feed. ``id`` is the last event id in force when the event was dispatched ("" if
    there never was one): it persists over events that carry none. ``retry`` is the
    reconnection time in milliseconds that stood in this event's block, or None.
    """

    event: str
    data: str
    id: str = ""
    retry: Optional[int] = None
