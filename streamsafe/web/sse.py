"""Server-Sent Events as they are written: what ``wire.sse`` reads, and every browser.

https://html.spec.whatwg.org/multipage/server-sent-events.html

Here live the two things that can be said, an event and a comment. What stands in an event is
the formats' business.
"""

from __future__ import annotations

from typing import Optional


def event(
    data: str, *, name: str = "", id: Optional[str] = None, retry: Optional[float] = None
) -> bytes:
    """One event that is read back as it is given.

    ``name`` "" is the standard's "message". ``id`` None leaves the reader's last event id as it
    is. ``retry``: seconds after which a browser connects again. Raises ValueError for what the
    format has no way to write: a carriage return in the data, a line end in a name or an id.
    """
    if "\r" in data:
        raise ValueError("data with a carriage return would be read back as a line feed: use JSON")
    lines = []
    if retry is not None:
        lines.append(f"retry: {round(1000 * retry)}")
    if name:
        lines.append(f"event: {_line('name', name)}")
    if id is not None:
        lines.append(f"id: {_line('id', id)}")
    lines += [f"data: {line}" for line in data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def comment(text: str = "") -> bytes:
    """A comment, which readers pass over: a heartbeat."""
    return f": {_line('comment', text)}\n\n".encode()


def _line(what: str, text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError(f"{what}={text!r}: expected one line")
    return text
