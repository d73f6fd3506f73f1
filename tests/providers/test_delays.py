"""How long a server asks to wait, in whatever way it says so; the surest sign goes first."""

import pytest

from streamsafe.providers.classify import http_error
from streamsafe.providers.delays import duration, retry_after

#: Wed, 25 Nov 2026 12:00:00 GMT
NOW = 1795608000.0


def said(message):
    return {"error": {"message": message}}


@pytest.mark.parametrize(
    ("headers", "payload", "seconds"),
    [
        ({}, None, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, None, 1.5),
        ({"retry-after": "7"}, said("try again in 3s"), 7.0),
        ({"retry-after": "0.5"}, None, 0.5),
        ({"retry-after": "Wed, 25 Nov 2026 12:00:30 GMT"}, None, 30.0),
        ({"retry-after": "Wed, 25 Nov 2026 11:00:00 GMT"}, None, 0.0),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "-3"}, None, None),
        ({"retry-after": "inf"}, None, None),
        ({}, {"error": {"details": [{"@type": "x"}, {"retryDelay": "37s"}]}}, 37.0),
        ({}, {"error": {"details": [{"retryDelay": "1.5s"}]}}, 1.5),
        ({}, said("Rate limit reached. Please try again in 7m12.5s."), 432.5),
        ({}, said("Please try again in 120ms."), 0.12),
        ({}, said("Please retry after 12 seconds."), 12.0),
        ({}, said("Please retry your request."), None),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2s",
             "x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "9h"}, None, 62.0
        ),
        (
            {"anthropic-ratelimit-tokens-remaining": "0",
             "anthropic-ratelimit-tokens-reset": "2026-11-25T12:00:10Z"}, None, 10.0
        ),
        ({"x-ratelimit-reset": str(int(NOW) + 5)}, None, 5.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW + 5) * 1000)}, None, 5.0),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "99"}, None, None),
    ],
)  # fmt: skip
def test_the_delay(headers, payload, seconds):
    found = retry_after(headers, payload, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("1s", 1), ("6m0s", 360), ("2m59.56s", 179.56), ("120ms", 0.12), ("1h", 3600), ("", None),
     ("5", None), ("1s ago", None)],
)  # fmt: skip
def test_durations_of_go(value, seconds):
    assert duration(value) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(("said", "again"), [("true", True), ("false", False)])
def test_what_the_server_says_of_trying_again_goes_before_the_table(said, again):
    headers = {"x-should-retry": said}
    for status in (400, 401, 429, 500):
        assert http_error(status, headers, "").retryable is again


def test_a_402_is_waited_for_only_with_its_own_reason_and_a_delay():
    body = '{"error": {"code": 402, "message": "m", "metadata": {"limit_source": "%s"}}}'
    ours = body % "openrouter_in_flight_budget"
    assert http_error(402, {"retry-after": "2"}, ours).retryable
    assert not http_error(402, {}, ours).retryable
    assert not http_error(402, {"retry-after": "2"}, body % "key_limit").retryable


@pytest.mark.parametrize(
    ("status", "again"),
    [(400, False), (401, False), (402, False), (403, False), (404, False), (405, False),
     (408, True), (409, True), (413, False), (422, False), (424, False), (425, True), (429, True),
     (498, True), (499, False), (500, True), (501, False), (502, True), (503, True), (504, True),
     (520, True), (521, True), (522, True), (523, True), (524, True), (529, True)],
)  # fmt: skip
def test_statuses_that_say_all_there_is(status, again):
    error = http_error(status, {}, "")
    assert error.retryable is again and error.status == status
