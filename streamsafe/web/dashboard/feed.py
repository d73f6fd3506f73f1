"""Feed: the parts of the page, live, to any number of browsers within a bound.

Here lives how often figures are asked for, what is sent to whom, and when a connection ends.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any, Callable, Optional

#: Seconds between two looks at the figures, however many are watching.
INTERVAL = 1.0
#: Seconds of nothing new after which a heartbeat is sent: a server notices only by writing that a
#: browser has gone, and the page takes 12 silent seconds for a proxy that holds events back.
HEARTBEAT = 5.0
#: Seconds after which the browser is made to connect anew, so that no worker is held for ever.
LIFETIME = 600.0
#: Milliseconds after which the browser does so.
RETRY = 2000


class Feed:
    """Hands out the parts; they are gathered once an ``INTERVAL`` at most, by whoever asks.

    No thread of its own: without a browser nothing is asked for. Any thread may call it.
    """

    def __init__(self, gather: Callable[[], dict[str, Any]], max_live: int) -> None:
        self._gather = gather
        self._max_live = max_live
        # Held while figures are gathered; guards _latest and _due.
        self._gathering = threading.Lock()
        self._latest: dict[str, str] = {}
        self._due = 0.0
        self._slots = threading.Lock()  # guards _live
        self._live = 0
        self._closed = threading.Event()

    def parts(self) -> dict[str, str]:
        """The parts by name, as JSON texts."""
        with self._gathering:
            if time.monotonic() >= self._due:
                found = self._gather()
                self._latest = {name: json.dumps(part) for name, part in found.items()}
                self._due = time.monotonic() + INTERVAL
            return self._latest

    def snapshot(self) -> bytes:
        """All parts, as one JSON object."""
        return joined(self.parts())

    def live(self) -> Optional[Live]:
        """A connection that stays; None if there are too many, or the feed was closed."""
        with self._slots:
            if self._live >= self._max_live or self._closed.is_set():
                return None
            self._live += 1
        return Live(self)

    def wait(self) -> bool:
        """Until it is time to look again; True if the feed was closed meanwhile."""
        return self._closed.wait(INTERVAL)

    def leave(self) -> None:
        """A connection has ended."""
        with self._slots:
            self._live -= 1

    def close(self) -> None:
        """End all connections within a moment; there are no new ones."""
        self._closed.set()


class Live:
    """What is sent to one browser: all parts at once, then those that changed. The server
    iterates, and calls ``close`` at the end, whatever the reason."""

    def __init__(self, feed: Feed) -> None:
        self._feed: Optional[Feed] = feed
        self._events = self._run(feed)

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        """Free the place. Harmless if done twice."""
        self._events.close()
        # Not in a ``finally`` of the generator: one that was never begun has none.
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.leave()

    @staticmethod
    def _run(feed: Feed) -> Generator[bytes, None, None]:
        until = time.monotonic() + LIFETIME
        sent: dict[str, str] = {}
        spoken = time.monotonic()
        yield b"retry: %d\n\n" % RETRY
        while time.monotonic() < until:
            latest = feed.parts()
            changed = {name: text for name, text in latest.items() if sent.get(name) != text}
            if changed:
                sent, spoken = latest, time.monotonic()
                yield b"event: parts\ndata: " + joined(changed) + b"\n\n"
            elif time.monotonic() - spoken >= HEARTBEAT:
                spoken = time.monotonic()
                yield b"event: beat\ndata:\n\n"
            if feed.wait():
                return


def joined(parts: dict[str, str]) -> bytes:
    """Parts that are JSON already, as one object. JSON has no line breaks of its own, so it is
    one ``data`` line."""
    return ("{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}").encode()
