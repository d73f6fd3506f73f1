"""OpenTelemetry: a span for each stream and each attempt, and metrics, by the GenAI conventions.

Here lives an observer. Names and boundaries are those of the semantic conventions for generative
AI (github.com/open-telemetry/semantic-conventions-genai) and, for attempts, for HTTP clients. No
content is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import urlsplit, urlunsplit

from streamsafe.errors import MalformedStreamError
from streamsafe.lifecycle import (
    AttemptEnded,
    AttemptStarted,
    Chunks,
    Failed,
    Record,
    Resumed,
    Retrying,
    Stalled,
    Started,
)
from streamsafe.models import Attempt, Completion, Request
from streamsafe.observe.tallies import Tallies, Ticks
from streamsafe.observe.tally import Tally

#: The boundaries that the conventions give for seconds and for tokens.
SECONDS = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
TOKENS = tuple(4**power for power in range(14))

#: The conventions' names of providers that are called otherwise here.
_PROVIDERS = {
    "openai_responses": "openai",
    "openai_completions": "openai",
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "ollama_generate": "ollama",
    "ollama_openai": "ollama",
}
_OPERATIONS = {
    "openai_completions": "text_completion",
    "ollama_generate": "text_completion",
    "gemini": "generate_content",
    "vertex": "generate_content",
}
#: What of a request's body is an attribute of the span.
_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "n": "choice.count",
}


class _Spans:
    """The open spans of one stream, and the attributes that its metrics share."""

    __slots__ = ("stream", "attempt", "shared")

    def __init__(self, stream: Any, shared: dict[str, Any]) -> None:
        self.stream = stream
        self.attempt: Any = None
        self.shared = shared


class OpenTelemetryExporter:
    """An observer that makes spans and metrics.

    A stream's span is a child of the span that is current where its iteration begins; retries,
    stalls and seams are its events, attempts its children. The metrics are
    ``gen_ai.client.operation.duration``, ``.time_to_first_chunk``, ``.time_per_output_chunk``
    (once a read) and ``gen_ai.client.token.usage``.

    ``tracer_provider`` and ``meter_provider`` are the global ones if None. Needs the extra
    ``opentelemetry`` (the API from 1.30 on): raises ImportError without it.
    """

    def __init__(
        self,
        tracer_provider: Optional[Any] = None,
        meter_provider: Optional[Any] = None,
        *,
        clock: Optional[Ticks] = None,
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError as error:
            raise ImportError(
                "OpenTelemetryExporter needs opentelemetry-api: "
                "pip install 'streamsafe[opentelemetry]'"
            ) from error
        self._trace = trace
        self._tracer = trace.get_tracer("streamsafe", tracer_provider=tracer_provider)
        meter = metrics.get_meter("streamsafe", meter_provider=meter_provider)
        name = "gen_ai.client.operation."
        self._duration = _seconds(meter, name + "duration", "GenAI operation duration.")
        self._first = _seconds(
            meter, name + "time_to_first_chunk", "Time to receive the first chunk."
        )
        self._gap = _seconds(
            meter, name + "time_per_output_chunk", "Time between chunks after the first one."
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        self._tallies = Tallies(clock)

    def observe(self, record: Record) -> None:
        """Turn a record into spans and metrics. Called by the streams, on their reading threads."""
        if type(record) is Chunks:
            self._read(record)
            return
        tally = self._tallies.fold(record)
        if tally is None:
            return
        if isinstance(record, Started):
            self._start(record, tally)
        elif isinstance(record, AttemptStarted):
            self._start_attempt(record, tally)
        elif isinstance(record, AttemptEnded):
            self._end_attempt(record, tally)
        elif isinstance(record, Retrying):
            facts = {
                "attempt": record.number,
                "delay": record.delay,
                "reason": record.reason,
                "error": type(record.error).__name__,
            }
            _event(tally, "retry", record.at, facts)
        elif isinstance(record, Resumed):
            seam = record.seam
            facts = {"at": seam.at, "how": seam.how, "confidence": seam.confidence}
            _event(tally, "seam", record.at, facts)
        elif isinstance(record, Stalled):
            _event(tally, "stall", record.at, {"silent_for": record.silent_for})
        elif tally.ended is not None:
            self._end(record, tally)

    def _read(self, record: Chunks) -> None:
        tally = self._tallies.get(record.stream_id)
        if tally is None:
            return
        gap = tally.read(record)
        if gap is not None:
            self._gap.record(gap, tally.note.shared)

    def _start(self, record: Started, tally: Tally) -> None:
        operation = _OPERATIONS.get(record.provider, "chat")
        shared = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _PROVIDERS.get(record.provider, record.provider),
        }
        if record.model:
            shared["gen_ai.request.model"] = record.model
        span = self._tracer.start_span(
            f"{operation} {record.model}" if record.model else operation,
            kind=self._trace.SpanKind.CLIENT,
            start_time=_nanoseconds(record.wall),
            attributes={
                **shared,
                "gen_ai.request.stream": True,
                "streamsafe.stream_id": record.stream_id,
            },
        )
        tally.note = _Spans(span, shared)

    def _start_attempt(self, record: AttemptStarted, tally: Tally) -> None:
        spans: _Spans = tally.note
        request = record.request
        address = _address(request.url)
        spans.shared.update(address)
        spans.stream.set_attributes({**address, **_parameters(request)})
        spans.attempt = self._tracer.start_span(
            request.method,
            context=self._trace.set_span_in_context(spans.stream),
            kind=self._trace.SpanKind.CLIENT,
            start_time=_nanoseconds(tally.when(record.at)),
            attributes={
                "http.request.method": request.method,
                "url.full": _shown(request.url),
                **({"http.request.resend_count": record.number - 1} if record.number > 1 else {}),
                **address,
            },
        )

    def _end_attempt(self, record: AttemptEnded, tally: Tally) -> None:
        spans: _Spans = tally.note
        span, spans.attempt = spans.attempt, None
        if span is None:
            return
        attempt: Attempt = record.attempt
        at = _nanoseconds(tally.when(record.at))
        span.set_attributes(
            _known(
                {
                    "http.response.status_code": attempt.status,
                    "streamsafe.outcome": attempt.outcome,
                    "streamsafe.request_id": attempt.request_id,
                    "streamsafe.reused": attempt.reused,
                }
            )
        )
        if attempt.error is not None and attempt.outcome == "failed":
            self._failed(span, attempt.error)
        span.end(end_time=at)

    def _end(self, record: Any, tally: Tally) -> None:
        spans: _Spans = tally.note
        completion: Completion = record.completion
        usage = tally.tokens()
        shared = {**spans.shared, **_known({"gen_ai.response.model": completion.model})}
        spans.stream.set_attributes(
            _known(
                {
                    "gen_ai.response.model": completion.model,
                    "gen_ai.response.id": completion.id,
                    "gen_ai.response.finish_reasons": _reasons(completion),
                    "gen_ai.response.time_to_first_chunk": tally.ttft,
                    "gen_ai.usage.input_tokens": usage.input_tokens or None,
                    "gen_ai.usage.output_tokens": usage.output_tokens or None,
                    "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
                    "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens or None,
                    "streamsafe.usage.estimated": usage.estimated,
                    "streamsafe.outcome": tally.outcome,
                    "streamsafe.attempts": tally.attempts,
                    "streamsafe.bytes": tally.bytes,
                    "streamsafe.chunks": tally.chunks,
                }
            )
        )
        if tally.ttft is not None:
            self._first.record(tally.ttft, shared)
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            # Guesses are no usage: the conventions want counts or nothing.
            if count and not usage.estimated:
                self._tokens.record(count, {**shared, "gen_ai.token.type": kind})
        if isinstance(record, Failed):
            self._failed(spans.stream, record.error)
            shared["error.type"] = type(record.error).__name__
        self._duration.record(record.at - tally.at, shared)
        spans.stream.end(end_time=_nanoseconds(tally.when(record.at)))

    def _failed(self, span: Any, error: BaseException) -> None:
        kind = type(error).__name__
        span.set_attribute("error.type", kind)
        if isinstance(error, MalformedStreamError):
            # Its words quote what was received.
            span.set_status(self._trace.StatusCode.ERROR, kind)
            return
        span.record_exception(error)
        span.set_status(self._trace.StatusCode.ERROR, str(getattr(error, "message", error)))


def _seconds(meter: Any, name: str, text: str) -> Any:
    return meter.create_histogram(name, "s", text, explicit_bucket_boundaries_advisory=SECONDS)


def _event(tally: Tally, name: str, at: float, facts: Mapping[str, Any]) -> None:
    attributes = {f"streamsafe.{key}": value for key, value in facts.items()}
    tally.note.stream.add_event(
        f"streamsafe.{name}", attributes, timestamp=_nanoseconds(tally.when(at))
    )


def _nanoseconds(wall: float) -> int:
    return int(wall * 1e9)


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Without those of which nothing is known: None is no value of an attribute."""
    return {name: value for name, value in attributes.items() if value is not None}


def _address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:  # a port that is no number; the transport will say so
        port = None
    return _known({"server.address": parts.hostname, "server.port": port})


def _shown(url: str) -> str:
    """Without its query and its user: some APIs and proxies take the key there."""
    scheme, netloc, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, netloc.rpartition("@")[2], path, "", ""))


def _parameters(request: Request) -> dict[str, Any]:
    body = request.json if isinstance(request.json, Mapping) else {}
    found = {
        f"gen_ai.request.{name}": body[key]
        for key, name in _PARAMETERS.items()
        if isinstance(body.get(key), (int, float))
    }
    stop = body.get("stop") or body.get("stop_sequences")
    if stop and isinstance(stop, (str, list, tuple)):
        found["gen_ai.request.stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    return found


def _reasons(completion: Completion) -> Optional[list[str]]:
    reasons = [choice.finish_reason for choice in completion.choices] or [completion.finish_reason]
    return [reason for reason in reasons if reason] or None
