"""Listeners: functions that are told of a stream's start, errors, retries, stalls and end.

Here lives what an event looks like and how it is told; the keys are documented at
``StreamMonitor.add_listener``.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable

from streamsafe.errors import ConfigurationError
from streamsafe.lifecycle import (
    Cancelled,
    Completed,
    Failed,
    Malformed,
    Record,
    Retrying,
    Stalled,
    Started,
)
from streamsafe.observe.tally import Tally, describe

logger = logging.getLogger("streamsafe")

#: Called with one event as a plain dict, on the thread that made it.
Listener = Callable[[dict[str, Any]], object]


class Listeners:
    """Who is told. Any thread may call it."""

    def __init__(self) -> None:
        self._all: tuple[Listener, ...] = ()
        #: How often one of them raised.
        self.faults = 0
        self._lock = threading.Lock()  # guards changes of _all; it is read without

    def add(self, listener: Listener) -> None:
        """Tell it from now on. Raises ConfigurationError for what can't be called."""
        if not callable(listener):
            raise ConfigurationError(
                f"add_listener({listener!r}): expected a function that takes an event, a dict"
            )
        with self._lock:
            self._all += (listener,)

    def remove(self, listener: Listener) -> None:
        """Tell it no more; harmless if it was not added."""
        with self._lock:
            self._all = tuple(known for known in self._all if known != listener)

    def tell(self, record: Record, tally: Tally) -> None:
        """Tell all of them what a record, already folded into its tally, is to them."""
        listeners = self._all
        if not listeners:
            return
        for facts in _events(record, tally):
            for listener in listeners:
                # Each gets its own: what one does to it is not seen by the next.
                event = {
                    "at": tally.when(record.at),
                    "stream_id": tally.stream_id,
                    "provider": tally.provider,
                    "model": tally.model,
                    **facts,
                }
                if facts["event"] == "end":
                    event["stream"] = tally.view(record.at)
                try:
                    listener(event)
                except Exception:
                    self.faults += 1
                    logger.exception("a listener of the monitor raised")

    def forked(self) -> None:
        """In a forked child: the lock may be held by nobody."""
        self._lock = threading.Lock()


def _events(record: Record, tally: Tally) -> list[dict[str, Any]]:
    """What a record is to a listener: none, one or two events."""
    if isinstance(record, Started):
        return [{"event": "start"}]
    if isinstance(record, Stalled):
        return [{"event": "stall", "silent_for": record.silent_for}]
    if isinstance(record, Malformed):
        return [{"event": "error", **describe(record.error), "will_retry": False}]
    if isinstance(record, Retrying):
        facts = {"number": record.number, "delay": record.delay, "reason": record.reason}
        error = {"event": "error", **describe(record.error), "will_retry": True}
        return [error, {"event": "retry", **facts}]
    end = {"event": "end", "status": tally.status, "outcome": tally.outcome}
    if isinstance(record, Failed):
        return [{"event": "error", **describe(record.error), "will_retry": False}, end]
    if isinstance(record, (Completed, Cancelled)):
        return [end]
    return []
