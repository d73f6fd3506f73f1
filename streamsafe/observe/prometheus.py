"""Prometheus: the monitor's figures as metrics, under Prometheus's names and units.

Here lives a collector, which reads at each scrape what the monitor has: a stream pays nothing
for it. With ``StreamMonitor(share=...)`` any worker that is scraped shows the whole, so the
multiprocess directory of ``prometheus_client`` is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from streamsafe.observe.figures import ENDS, Figures
from streamsafe.observe.monitor import StreamMonitor

#: The seconds that OpenTelemetry's GenAI conventions have, and on to the ten minutes that a
#: long answer takes.
SECONDS = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    163.84, 327.68, 655.36,
)  # fmt: skip
#: Between contents: from the millisecond of a local model to the longest pause that timeouts allow.
GAP_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

_GROUP = ("provider", "model")

#: Metric, what it says, and the sum that it shows.
_COUNTERS = (
    ("streams_started", "Streams started.", "started"),
    ("retries", "Attempts made again after a failure.", "retries"),
    ("stalls", "Silences that were told of before anything was cut.", "stalls"),
    ("seams", "Resumed answers that were joined.", "seams"),
    ("malformed_events", "Events skipped because they could not be read.", "malformed"),
    ("received_bytes", "Bytes of response bodies received.", "bytes"),
    ("chunks", "Chunks of answers received.", "chunks"),
    ("heartbeats", "Heartbeats received.", "heartbeats"),
)
_HISTOGRAMS = (
    ("time_to_first_token_seconds", "From the start to the first content.", "ttft", SECONDS),
    ("chunk_gap_seconds", "Between reads that brought content.", "gap", GAP_SECONDS),
    ("stream_duration_seconds", "From the start to the end of a stream.", "duration", SECONDS),
)


class PrometheusCollector:
    """Shows a monitor to a ``prometheus_client`` registry.

    ``registry`` is the library's default one if None. ``namespace`` stands before each name.
    All metrics are labelled by ``provider`` and ``model``, but ``<namespace>_streams_active``.
    Histograms are right to 2 % at their bounds. Needs the extra ``prometheus``: raises
    ImportError without it, and ValueError if a collector with these names is registered.
    """

    def __init__(
        self,
        monitor: StreamMonitor,
        registry: Optional[Any] = None,
        namespace: str = "streamsafe",
    ) -> None:
        try:
            import prometheus_client
        except ImportError as error:
            raise ImportError(
                "PrometheusCollector needs prometheus_client: pip install 'streamsafe[prometheus]'"
            ) from error
        self._monitor = monitor
        self._prefix = namespace + "_"
        (prometheus_client.REGISTRY if registry is None else registry).register(self)

    def collect(self) -> Iterator[Any]:
        """The metrics of this moment; called by the registry on the scraping thread."""
        from prometheus_client.core import GaugeMetricFamily

        picture = self._monitor.picture()
        groups = picture.ledger.groups
        for name, text, what in _COUNTERS:
            yield self._counter(
                name, text, (), [((*group, ()), one[what]) for group, one in groups.items()]
            )
        yield from self._labelled(groups)
        for name, text, what, bounds in _HISTOGRAMS:
            yield self._histogram(name, text, what, bounds, groups)
        yield GaugeMetricFamily(
            self._prefix + "streams_active", "Streams that run.", value=picture.active
        )

    def _labelled(self, groups: dict[tuple[str, str], Figures]) -> Iterator[Any]:
        yield self._counter(
            "streams_ended",
            "Streams ended.",
            ("outcome",),
            [((*group, (end,)), one[end]) for group, one in groups.items() for end in ENDS],
        )
        yield self._counter(
            "errors",
            "Failures met, also those mended by a retry.",
            ("type",),
            [
                ((*group, (kind,)), times)
                for group, one in groups.items()
                for kind, times in one.errors()
            ],
        )
        yield self._counter(
            "tokens",
            "Tokens of ended streams.",
            ("direction",),
            [
                ((*group, (direction,)), one[f"{direction}_tokens"])
                for group, one in groups.items()
                for direction in ("input", "output")
            ],
        )

    def _counter(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...],
        values: list[tuple[tuple[str, str, tuple[str, ...]], int]],
    ) -> Any:
        from prometheus_client.core import CounterMetricFamily

        family = CounterMetricFamily(self._prefix + name, text, labels=(*_GROUP, *labels))
        for (provider, model, more), value in values:
            family.add_metric((provider, model, *more), value)
        return family

    def _histogram(
        self,
        name: str,
        text: str,
        what: str,
        bounds: tuple[float, ...],
        groups: dict[tuple[str, str], Figures],
    ) -> Any:
        from prometheus_client.core import HistogramMetricFamily

        family = HistogramMetricFamily(self._prefix + name, text, labels=_GROUP)
        for group, figures in groups.items():
            sketch = figures.sketches.get(what)
            if sketch is not None:
                buckets = [(str(bound), sketch.below(bound)) for bound in bounds]
                buckets.append(("+Inf", sketch.count))
                family.add_metric(group, buckets, sketch.total)
        return family
