"""StreamMonitor: how healthy the streams are, as figures, events and alerts.

Here lives the observer that keeps the figures of all its streams and hands them out. What is
counted of one stream is told in ``tally``, what a report says in ``report``, how processes add
up in ``share``.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from typing import Any, Optional, Union

from streamsafe.errors import ConfigurationError
from streamsafe.lifecycle import Chunks, Failed, Record, Stalled, Started
from streamsafe.observe import pool, report
from streamsafe.observe.alerts import Alert, AlertRule, Alerts, OnAlert
from streamsafe.observe.figures import Figures, Ledger
from streamsafe.observe.listeners import Listener, Listeners
from streamsafe.observe.share import Share
from streamsafe.observe.stores import store
from streamsafe.observe.tallies import FORGET_AFTER, MachineTicks, Tallies, Ticks
from streamsafe.observe.tally import Tally
from streamsafe.observe.windows import SPANS, Windows, span

#: How many streams and failures a process shows the others, once a second.
MAX_SHOWN_STREAMS = 50
MAX_SHOWN_FAILURES = 20


class StreamMonitor:
    """An observer that counts: ``StreamSession(..., observers=(monitor,))``.

    One monitor serves any number of sessions, streams and threads. Memory is bounded: all
    running streams, the last ``keep`` that ended (about 5 KB each), and sums. A running stream
    that was not heard of for ``forget_after`` seconds is "lost": it counts neither as running
    nor as ended, until it speaks again.

    ``share`` is the path of a SQLite file (processes of one machine) or a ``redis://`` URL (extra
    ``redis``; many machines): the reports are then about all processes that share it, all time
    included. Alerts and listeners stay this process's. ``clock`` is for tests.

    What counts: a stream that got its verdict is a success, also when cut off by length or
    filtered; one that raised is a failure; one that was cancelled or left is neither. Only
    streams whose start was seen are counted. After a fork the child counts from zero.

    Raises ConfigurationError for an argument that can't be right.
    """

    def __init__(
        self,
        *,
        keep: int = 1000,
        forget_after: float = FORGET_AFTER,
        share: Union[str, os.PathLike[str], None] = None,
        clock: Optional[Ticks] = None,
    ) -> None:
        if not isinstance(keep, int) or keep < 0 or not forget_after > 0:
            raise ConfigurationError(
                f"StreamMonitor(keep={keep!r}, forget_after={forget_after!r}): expected an int "
                "of at least 0 and seconds > 0"
            )
        self._keep = keep
        self._forget_after = forget_after
        self._clock: Ticks = MachineTicks() if clock is None else clock
        self._listeners = Listeners()
        self._alerts = Alerts()
        self._share: Optional[Share] = None
        self._reset()
        if share is not None:
            self._share = Share(store(share), self._clock, self._describe)
        _living.add(self)

    def _reset(self) -> None:
        # Guards _ledger, _windows, _ended and who is in _tallies; the tallies themselves belong
        # to their streams' reading threads. Reentrant: a stream that is garbage ends wherever the
        # collector runs, be it in here.
        self._lock = threading.RLock()
        self._tallies = Tallies(self._clock, self._forget_after)
        self._running = self._tallies.running
        self._ended: OrderedDict[str, Tally] = OrderedDict()
        self._ledger = Ledger()
        self._windows = Windows()

    def forked(self) -> None:
        """In a forked child: locks may be held by nobody, and the figures are the parent's."""
        self._reset()
        self._listeners.forked()
        self._alerts.forked()
        if self._share is not None:
            self._share.forked()

    # -- records in ----------------------------------------------------------------------------

    def observe(self, record: Record) -> None:
        """Count one record. Called by the streams, on their reading threads."""
        if type(record) is Chunks:
            # Once a network read. No lock: the tally is this thread's, and its sums are handed
            # on every few seconds only.
            tally = self._running.get(record[0]) or self._find(record[0])
            if tally is not None:
                tally.read(record)
                if tally.last >= tally.due:
                    self._add(tally.group, tally.take())
        elif type(record) is Started:
            self._start(record)
        else:
            self._observe(record)

    def _start(self, record: Started) -> None:
        figures = Figures()
        figures.count("started")
        with self._lock:
            for lost in self._tallies.sweep():
                self._retire(lost)
            before = self._running.get(record.stream_id)
            if before is not None:
                before.status = "lost"
                self._retire(before)
            tally = self._tallies.start(record)
        self._add(tally.group, figures)
        self._listeners.tell(record, tally)

    def _observe(self, record: Record) -> None:
        tally = self._running.get(record.stream_id) or self._find(record.stream_id)
        if tally is None:
            return
        figures = tally.fold(record)
        if tally.ended is not None:
            with self._lock:
                self._running.pop(tally.stream_id, None)
                self._retire(tally)
        if figures:
            self._add(tally.group, figures)
        self._listeners.tell(record, tally)
        # Bad news is looked at always, for it may be the last that is heard.
        bad = isinstance(record, (Failed, Stalled))
        if bad or tally.ended is not None and self._alerts.due(self._clock.now()):
            self._check()

    def _find(self, stream_id: str) -> Optional[Tally]:
        """The tally of a stream that was lost and speaks again; None of an unknown one."""
        with self._lock:
            tally = self._tallies.get(stream_id)
            if tally is not None:
                self._ended.pop(stream_id, None)
            return tally

    def _retire(self, tally: Tally) -> None:
        """Keep a stream that runs no more; the lock is held."""
        self._ended.pop(tally.stream_id, None)
        self._ended[tally.stream_id] = tally
        while len(self._ended) > self._keep:
            self._ended.popitem(last=False)

    def _add(self, group: tuple[str, str], figures: Figures) -> None:
        with self._lock:
            self._ledger.add(group, figures)
            self._windows.add(figures, self._clock.now())
        if self._share is not None:
            self._share.add(group, figures)

    # -- who is told -----------------------------------------------------------------------------

    def add_listener(self, listener: Listener) -> None:
        """Have ``listener(event)`` called on a stream's start, error, retry, stall and end.

        The event is a plain dict of its own: ``event`` ("start", "error", "retry", "stall",
        "end"), ``at`` (seconds since the epoch), ``stream_id``, ``provider``, ``model``; with
        "error" also ``type``, ``message``, ``hint``, ``status``, ``code``, ``clock``,
        ``request_id``, ``will_retry``; with "retry" ``number``, ``delay``, ``reason``; with
        "stall" ``silent_for``; with "end" ``status``, ``outcome`` and ``stream`` (as
        ``get_stream``). A failed attempt that is tried again is an "error" and a "retry".

        Called on the stream's reading thread ("stall": the watchdog's helper thread), so it should
        be quick. What it raises is logged and counted in ``get_health_report()``. Raises
        ConfigurationError for what can't be called.
        """
        self._listeners.add(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Call it no more; harmless if it was not added."""
        self._listeners.remove(listener)

    def add_alert(self, rule: AlertRule, callback: OnAlert) -> None:
        """Have ``callback(alert)`` called once when ``rule`` begins to ring, once when it clears.

        Rules are looked at on each failure and stall, on other ends once a second at most, and by
        ``check_alerts`` and ``get_health_report``; the callback runs on the thread that looked.
        What it raises is logged. Raises ConfigurationError if a rule of that name is there, or for
        what is no rule or can't be called.
        """
        self._alerts.add(rule, callback)

    def check_alerts(self) -> list[Alert]:
        """Look at all rules now and give those that ring; for a timer, when nothing streams."""
        self._check()
        return self._alerts.firing()

    def _check(self) -> None:
        self._alerts.check(self._recent, self._clock.wall())

    def _recent(self, window: str) -> Figures:
        with self._lock:
            buckets = self._windows.recent(window, self._clock.now())
        return Figures.sum(buckets)

    # -- reports ---------------------------------------------------------------------------------

    def get_stats(self) -> dict[str, Any]:
        """The counts, as a new dict. Any thread.

        ``total_streams`` (started), ``active_streams``, ``successful_streams``,
        ``failed_streams``, ``cancelled_streams``, ``success_rate`` (0.0 to 1.0: successes among
        successes and failures; 1.0 while there are none), ``retries``, ``total_tokens``
        (input and output of all attempts, running streams included; as the servers said, of
        which ``estimated_tokens`` of ended streams are guessed from lengths), ``total_bytes``,
        ``total_chunks``, ``errors_by_type`` (all failures met, also those mended by a retry: name
        of the type to count, falling), ``processes`` (that share these figures and were
        heard of within the hour).

        Running streams hand their bytes and chunks on every five seconds, all else at once.
        """
        return report.stats(self.picture())

    def get_health_report(self) -> dict[str, Any]:
        """How the streams fare, as a new dict. Any thread.

        ``total_streams``, ``active_streams``, ``success_rate`` as in ``get_stats``;
        ``avg_duration`` (seconds) and ``avg_bytes_per_stream`` of ended streams (0.0 while there
        are none); ``common_errors``: pairs (name of the type, count), falling. ``ttft``, ``gaps``
        (between contents, within attempts, without what the program held) and ``durations`` are
        dicts with ``count``, ``mean``, ``p50``, ``p90``, ``p99``, ``max`` in seconds, right to
        2 %, None while there are none; ``tokens_per_second`` is the mean speed of a stream that
        ended, or None. Further sums: ``successful_streams`` (of which ``truncated_streams``,
        ``filtered_streams``), ``failed_streams``, ``cancelled_streams``, ``bytes``, ``chunks``,
        ``heartbeats``, ``tokens``, ``retries``, ``reconnects``, ``stalls``, ``seams``,
        ``malformed``.

        ``by_provider`` and ``by_model`` hold the same for each (of a stream with fallbacks, who
        answered last; "unknown" where no model was asked for), ``windows`` for what happened
        within "1m", "5m" and "1h", there with ``seconds`` and ``bytes_per_second``. ``alerts``:
        those that ring, as dicts.
        ``listener_faults``, ``processes``, and ``store_failure``: None, or why these are this
        process's figures alone.
        """
        found = report.health(self.picture())
        found["alerts"] = [alert._asdict() for alert in self.check_alerts()]
        found["listener_faults"] = self._listeners.faults
        found["store_failure"] = self._share.failure if self._share is not None else None
        return found

    def get_stream(self, stream_id: str) -> Optional[dict[str, Any]]:
        """What is known of one stream, as a new dict, or None. Any thread.

        ``stream_id``, ``provider``, ``model``, ``status`` (one of "pending", "streaming",
        "retrying", "complete", "failed", "cancelled", "lost"), ``outcome`` ("pending",
        "complete", "truncated", "filtered", "failed", "cancelled"), ``started`` and ``ended``
        (seconds since the epoch), ``duration``, ``silent_for`` (since the last record), ``bytes``,
        ``events``, ``chunks``, ``heartbeats``, ``attempts``, ``retries``, ``reconnects``,
        ``stalls``, ``malformed``, ``seams`` and ``errors`` (the last 20, without content of the
        answer but with the server's words), ``error_count``, ``tokens`` (``input``, ``output``,
        ``reasoning``, ``cached``, ``total``, ``estimated``), ``tokens_per_second``, ``ttft``,
        ``gaps``, ``held`` (seconds that the program kept it since the first content),
        ``http_status``, ``request_id``, ``finish_reason``.
        """
        with self._lock:
            tally = self._running.get(stream_id) or self._ended.get(stream_id)
        if tally is not None:
            return tally.view(self._clock.now())
        return next((s for s in self._others() if s["stream_id"] == stream_id), None)

    def streams(self, status: Optional[str] = None) -> list[dict[str, Any]]:
        """All that are known, as in ``get_stream``, the newest first.

        ``status`` is one of theirs, "active" (pending, streaming or retrying), or None for all;
        ConfigurationError for another. Of other processes: the active, and the last failures.
        """
        statuses = report.wanted(status)
        now = self._clock.now()
        with self._lock:
            tallies = [*self._ended.values(), *self._running.values()]
        found = [tally.view(now) for tally in tallies if tally.status in statuses]
        found += [view for view in self._others() if view["status"] in statuses]
        return report.newest(found)

    def failures(self, limit: int = MAX_SHOWN_FAILURES) -> list[dict[str, Any]]:
        """The last ``limit`` streams that failed, as in ``get_stream``, the newest first."""
        now = self._clock.now()
        found = [tally.view(now) for tally in self._failed(limit)]
        found += [view for view in self._others() if view["status"] == "failed"]
        return report.newest(found, "ended", limit)

    def series(self, window: str = "5m") -> list[dict[str, Any]]:
        """The figures over time: a dict for each part of the window, the oldest first. Any thread.

        ``window`` is "1m" (12 parts of 5 s), "5m" (20 of 15 s) or "1h" (60 of 60 s); the last
        part is not over yet. ``at`` (where it begins, seconds since the epoch), ``seconds`` (its
        length), ``success_rate`` (None where nothing ended), ``ttft`` and ``gaps`` as in
        ``get_health_report``, and the sums ``total_streams``, ``successful_streams``,
        ``failed_streams``, ``cancelled_streams``, ``bytes``, ``chunks``, ``tokens`` (of streams
        that ended), ``retries``, ``stalls``. Raises ConfigurationError for another window.
        """
        of = span(window)
        shared = self._share.series(of) if self._share is not None else None
        if shared is not None:
            wall = self._clock.wall()
            return report.series(of, shared, (of.slot(wall) + 1.0) * of.width)
        now = self._clock.now()
        with self._lock:
            found = self._windows.every(window, now)
        until = self._clock.wall() - now + (of.slot(now) + 1) * of.width
        return report.series(of, found, until)

    def _repr_html_(self) -> str:
        """How a notebook shows it: the figures of the moment."""
        from streamsafe.observe.html import fragment

        return fragment(self)

    def publish(self) -> bool:
        """With ``share``: send the pending figures now; False if the store failed.

        Needed at the end of a process that skips exit handlers, such as ``multiprocessing``'s.
        """
        return self._share is None or self._share.publish()

    def close(self) -> None:
        """With ``share``: send the pending figures, end the thread that does so and close the
        store's connections. The monitor can be used on. Without it, the thread ends two seconds
        after the last stream, and a connection to Redis stays open."""
        if self._share is not None:
            self._share.close()

    def picture(self) -> report.Picture:
        """The figures as values, for exporters and reports of one's own: with ``share`` those of
        all processes, or of this one alone while the store fails."""
        self._sweep()
        shared = self._share.picture() if self._share is not None else None
        return self._own() if shared is None else shared

    def _own(self) -> report.Picture:
        now = self._clock.now()
        with self._lock:
            ledger = self._ledger.copy()
            buckets = {of.name: self._windows.recent(of.name, now) for of in SPANS}
            running = list(self._running.values())
        return report.Picture(
            ledger,
            {name: Figures.sum(found) for name, found in buckets.items()},
            len(running),
            sum(tally.tokens().total_tokens for tally in running),
        )

    def _sweep(self) -> None:
        with self._lock:
            for lost in self._tallies.sweep():
                self._retire(lost)

    def _describe(self) -> dict[str, Any]:
        """What this process shows the others that share its store."""
        now = self._clock.now()
        with self._lock:
            running = list(self._running.values())
        return {
            "active": len(running),
            "active_tokens": sum(tally.tokens().total_tokens for tally in running),
            "streams": [tally.view(now) for tally in running[-MAX_SHOWN_STREAMS:]],
            "failures": [tally.view(now) for tally in self._failed(MAX_SHOWN_FAILURES)],
        }

    def _failed(self, limit: int) -> list[Tally]:
        """The last that failed; they stand in the order in which they ended."""
        with self._lock:
            ended = list(self._ended.values())
        failed = [tally for tally in ended if tally.status == "failed"]
        return failed[-limit:] if limit > 0 else []

    def _others(self) -> list[dict[str, Any]]:
        if self._share is None:
            return []
        return pool.views(self._share.others())


#: The monitors of this process, so that a fork can mend those that the child inherits.
_living: weakref.WeakSet[StreamMonitor] = weakref.WeakSet()


def _after_fork() -> None:
    for monitor in list(_living):
        monitor.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
