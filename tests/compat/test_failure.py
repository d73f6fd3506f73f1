"""Errors: by the SDKs' names, streamsafe's own, and the real SDKs' where they are in use."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import streamsafe
from streamsafe.compat import anthropic, openai
from streamsafe.compat.anthropic.errors import translated as by_anthropic
from streamsafe.compat.exchange import Exchange, Headers, Request, Response
from streamsafe.compat.openai.errors import translated as by_openai

BODY = {"error": {"message": "Slow down", "code": "insufficient_quota", "type": "t", "param": "p"}}


def exchange(status: int) -> Exchange:
    made = Exchange()
    made.request = Request("POST", "http://x")
    made.response = Response(status, Headers({"X-Request-Id": "r1"}), made.request, "r1")
    return made


def refused(status: int) -> streamsafe.APIError:
    return streamsafe.APIError("429: Slow down", status=status, body=BODY, request_id="r1")


def test_it_has_what_the_sdks_error_has_and_streamsafes_beside() -> None:
    error: Any = by_openai(refused(429), exchange(429))
    assert isinstance(error, openai.RateLimitError) and isinstance(error, openai.APIStatusError)
    assert isinstance(error, streamsafe.StreamingError)
    assert (error.status_code, error.code, error.type, error.param) == (
        429, "insufficient_quota", "t", "p",
    )  # fmt: skip
    assert error.body == BODY["error"] and error.request_id == "r1"
    assert error.request.url == "http://x" and error.response.headers["x-request-ID"] == "r1"
    assert str(error) == error.message == "Error code: 429 - Slow down"
    assert error.partial.text == "" and error.attempts == ()


def test_the_hint_is_kept() -> None:
    quota = streamsafe.QuotaExceededError("no", status=429)
    assert by_openai(quota, exchange(429)).hint == quota.hint


@pytest.mark.parametrize("vendor, translated", [(openai, by_openai), (anthropic, by_anthropic)])
def test_clocks_breaks_and_the_rest(vendor: Any, translated: Any) -> None:
    late = translated(streamsafe.StreamTimeoutError("connect", 1, 2), Exchange())
    assert isinstance(late, vendor.APITimeoutError) and isinstance(late, TimeoutError)
    assert late.clock == "connect"
    broken = translated(streamsafe.IncompleteStreamError("cut"), Exchange())
    assert isinstance(broken, vendor.APIConnectionError) and broken.body is None
    assert not isinstance(broken, TimeoutError)
    other = translated(streamsafe.StreamCancelledError("enough"), Exchange())
    assert type(other).__name__ in ("OpenAIError", "AnthropicError")
    assert other.reason == "enough"


def test_it_can_be_pickled() -> None:
    error: Any = pickle.loads(pickle.dumps(by_openai(refused(429), exchange(429))))
    assert type(error).__name__ == "RateLimitError" and isinstance(error, openai.RateLimitError)
    assert error.code == "insufficient_quota" and error.status_code == 429


def test_programs_can_make_them_for_their_tests() -> None:
    response = Response(429, Headers({"x-request-id": "r1", "request-id": "r2"}))
    one: Any = openai.RateLimitError("slow", response=response, body={"code": "c"})
    two: Any = anthropic.RateLimitError("slow", response=response, body=None)
    assert (one.status_code, one.request_id, one.code) == (429, "r1", "c")
    assert (two.status_code, two.request_id, two.type) == (429, "r2", None)
    assert str(openai.APIConnectionError(request=None)) == "Connection error."
    assert str(anthropic.APITimeoutError(None)) == "Request timed out."


@pytest.mark.slow
@pytest.mark.parametrize("vendor, ours", [("openai", by_openai), ("anthropic", by_anthropic)])
def test_the_real_sdks_name_catches_it_too(vendor: str, ours: Any) -> None:
    real = pytest.importorskip(vendor)
    error = ours(refused(429), exchange(429))
    assert isinstance(error, real.RateLimitError) and isinstance(error, real.APIError)
    assert isinstance(error, streamsafe.StreamingError)
    assert "429" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert again.status_code == 429 and str(again) == str(error)
    late = ours(streamsafe.StreamTimeoutError("stall", 1, 2), Exchange())
    assert isinstance(late, real.APITimeoutError)
