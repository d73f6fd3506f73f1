from __future__ import annotations

import sys

import pytest

from streamsafe.models import Outcome, Usage
from streamsafe.monitor import StreamMonitor
from streamsafe.observe.prometheus import PrometheusCollector


@pytest.fixture
def monitor(clock):
    return StreamMonitor(clock=clock)


@pytest.fixture
def scrape(monitor):
    """``scrape()`` -> {(sample's name, its labels): value}, read by Prometheus's own parser."""
    prometheus_client = pytest.importorskip("prometheus_client")
    from prometheus_client.parser import text_string_to_metric_families

    registry = prometheus_client.CollectorRegistry()
    PrometheusCollector(monitor, registry)

    def read():
        text = prometheus_client.generate_latest(registry).decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return read


def of(samples, name, **labels):
    group = {"provider": "openai", "model": "gpt-4o-mini", **labels}
    return samples[f"streamsafe_{name}", tuple(sorted(group.items()))]


def test_counters_say_what_the_monitor_counted(monitor, scrape, life):
    stream = life(monitor).begin().read("a", size=40).retry().attempt().opened()
    stream.read("b", size=60).complete(usage=Usage(10, 20, total_tokens=30))
    life(monitor).begin().fail()
    samples = scrape()
    assert of(samples, "streams_started_total") == 2
    assert of(samples, "streams_ended_total", outcome="complete") == 1
    assert of(samples, "streams_ended_total", outcome="failed") == 1
    assert of(samples, "retries_total") == 1
    assert of(samples, "errors_total", type="ConnectionDroppedError") == 1
    assert of(samples, "received_bytes_total") == 100
    assert of(samples, "tokens_total", direction="input") == 10
    assert of(samples, "tokens_total", direction="output") == 20


def test_running_streams_are_a_gauge(monitor, scrape, life):
    stream = life(monitor).begin()
    assert scrape()["streamsafe_streams_active", ()] == 1
    stream.complete()
    assert scrape()["streamsafe_streams_active", ()] == 0


def test_histograms_are_cumulative_and_end_with_all(monitor, scrape, life):
    for wait in (0.05, 0.3, 3.0, 700.0):
        life(monitor).begin().read("a", after=wait).complete(Outcome.COMPLETE)
    samples = scrape()
    name = "time_to_first_token_seconds"
    bounds = ("0.02", "0.08", "0.32", "5.12", "655.36", "+Inf")
    assert [of(samples, f"{name}_bucket", le=le) for le in bounds] == [0, 1, 2, 3, 3, 4]
    assert of(samples, f"{name}_count") == 4
    assert of(samples, f"{name}_sum") == pytest.approx(703.35)


def test_names_that_came_from_outside_are_escaped(monitor, scrape, life):
    life(monitor, model='a "model"\nof\\mine').begin()
    assert of(scrape(), "streams_started_total", model='a "model" of\\mine') == 1


def test_an_empty_monitor_is_a_valid_page(scrape):
    assert scrape() == {("streamsafe_streams_active", ()): 0}


def test_names_keep_to_prometheuss_conventions(monitor, life):
    prometheus_client = pytest.importorskip("prometheus_client")
    registry = prometheus_client.CollectorRegistry()
    PrometheusCollector(monitor, registry, namespace="myapp")
    life(monitor).begin().read("a").complete()
    for family in registry.collect():
        assert family.name.startswith("myapp_")
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


def test_without_the_library_it_says_what_to_install(monitor, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ImportError, match=r"streamsafe\[prometheus\]"):
        PrometheusCollector(monitor)
