from __future__ import annotations

import logging

import pytest

from streamsafe import errors
from streamsafe.models import Outcome, Usage
from streamsafe.observe.logs import LogExporter


@pytest.fixture
def logged(caplog):
    """``logged()`` -> the log records so far."""
    caplog.set_level(logging.INFO, "streamsafe.streams")
    return lambda: [r for r in caplog.records if r.name == "streamsafe.streams"]


@pytest.fixture
def exporter(clock):
    return LogExporter(clock=clock)


def test_each_step_is_logged_at_its_level(exporter, life, logged):
    stream = life(exporter).begin().stalled().read("a").malformed().retry()
    stream.attempt().opened().seam().complete()
    life(exporter).begin().fail()
    life(exporter).begin().cancel()
    life(exporter).begin().complete(Outcome.TRUNCATED, finish_reason="length")
    assert [(record.stream_event, record.levelname) for record in logged()] == [
        ("started", "INFO"), ("stalled", "WARNING"), ("skipped", "WARNING"),
        ("retrying", "WARNING"), ("resumed", "INFO"), ("complete", "INFO"),
        ("started", "INFO"), ("failed", "ERROR"),
        ("started", "INFO"), ("cancelled", "INFO"),
        ("started", "INFO"), ("complete", "WARNING"),
    ]  # fmt: skip


def test_fields_stand_flat_on_the_record(exporter, life, logged):
    stream = life(exporter).begin().read("abc", after=0.5, size=42).read("d", after=0.25, size=8)
    stream.complete(usage=Usage(10, 20, total_tokens=30))
    end = logged()[-1]
    assert (end.stream_id, end.stream_provider) == (stream.stream_id, "openai")
    assert (end.stream_model, end.stream_outcome) == ("gpt-4o-mini", "complete")
    assert (end.stream_bytes, end.stream_chunks, end.stream_ttft) == (50, 2, 0.5)
    assert end.stream_gap_p50 == pytest.approx(0.25, rel=0.03)
    assert (end.stream_tokens_total, end.stream_tokens_estimated) == (30, False)
    assert end.getMessage() == f"stream {stream.stream_id} complete"


def test_an_error_is_logged_with_its_type_and_what_the_server_said(exporter, life, logged):
    error = errors.RateLimitError("slow down", status=429, code="rate_limit", request_id="req-9")
    stream = life(exporter).begin().retry(error, delay=2.0)
    record = logged()[-1]
    assert record.getMessage() == f"stream {stream.stream_id} retrying: RateLimitError"
    assert record.stream_error_type == "RateLimitError"
    assert record.stream_error_message == "slow down"
    assert (record.stream_error_status, record.stream_error_code) == (429, "rate_limit")
    assert (record.stream_error_request_id, record.stream_delay) == ("req-9", 2.0)


def test_the_content_is_never_logged_unless_asked(exporter, life, logged):
    life(exporter).begin().read("a secret").seam().malformed().cancel()
    said = "".join(repr(vars(record)) for record in logged())
    assert "secret" not in said
    assert "the answer" not in said
    assert "dropped words" not in said


def test_the_content_is_logged_when_asked(life, logged, clock):
    life(LogExporter(content=True, clock=clock)).begin().read("a secret").malformed().complete()
    assert logged()[-1].stream_text == "a secret"
    assert "the answer" in logged()[1].stream_error_message


def test_a_logger_of_ones_own_is_used(life, clock, caplog):
    caplog.set_level(logging.INFO, "mine")
    life(LogExporter(logging.getLogger("mine"), clock=clock)).begin()
    assert [record.name for record in caplog.records] == ["mine"]


def test_every_field_can_be_set_on_a_log_record(exporter, life, logged):
    # ``extra`` refuses names that a LogRecord has itself; this would have raised.
    life(exporter).begin().read("a").stalled().malformed().seam().retry().attempt().fail()
    assert len(logged()) == 6
