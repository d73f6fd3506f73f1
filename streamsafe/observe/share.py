"""Share: the figures of this process, added to those of others in a store.

Here lives when figures are sent, and what becomes of them while the store fails. Streams never
wait for the store: a thread of this module's sends what they added, about once a second.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import threading
from typing import Any, Callable, Optional, TypeVar

from streamsafe.observe import pool
from streamsafe.observe.figures import Figures, Ledger
from streamsafe.observe.report import Picture
from streamsafe.observe.stores import Document, Store
from streamsafe.observe.tallies import Ticks
from streamsafe.observe.windows import Span

T = TypeVar("T")

logger = logging.getLogger("streamsafe")

#: Seconds between two sendings, and rounds without news after which the thread ends.
INTERVAL = 1.0
IDLE_ROUNDS = 2
#: A document outlives its process by this, because its failures are still of interest.
KEEP_DOCUMENT = 3600.0

#: What this process tells of itself: "active", "active_tokens", "streams", "failures".
Describe = Callable[[], dict[str, Any]]


class Share:
    """Adds one monitor's figures to a store. Thread-safe; a forked child starts empty.

    ``describe`` is called for the process's document, with no lock held.
    """

    def __init__(self, store: Store, clock: Ticks, describe: Describe) -> None:
        self._store = store
        self._clock = clock
        self._describe = describe
        #: The message of the last failure of the store, or None while it works.
        self.failure: Optional[str] = None
        self.forked()

    def forked(self) -> None:
        """Begin anew, also in a forked child: what was pending is the parent's to send."""
        self.process = f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
        # Guards _pending and _thread. Reentrant, for streams that end as they are collected.
        self._wakeup = threading.Condition(threading.RLock())
        # Held while the store is talked to, so that figures arrive in one piece and once.
        self._sending = threading.Lock()
        self._pending = Ledger()
        self._thread: Optional[threading.Thread] = None

    def add(self, group: tuple[str, str], figures: Figures) -> None:
        """Have figures sent soon. Never waits for the store."""
        with self._wakeup:
            self._pending.add(group, figures)
            if self._thread is None:
                # Daemonic because a store that hangs must not hold the program's end up; what
                # is pending then is sent by the exit handler, or lost after its time limit.
                self._thread = threading.Thread(
                    target=self._run, name="streamsafe-share", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:  # no thread is to be had now; there may be later
                    self._thread = None
                    raise
                atexit.register(self.publish)

    def publish(self) -> bool:
        """Send now what is pending; False if the store failed: it is kept and sent later.

        For the end of a process that skips exit handlers (``multiprocessing``, ``os._exit``).
        """
        with self._sending:
            wall = self._clock.wall()
            said = {**self._describe(), "process": self.process, "wall": wall}
            document = Document(self.process, KEEP_DOCUMENT, json.dumps(said, default=str))
            with self._wakeup:
                pending, self._pending = self._pending, Ledger()
            try:
                self._store.publish(pool.buckets(pending, wall), document, wall)
            except Exception as error:  # of any library: the figures must survive it
                with self._wakeup:
                    self._pending.merge(pending)
                self._failed(error)
                return False
            self.failure = None
            return True

    def picture(self) -> Optional[Picture]:
        """The whole over all processes, this one's latest included; None if the store fails."""
        self.publish()
        return self._read(lambda wall: pool.picture(self._store, wall))

    def series(self, span: Span) -> Optional[list[Figures]]:
        """The whole by buckets of a window, the oldest first; None if the store fails."""
        self.publish()
        return self._read(lambda wall: pool.series(self._store, wall, span))

    def others(self) -> list[dict[str, Any]]:
        """The documents of all other processes; none if the store fails."""
        said = self._read(lambda wall: pool.documents(self._store, wall)) or []
        return [document for document in said if document["process"] != self.process]

    def _read(self, what: Callable[[float], T]) -> Optional[T]:
        try:
            return what(self._clock.wall())
        except Exception as error:  # of any library
            self._failed(error)
            return None

    def close(self) -> None:
        """Send what is pending, let the thread end and the store's connections go; figures that
        come later start anew."""
        self.publish()
        with self._wakeup:
            thread, self._thread = self._thread, None
            atexit.unregister(self.publish)
            self._wakeup.notify_all()
        if thread is not None:
            thread.join()
        self._store.close()

    def _run(self) -> None:
        idle = 0
        while True:
            self.publish()
            active = self._describe()["active"]
            with self._wakeup:
                if self._thread is threading.current_thread():
                    self._wakeup.wait(INTERVAL)
                if self._thread is not threading.current_thread():
                    return
                idle = 0 if active or self._pending.groups else idle + 1
                if idle >= IDLE_ROUNDS:
                    self._thread = None
                    atexit.unregister(self.publish)
                    return

    def _failed(self, error: Exception) -> None:
        # Once for each outage: a store that is away for an hour must not fill the log.
        said = f"{type(error).__name__}: {error}"
        if self.failure is None:
            logger.warning("the monitor's store fails, figures are kept here: %s", said)
        self.failure = said
