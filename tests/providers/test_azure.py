"""Azure OpenAI: both forms of its addresses, keys and tokens, and the shapes of its errors. What
its filters say in the chunks is tested with those, in test_openai_chat."""

import json

import pytest

from streamsafe.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    NotFoundError,
    OverloadedError,
    RateLimitError,
    ServerError,
)
from streamsafe.models import Call
from streamsafe.providers import presets

PROVIDER = presets.provider("azure")
HI = {"role": "user", "content": "Hi"}
HOST = "https://name.openai.azure.com"


def ask(base_url=HOST, key="key", model="gpt-prod", body=None, **parameters):
    target = presets.target(PROVIDER, key, base_url, environ={})
    messages = () if body else (HI,)
    return PROVIDER.request(Call(messages, model, parameters, body), target)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (HOST, "/openai/deployments/gpt-prod/chat/completions?api-version=2024-10-21"),
        (f"{HOST}/", "/openai/deployments/gpt-prod/chat/completions?api-version=2024-10-21"),
        (f"{HOST}/openai", "/openai/deployments/gpt-prod/chat/completions?api-version=2024-10-21"),
        (
            f"{HOST}/openai/deployments/other?api-version=2025-04-01-preview",
            "/openai/deployments/other/chat/completions?api-version=2025-04-01-preview",
        ),
        (
            f"{HOST}?api-version=2024-06-01",
            "/openai/deployments/gpt-prod/chat/completions?api-version=2024-06-01",
        ),
        (
            f"{HOST}?team=a",
            "/openai/deployments/gpt-prod/chat/completions?team=a&api-version=2024-10-21",
        ),
        (f"{HOST}/openai/v1", "/openai/v1/chat/completions"),
        (f"{HOST}/openai/v1/", "/openai/v1/chat/completions"),
        (
            f"{HOST}/openai/v1?api-version=preview",
            "/openai/v1/chat/completions?api-version=preview",
        ),
    ],
)
def test_the_address_in_both_forms(base_url, url):
    request = ask(base_url)
    assert request.url == HOST + url
    assert request.json["model"] == "gpt-prod"


def test_the_body_is_openais():
    assert ask(temperature=1).json == {
        "model": "gpt-prod", "messages": [HI], "temperature": 1, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_a_body_of_the_apis_own_names_the_deployment():
    own = {"model": "mine", "messages": [HI], "max_tokens": 1}
    request = ask(body=own, model=None)
    assert "/deployments/mine/" in request.url and request.json == {**own, "stream": True}


def test_a_key_goes_as_api_key_and_an_entra_token_as_bearer():
    assert ask().headers == {"api-key": "key"}
    assert ask(key="eyJ0.x.y").headers == {"Authorization": "Bearer eyJ0.x.y"}
    assert ask(key="Bearer opaque").headers == {"Authorization": "Bearer opaque"}


def test_address_key_and_deployment_are_wanted():
    with pytest.raises(ConfigurationError, match=r"base_url=.*openai\.azure\.com"):
        ask(base_url=None)
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_API_KEY"):
        presets.target(PROVIDER, None, HOST, environ={})
    with pytest.raises(ConfigurationError, match="model="):
        ask(model=None)


def test_address_and_key_come_from_the_environment():
    environ = {"AZURE_OPENAI_ENDPOINT": HOST, "AZURE_OPENAI_API_KEY": "k"}
    target = presets.target(PROVIDER, environ=environ)
    assert (target.base_url, target.headers) == (HOST, {"api-key": "k"})


BLOCKED = {
    "message": "The response was filtered", "type": None, "param": "prompt",
    "code": "content_filter", "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "answer", "kind", "again"),
    [
        (400, {"error": BLOCKED}, BadRequestError, False),
        (401, {"statusCode": 401, "message": "m"}, AuthenticationError, False),
        (401, {"error": {"code": "401", "message": "m"}}, AuthenticationError, False),
        (404, {"error": {"code": "DeploymentNotFound", "message": "m"}}, NotFoundError, False),
        (408, {"error": {"code": "Timeout", "message": "m"}}, ServerError, True),
        (429, {"error": {"code": "429", "message": "m"}}, RateLimitError, True),
        (429, {"error": {"code": "RateLimitReached", "message": "m"}}, RateLimitError, True),
        (429, {"error": {"code": "NoCapacity", "message": "m"}}, OverloadedError, True),
        (500, {"error": {"code": 500, "message": "m"}}, ServerError, True),
        (503, {"error": {"code": "503", "message": "m"}}, OverloadedError, True),
    ],
)
def test_errors(status, answer, kind, again):
    error = PROVIDER.error(status, {"apim-request-id": "r"}, json.dumps(answer))
    assert type(error) is kind and error.retryable is again
    assert error.status == status and error.request_id == "r"


def test_a_delay_in_headers_or_words():
    said = {"error": {"code": "429", "message": "Rate limited. Please retry after 7 seconds."}}
    assert PROVIDER.error(429, {}, json.dumps(said)).retry_after == 7
    headers = {"retry-after": "9", "retry-after-ms": "2500"}
    assert PROVIDER.error(429, headers, json.dumps(said)).retry_after == 2.5
