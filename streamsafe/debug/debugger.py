"""StreamDebugger: sees what happens to streams and says what it was.

Here lives the observer and which streams it remembers. What is kept of one is ``logbook``'s, what
it means ``diagnosis``'s, how it looks ``report_text``'s, ``report_html``'s and ``report_json``'s.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Optional

from streamsafe.debug.logbook import Logbook
from streamsafe.debug.thresholds import Thresholds
from streamsafe.debug.timeline import Timeline
from streamsafe.errors import ConfigurationError
from streamsafe.lifecycle import Chunks, Record, Started

if TYPE_CHECKING:
    from streamsafe.debug.case import Case
    from streamsafe.debug.finding import Finding

FORMATS = ("text", "html", "json")


class StreamDebugger:
    """An observer that remembers: ``StreamSession(..., observers=(debugger,))``.

    ::

        debugger = StreamDebugger()
        for chunk in session.stream("Hi", observers=(debugger,)):
            ...
        print(debugger.report())

    One debugger serves any number of sessions, streams and threads. Memory is bounded: the last
    ``max_streams`` streams (running ones go last), and of each ``max_steps`` steps (about 250
    bytes each): past that the oldest reads of the middle are merged into counts. Keys, cookies and
    tokens are masked before anything is kept; ``mask_bodies=True`` masks what was asked and
    answered as well. ``thresholds`` say from when on something is slow. In a forked child it
    begins anew.

    Raises ConfigurationError for an argument that can't be right.
    """

    def __init__(
        self,
        *,
        max_streams: int = 50,
        max_steps: int = 1000,
        mask_bodies: bool = False,
        thresholds: Optional[Thresholds] = None,
    ) -> None:
        for name, value, least in (("max_streams", max_streams, 1), ("max_steps", max_steps, 32)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigurationError(
                    f"StreamDebugger({name}={value!r}): expected an int of at least {least}"
                )
        self._max_streams = max_streams
        self._max_steps = max_steps
        self._mask_bodies = mask_bodies
        self.thresholds = Thresholds() if thresholds is None else thresholds
        self.forked()
        _living.add(self)

    def forked(self) -> None:
        """In a forked child: the lock may be held by nobody, and the streams are the parent's."""
        # Guards who is in _logbooks; each logbook is written by its stream's thread alone.
        self._lock = threading.Lock()
        self._logbooks: dict[str, Logbook] = {}

    # -- records in ----------------------------------------------------------------------------

    def observe(self, record: Record) -> None:
        """Take note of one record. Called by the streams, on their reading threads."""
        if type(record) is Chunks:
            logbook = self._logbooks.get(record[0])
            if logbook is not None:
                logbook.read(record)
        elif type(record) is Started:
            self._start(record)
        else:
            logbook = self._logbooks.get(record.stream_id)
            if logbook is not None:
                logbook.note(record)

    def _start(self, record: Started) -> None:
        logbook = Logbook(record, self._max_steps, self._mask_bodies)
        with self._lock:
            # A stream that is gone on with under its old id is the newest.
            self._logbooks.pop(record.stream_id, None)
            self._logbooks[record.stream_id] = logbook
            if len(self._logbooks) > self._max_streams:
                ended = (name for name, one in self._logbooks.items() if not one.running)
                del self._logbooks[next(ended, next(iter(self._logbooks)))]

    # -- reports out, from any thread ------------------------------------------------------------

    @property
    def stream_ids(self) -> tuple[str, ...]:
        """The streams that are remembered, in the order in which they began."""
        with self._lock:
            return tuple(self._logbooks)

    def timeline(self, stream_id: Optional[str] = None) -> Timeline:
        """What happened to a stream, as values; None = the one that began last.

        Raises LookupError for a stream that is not (or no longer) known.
        """
        return self._logbook(stream_id).timeline()

    def diagnose(self, stream_id: Optional[str] = None) -> list[Finding]:
        """What was found wrong with a stream, the gravest first; nothing if all is well.

        Raises LookupError for a stream that is not known.
        """
        from streamsafe.debug.diagnosis import diagnose

        return diagnose(self._case(stream_id))

    def report(self, stream_id: Optional[str] = None, format: str = "text") -> str:
        """What happened to a stream and why; None = the one that began last.

        ``format``: "text" (80 columns), "html" (one page that needs nothing else) or "json".
        Raises LookupError for a stream that is not known, ConfigurationError for another format.
        """
        if format not in FORMATS:
            raise ConfigurationError(f"format={format!r}: expected one of {', '.join(FORMATS)}")
        case = self._case(stream_id)
        if format == "text":
            from streamsafe.debug.report_text import report as text

            return text(case)
        if format == "html":
            from streamsafe.debug.report_html import page

            return page(case)
        from streamsafe.debug.report_json import report as json_text

        return json_text(case)

    def _repr_html_(self) -> str:
        """How a notebook shows it: the report on the stream that began last."""
        if not self.stream_ids:
            return "<p>StreamDebugger: no stream yet</p>"
        from streamsafe.debug.report_html import fragment

        return fragment(self._case(None))

    def __repr__(self) -> str:
        return f"<StreamDebugger: {len(self.stream_ids)} streams>"

    def _case(self, stream_id: Optional[str]) -> Case:
        from streamsafe.debug.case import Case

        subject = self._logbook(stream_id)
        with self._lock:
            others = [one for one in self._logbooks.values() if one is not subject]
        return Case.of(
            subject.timeline(), self.thresholds, tuple(other.timeline() for other in others)
        )

    def _logbook(self, stream_id: Optional[str]) -> Logbook:
        with self._lock:
            if stream_id is None and self._logbooks:
                return next(reversed(list(self._logbooks.values())))
            found = self._logbooks.get(stream_id or "")
            known = ", ".join(map(repr, list(self._logbooks)[-5:])) or "none yet"
        if found is None:
            raise LookupError(
                f"no stream {stream_id!r} is remembered; the latest: {known}. Is the debugger "
                "among the observers= of the session or the stream?"
            )
        return found


_living: weakref.WeakSet[StreamDebugger] = weakref.WeakSet()


def _after_fork() -> None:
    for debugger in list(_living):
        debugger.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
