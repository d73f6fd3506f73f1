"""Notices: how a stream tells observers and the program's callbacks.

Here lives the calling of other people's code, and what becomes of what it raises: an observer's
fault is logged and counted, a callback's ends the stream. No lock is held meanwhile.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import Any, Callable, Optional

from streamsafe.engine import watchdog
from streamsafe.engine.timing import Clock
from streamsafe.lifecycle import Observer, Record, Stalled
from streamsafe.setup import Callbacks

logger = logging.getLogger("streamsafe")


class ProgramError(Exception):
    """Carries what a callback raised past the loop over attempts, which mends only our own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Notices:
    """Tells; used by the reading thread, ``stall`` by the watchdog's."""

    def __init__(
        self,
        stream_id: str,
        clock: Clock,
        callbacks: Callbacks,
        observers: tuple[Observer, ...],
        fail: Callable[[ProgramError], None],
    ) -> None:
        self._stream_id = stream_id
        self._clock = clock
        self.callbacks = callbacks
        self._observers = observers
        self._process: Optional[int] = None  # set by the first record
        # It is a method of the run that holds this: a stream that is dropped is to be gone at once.
        self._fail = weakref.WeakMethod(fail)
        #: How often an observer raised.
        self.faults = 0
        #: For whoever makes records in a hot loop: None if nobody observes.
        self.record: Optional[Callable[[Record], None]] = self._observe if observers else None

    def tell(self, kind: Callable[..., Record], *facts: Any) -> None:
        """Make a record of this kind and tell the observers, if there are any."""
        if self._observers:
            self._observe(kind(self._stream_id, self._clock.now(), *facts))

    def call(self, function: Optional[Callable[[Any], object]], argument: object) -> None:
        """Call the program's function, if there is one. Raises ProgramError for what it raises."""
        if function is None:
            return
        try:
            function(argument)
        except Exception as error:
            raise ProgramError(error) from error

    def stall(self, seconds: float) -> None:
        """Tell of silence, on the helper thread: the watchdog's must not run a program's code."""
        if self._observers or self.callbacks.on_stall is not None:
            watchdog.tell(lambda: self._stall(seconds))

    def _stall(self, seconds: float) -> None:
        self.tell(Stalled, seconds)
        try:
            self.call(self.callbacks.on_stall, seconds)
        except ProgramError as carrier:
            # The reader is blocked in the socket: it is woken, and raises what was raised here.
            fail = self._fail()
            if fail is not None:
                fail(carrier)

    def _observe(self, record: Record) -> None:
        if self._process is None:
            self._process = os.getpid()
        elif self._process != os.getpid():
            return  # a forked child drops its copy of a stream, which goes on in its parent
        for observer in self._observers:
            try:
                observer.observe(record)
            except Exception:
                self.faults += 1
                logger.exception("an observer of stream %s raised", self._stream_id)
