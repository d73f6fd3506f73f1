"""What servers say of the room that is left, in their own headers."""

import pytest

from streamsafe.providers.ratelimits import RateLimit, rate_limits

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        (  # OpenAI, Groq
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-reset-requests": "6m0s",
            },
            [RateLimit("x-ratelimit-remaining-requests", 59, 60, 360)],
        ),
        (
            {
                "anthropic-ratelimit-tokens-limit": "8000",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2023-11-14T22:13:30Z",
            },
            [RateLimit("anthropic-ratelimit-tokens-remaining", 0, 8000, 10)],
        ),
        (  # Mistral names no reset
            {"x-ratelimit-limit-req-minute": "30", "x-ratelimit-remaining-req-minute": "2"},
            [RateLimit("x-ratelimit-remaining-req-minute", 2, 30, None)],
        ),
        ({"x-ratelimit-remaining-requests": "soon", "content-type": "text/html"}, []),
    ],
)
def test_the_limits_are_read(headers, limits):
    assert rate_limits(headers, NOW) == limits
