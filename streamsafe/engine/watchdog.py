"""The watchdog: one thread that looks at deadlines while readers are blocked in sockets.

Here lives the thread and its heap. It knows no HTTP, no stream and no limit: it calls
``look(now)`` of whoever asked to be watched when the time they named has come, and they
answer with the next time, or None when there is nothing to watch any more. ``look`` must
neither block nor raise nor run a program's code; whoever wants a program told hands that to
``tell``, which runs it on a helper thread.

A stream never talks to the thread per event: it stamps a time, and the thread, when a deadline
comes up, finds out that it has moved.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import sys
import threading
import time
from typing import Callable, Optional

logger = logging.getLogger("streamsafe")

#: ``look(now)`` -> when to look again on time.monotonic(), or None: no more.
Look = Callable[[float], Optional[float]]

#: How long the threads outlive their work: a stream after the other finds them still there,
#: and half a second after the last nothing is left.
LINGER = 0.5

#: A stream that wants to tell of a stall finds this much room; what is over is dropped,
#: because a callback that blocks must not hold up the watchdog.
MAX_TOLD = 256


class Watch:
    """A hold on what is watched; ``stop()`` lets go, from any thread, at no cost."""

    __slots__ = ("look",)

    def __init__(self, look: Look) -> None:
        self.look: Optional[Look] = look

    def stop(self) -> None:
        """Never look again. A look that is under way at this moment may still end."""
        self.look = None


class Watchdog:
    """A daemon thread with a heap of deadlines, started on first use, gone when idle.

    Daemonic because it holds nothing that must be finished when the program ends. Time is
    ``time.monotonic``: a thread can only wait on the machine's clock.
    """

    def __init__(self, name: str = "streamsafe-watchdog", linger: float = LINGER) -> None:
        self._name = name
        self._linger = linger
        # Guards _heap and _thread.
        self._wakeup = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, Watch]] = []
        self._order = itertools.count()
        self._thread: Optional[threading.Thread] = None

    def watch(self, at: float, look: Look) -> Watch:
        """Have ``look`` called at ``at`` (time.monotonic) and whenever it asks for again.

        Raises RuntimeError where no thread can be had that looks."""
        if sys.is_finalizing():  # in a finalizer of the program's: a start would hang before 3.12
            raise RuntimeError("Python is ending: no thread can be started any more")
        watch = Watch(look)
        with self._wakeup:
            first = not self._heap or at < self._heap[0][0]
            if self._thread is None:
                # Started under the lock, so that two first streams do not start two; and kept
                # only then, as a system that is out of threads may have one for the next stream.
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread, first = thread, False
            heapq.heappush(self._heap, (at, next(self._order), watch))
            if first:
                self._wakeup.notify()
        return watch

    def _run(self) -> None:
        while True:
            with self._wakeup:
                due = self._due()
                if due is None and self._idle():
                    self._thread = None
                    return
            if due is not None:
                self._look(due)

    def _due(self) -> Optional[Watch]:
        """The next that is due; waits for it, or for a change. The lock is held."""
        while self._heap and self._heap[0][2].look is None:
            heapq.heappop(self._heap)
        if not self._heap:
            return None
        wait = self._heap[0][0] - time.monotonic()
        if wait > 0:
            # At most a linger at a time: watches that were stopped must not keep the thread.
            self._wakeup.wait(min(wait, self._linger))
            return None
        return heapq.heappop(self._heap)[2]

    def _idle(self) -> bool:
        """Wait a while for work; True if none came. The lock is held."""
        return not self._live() and not self._wakeup.wait(self._linger) and not self._heap

    def _live(self) -> bool:
        while self._heap and self._heap[0][2].look is None:
            heapq.heappop(self._heap)
        return bool(self._heap)

    def _look(self, watch: Watch) -> None:
        look = watch.look
        if look is None:
            return
        try:
            again = look(time.monotonic())
        except Exception:  # a bug of ours; the other streams must still be watched
            logger.exception("streamsafe's watchdog could not look at a stream")
            return
        if again is not None:
            with self._wakeup:
                heapq.heappush(self._heap, (again, next(self._order), watch))


class Teller:
    """The watchdog's helper thread: runs a program's callbacks, one after another.

    Daemonic and short-lived like the watchdog. A callback that raises is logged.
    """

    def __init__(self, name: str = "streamsafe-teller", linger: float = LINGER) -> None:
        self._name = name
        self._linger = linger
        # Guards _told and _thread.
        self._wakeup = threading.Condition(threading.Lock())
        self._told: list[Callable[[], None]] = []
        self._thread: Optional[threading.Thread] = None

    def tell(self, message: Callable[[], None]) -> bool:
        """Run ``message`` soon on the helper thread; False if too many wait already, or the
        system has no thread to give: the watchdog, which calls this, must go on."""
        with self._wakeup:
            if len(self._told) >= MAX_TOLD:
                return False
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
            self._told.append(message)
            self._wakeup.notify()
        return True

    def _run(self) -> None:
        while True:
            with self._wakeup:
                if not self._told and not self._wakeup.wait(self._linger) and not self._told:
                    self._thread = None
                    return
                if not self._told:
                    continue
                message = self._told.pop(0)
            try:
                message()
            except Exception:
                logger.exception("a callback of streamsafe's raised")


class _Shared:
    """The one watchdog and the one teller of this process.

    Made at first use: locks made at import would escape a later gevent monkey-patching.
    Forgotten in a forked child: there the threads are gone, and a lock may be held by nobody.
    """

    def __init__(self) -> None:
        self._made: dict[str, object] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._made.clear)

    def watchdog(self) -> Watchdog:
        found = self._made.get("watchdog")
        # setdefault is atomic: two first streams get one and the same.
        return found or self._made.setdefault("watchdog", Watchdog())  # type: ignore[return-value]

    def teller(self) -> Teller:
        found = self._made.get("teller")
        return found or self._made.setdefault("teller", Teller())  # type: ignore[return-value]


_shared = _Shared()


def watch(at: float, look: Look) -> Watch:
    """Have the process's watchdog call ``look`` at ``at``; see ``Watchdog.watch``."""
    return _shared.watchdog().watch(at, look)


def tell(message: Callable[[], None]) -> bool:
    """Run ``message`` on the process's helper thread; see ``Teller.tell``."""
    return _shared.teller().tell(message)


#: The clock that ``watch`` and ``look`` go by.
now = time.monotonic
