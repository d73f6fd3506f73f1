from __future__ import annotations

import sys

import pytest

from streamsafe import errors
from streamsafe.models import Outcome, Usage
from streamsafe.observe.opentelemetry import SECONDS, OpenTelemetryExporter


class Telemetry:
    """An exporter on the SDK's in-memory exporters."""

    def __init__(self, clock):
        pytest.importorskip("opentelemetry.sdk")
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.exporter = OpenTelemetryExporter(self.provider, self.meters, clock=clock)

    def spans(self):
        return self._spans.get_finished_spans()

    def span(self, name):
        (found,) = [span for span in self.spans() if span.name == name]
        return found

    def points(self, name):
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def telemetry(clock):
    made = Telemetry(clock)
    yield made
    made.provider.shutdown()
    made.meters.shutdown()


def test_a_stream_is_a_client_span_by_the_genai_conventions(telemetry, life, clock):
    began = clock.wall()
    stream = life(telemetry.exporter).start()
    stream.attempt(body={"temperature": 0.5, "max_tokens": 100, "stop": "END"}).opened()
    stream.read("a", after=1.5).complete(usage=Usage(10, 20, 5, 4, 30))
    span = telemetry.span("chat gpt-4o-mini")
    assert span.kind.name == "CLIENT"
    assert span.status.status_code.name == "UNSET"
    assert (span.start_time, span.end_time) == (int(began * 1e9), int((began + 1.5) * 1e9))
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.response.id": "chat-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 1.5,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "server.address": "api.example.com",
        "server.port": 443,
        "streamsafe.stream_id": stream.stream_id,
        "streamsafe.usage.estimated": False,
        "streamsafe.outcome": "complete",
        "streamsafe.attempts": 1,
        "streamsafe.bytes": 100,
        "streamsafe.chunks": 1,
    }


def test_the_attribute_names_are_those_of_the_published_conventions(telemetry, life):
    published = "opentelemetry.semconv._incubating.attributes.gen_ai_attributes"
    conventions = vars(pytest.importorskip(published))
    known = {value for name, value in conventions.items() if name.startswith("GEN_AI")}
    body = dict.fromkeys(["temperature", "top_p", "top_k", "max_tokens", "seed", "n"], 2)
    life(telemetry.exporter).start().attempt(body=body).opened().complete()
    used = {name for name in telemetry.span("chat gpt-4o-mini").attributes if "gen_ai" in name}
    assert len(used) > 10
    # The one that is younger than the last release of that list for Python 3.9.
    assert used <= known | {"gen_ai.request.stream"}


@pytest.mark.parametrize(
    "provider, name, operation",
    [
        ("azure", "azure.ai.openai", "chat"),
        ("gemini", "gcp.gemini", "generate_content"),
        ("mistral", "mistral_ai", "chat"),
        ("openai_completions", "openai", "text_completion"),
        ("my_own", "my_own", "chat"),
    ],
)
def test_providers_are_called_as_the_conventions_call_them(
    telemetry, life, provider, name, operation
):
    life(telemetry.exporter, provider=provider, model="m").begin().complete()
    attributes = telemetry.span(f"{operation} m").attributes
    assert attributes["gen_ai.provider.name"] == name


@pytest.mark.parametrize(
    "url", ["https://me:secret@api.example.com/v1", "https://api.example.com/v1?key=secret"]
)
def test_no_credentials_of_the_address_are_in_a_span(telemetry, life, url):
    life(telemetry.exporter).start().attempt(url).opened().complete()
    assert telemetry.span("POST").attributes["url.full"] == "https://api.example.com/v1"
    assert "secret" not in str([span.to_json() for span in telemetry.spans()])


def test_odd_stop_sequences_harm_nothing(telemetry, life):
    life(telemetry.exporter).start().attempt(body={"stop": 7, "seed": 1}).opened().complete()
    attributes = telemetry.span("chat gpt-4o-mini").attributes
    assert attributes["gen_ai.request.seed"] == 1
    assert "gen_ai.request.stop_sequences" not in attributes


def test_each_attempt_is_a_child_span_and_a_retry_an_event(telemetry, life):
    stream = life(telemetry.exporter).begin().read("abc").retry(delay=0.5)
    stream.attempt("https://api.example.com:8443/v1?key=secret").opened().stalled().seam()
    stream.complete()
    first, second, parent = telemetry.spans()
    assert parent.name == "chat gpt-4o-mini"
    assert [span.name for span in (first, second)] == ["POST", "POST"]
    assert {span.parent.span_id for span in (first, second)} == {parent.context.span_id}
    assert first.attributes["error.type"] == "ConnectionDroppedError"
    assert first.status.status_code.name == "ERROR"
    assert [event.name for event in first.events] == ["exception"]
    assert second.attributes["http.request.resend_count"] == 1
    assert second.attributes["server.port"] == 8443
    assert second.attributes["http.response.status_code"] == 200
    names = ["streamsafe.retry", "streamsafe.stall", "streamsafe.seam"]
    assert [event.name for event in parent.events] == names
    assert parent.events[0].attributes["streamsafe.delay"] == 0.5


def test_neither_content_nor_keys_are_recorded(telemetry, life):
    stream = life(telemetry.exporter).start()
    stream.attempt("https://a.example/v1?key=sk-secret", {"messages": ["sk-secret"]}).opened()
    stream.read("sk-secret").seam().retry(errors.MalformedStreamError("not JSON: sk-secret"))
    stream.attempt().complete()
    assert "sk-secret" not in "".join(span.to_json() for span in telemetry.spans())
    assert "dropped words" not in "".join(span.to_json() for span in telemetry.spans())


def test_a_failure_is_an_error_of_the_span_and_of_the_duration(telemetry, life, clock):
    stream = life(telemetry.exporter).begin()
    clock.advance(2.0)
    stream.fail(errors.ServerError("boom", status=500))
    span = telemetry.span("chat gpt-4o-mini")
    assert span.status.status_code.name == "ERROR"
    assert span.status.description == "boom"
    assert span.attributes["error.type"] == "ServerError"
    (point,) = telemetry.points("gen_ai.client.operation.duration")
    assert point.attributes["error.type"] == "ServerError"
    assert (point.count, point.sum) == (1, 2.0)
    assert tuple(point.explicit_bounds) == SECONDS


def test_a_cancelled_stream_is_no_error(telemetry, life):
    life(telemetry.exporter).begin().cancel()
    span = telemetry.span("chat gpt-4o-mini")
    assert span.status.status_code.name == "UNSET"
    assert span.attributes["streamsafe.outcome"] == "cancelled"


def test_metrics_have_the_times_of_chunks_and_the_tokens(telemetry, life):
    stream = life(telemetry.exporter).begin().read("a", after=1.0)
    stream.read("b", after=0.25).read("c", after=0.75)
    stream.complete(usage=Usage(10, 20, total_tokens=30))
    (first,) = telemetry.points("gen_ai.client.operation.time_to_first_chunk")
    (gaps,) = telemetry.points("gen_ai.client.operation.time_per_output_chunk")
    tokens = telemetry.points("gen_ai.client.token.usage")
    assert (first.count, first.sum) == (1, 1.0)
    assert (gaps.count, gaps.sum) == (2, 1.0)
    assert {p.attributes["gen_ai.token.type"]: p.sum for p in tokens} == {"input": 10, "output": 20}
    assert gaps.attributes["gen_ai.request.model"] == "gpt-4o-mini"


def test_guessed_tokens_are_no_usage(telemetry, life):
    life(telemetry.exporter).begin().read("a guess").complete()
    assert telemetry.points("gen_ai.client.token.usage") == []
    assert telemetry.span("chat gpt-4o-mini").attributes["streamsafe.usage.estimated"] is True


def test_the_span_is_a_child_of_the_one_that_is_current_where_the_stream_starts(telemetry, life):
    tracer = telemetry.provider.get_tracer("the program")
    with tracer.start_as_current_span("request") as outer:
        stream = life(telemetry.exporter).begin()
    stream.complete(Outcome.TRUNCATED, finish_reason="length")
    span = telemetry.span("chat gpt-4o-mini")
    assert span.parent.span_id == outer.get_span_context().span_id


def test_a_stream_whose_start_was_not_seen_makes_no_span(telemetry, life):
    life(telemetry.exporter).attempt().opened().read("a").read("b").complete()
    assert telemetry.spans() == ()


def test_it_works_with_the_api_alone_where_no_sdk_is_set_up(life, clock):
    pytest.importorskip("opentelemetry")
    exporter = OpenTelemetryExporter(clock=clock)
    life(exporter).begin().read("a").read("b").retry().attempt().fail()
    assert exporter._tallies.running == {}


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"streamsafe\[opentelemetry\]"):
        OpenTelemetryExporter()
