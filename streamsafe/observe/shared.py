"""SharedFigures: the figures of all processes, for a program that only looks at them.

Here lives the reader that the dashboard's and the terminal's commands are made of. A program with
streams of its own has a ``StreamMonitor(share=...)``, which shows the same.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Optional, TypeVar, Union

from streamsafe.observe import pool, report
from streamsafe.observe.stores import store
from streamsafe.observe.tallies import MachineTicks, Ticks
from streamsafe.observe.windows import span

T = TypeVar("T")


class SharedFigures:
    """Reads what monitors with ``StreamMonitor(share=where)`` have sent; adds and writes nothing.

    ``where`` is the path of their SQLite file, or their ``redis://`` URL (extra ``redis``). The
    reports have the keys of StreamMonitor's. While the store fails they show what was read
    last; ``get_health_report()["store_failure"]`` says why. Any thread may call it.

    Raises ConfigurationError if there is no such file or it holds no figures, ImportError
    without the redis library.
    """

    def __init__(
        self, where: Union[str, os.PathLike[str]], *, clock: Optional[Ticks] = None
    ) -> None:
        self._store = store(where, readonly=True)
        self._clock: Ticks = MachineTicks() if clock is None else clock
        self._last: dict[str, Any] = {}
        #: The message of the last failure of the store, or None while it works.
        self.failure: Optional[str] = None

    def picture(self) -> report.Picture:
        """The figures as values, for exporters and reports of one's own."""
        empty = report.Picture.empty()
        return self._read("picture", lambda wall: pool.picture(self._store, wall), empty)

    def get_stats(self) -> dict[str, Any]:
        """As ``StreamMonitor.get_stats``, of all processes."""
        return report.stats(self.picture())

    def get_health_report(self) -> dict[str, Any]:
        """As ``StreamMonitor.get_health_report``, of all processes. ``alerts`` is empty, for
        they ring in the processes that have the rules; so is ``listener_faults`` 0."""
        found = report.health(self.picture())
        return {**found, "alerts": [], "listener_faults": 0, "store_failure": self.failure}

    def get_stream(self, stream_id: str) -> Optional[dict[str, Any]]:
        """As ``StreamMonitor.get_stream``, of the streams that ``streams`` knows."""
        return next((s for s in self._views() if s["stream_id"] == stream_id), None)

    def streams(self, status: Optional[str] = None) -> list[dict[str, Any]]:
        """The active ones of all processes and their last failures, the newest first."""
        statuses = report.wanted(status)
        return report.newest(view for view in self._views() if view["status"] in statuses)

    def failures(self, limit: int = 20) -> list[dict[str, Any]]:
        """The last ``limit`` streams that failed, the newest first."""
        return report.newest(self.streams("failed"), "ended", limit)

    def series(self, window: str = "5m") -> list[dict[str, Any]]:
        """As ``StreamMonitor.series``, of all processes."""
        of = span(window)
        nothing = report.series(of, (), 0.0)

        def read(wall: float) -> list[dict[str, Any]]:
            until = (of.slot(wall) + 1.0) * of.width
            return report.series(of, pool.series(self._store, wall, of), until)

        return self._read("series " + window, read, nothing)

    def _repr_html_(self) -> str:
        """How a notebook shows it: the figures of the moment."""
        from streamsafe.observe.html import fragment

        return fragment(self)

    def close(self) -> None:
        """Close the store's connections; it can be used on."""
        self._store.close()

    def _views(self) -> list[dict[str, Any]]:
        return pool.views(
            self._read("documents", lambda wall: pool.documents(self._store, wall), [])
        )

    def _read(self, name: str, what: Callable[[float], T], nothing: T) -> T:
        try:
            found = self._last[name] = what(self._clock.wall())
        except Exception as error:  # of any library
            self.failure = f"{type(error).__name__}: {error}"
            return self._last.get(name, nothing)  # type: ignore[no-any-return]
        self.failure = None
        return found
