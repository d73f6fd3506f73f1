"""Clients: their options, and what becomes of them on the wire."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import requests

from streamsafe import ConfigurationError, RetryPolicy
from streamsafe.compat import anthropic, openai
from streamsafe.compat.anthropic import Anthropic
from streamsafe.compat.openai import AzureOpenAI, OpenAI
from streamsafe.monitor import StreamMonitor
from streamsafe.testing import FaultServer, openai_chat, reply, rst, stream
from streamsafe.testing.script import Exchange

QUESTION = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, Any] = {"model": "gpt-test", "messages": QUESTION}


def test_a_missing_key_is_said_when_the_client_is_made() -> None:
    with pytest.raises(openai.OpenAIError, match="OPENAI_API_KEY"):
        OpenAI()
    with pytest.raises(anthropic.AnthropicError, match="ANTHROPIC_API_KEY"):
        Anthropic()
    with pytest.raises(openai.OpenAIError, match="OPENAI_API_VERSION"):
        AzureOpenAI(azure_endpoint="https://x.openai.azure.com", api_key="k")
    with pytest.raises(openai.OpenAIError, match="AZURE_OPENAI_ENDPOINT"):
        AzureOpenAI(api_version="v", api_key="k")
    with pytest.raises(openai.OpenAIError, match="one of api_key, azure_ad_token"):
        AzureOpenAI(api_version="v", api_key="k", azure_ad_token="t", azure_endpoint="https://x")


def test_options_of_the_call_go_before_the_clients(server: FaultServer) -> None:
    with OpenAI(default_headers={"X-A": "1", "X-B": "1"}, default_query={"q": "1"}) as client:
        client.chat.completions.create(
            extra_headers={"X-B": "2"}, extra_query={"r": "2"}, extra_body={"more": [1]}, **ASKED
        )
    asked = server.requests[0]
    assert asked.path == "/v1/chat/completions?q=1&r=2"
    assert (asked.headers["x-a"], asked.headers["x-b"]) == ("1", "2")
    assert asked.json["more"] == [1]


def test_a_client_with_options_shares_the_connections(server: FaultServer) -> None:
    with OpenAI(max_retries=0) as client:
        client.chat.completions.create(**ASKED)
        other = client.with_options(max_retries=RetryPolicy(base=0), default_headers={"X-A": "1"})
        server.expect(reply(500))
        other.chat.completions.create(**ASKED)
        assert {request.connection for request in server.requests} == {1}
        assert [request.headers.get("x-a") for request in server.requests] == [None, "1", "1"]
        server.expect(reply(500))
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**ASKED)
        assert client.copy(api_key="other").api_key == "other"


def test_a_key_may_be_a_function_and_is_asked_each_time(server: FaultServer) -> None:
    keys = iter(["first", "second"])
    with OpenAI(api_key=lambda: next(keys)) as client:
        client.chat.completions.create(**ASKED)
        client.chat.completions.create(**ASKED)
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer first", "Bearer second"]


def test_a_token_is_sent_without_the_environments_key(server: FaultServer) -> None:
    with Anthropic(auth_token="a-token") as client:
        client.messages.create(model="claude-test", max_tokens=5, messages=QUESTION)
    assert server.requests[0].headers["authorization"] == "Bearer a-token"
    assert "x-api-key" not in server.requests[0].headers


def test_a_key_takes_the_place_of_a_token_and_a_token_that_of_a_key(server: FaultServer) -> None:
    asked: dict[str, Any] = {"model": "claude-test", "max_tokens": 5, "messages": QUESTION}
    with Anthropic(auth_token="a-token") as client:
        keyed = client.with_options(api_key="a-key")
        keyed.messages.create(**asked)
        keyed.copy(auth_token="another").messages.create(**asked)
        keyed.copy(max_retries=1).messages.create(**asked)
    sent = [
        (request.headers.get("x-api-key"), request.headers.get("authorization"))
        for request in server.requests
    ]
    assert sent == [("a-key", None), (None, "Bearer another"), ("a-key", None)]


def test_a_client_with_an_organization_says_so(server: FaultServer) -> None:
    with OpenAI() as client:
        client.with_options(organization="org-2", project="p").chat.completions.create(**ASKED)
    assert server.requests[0].headers["openai-organization"] == "org-2"
    assert server.requests[0].headers["openai-project"] == "p"


def test_whatever_is_true_has_it_streamed(server: FaultServer) -> None:
    with OpenAI() as client:
        made: Any = client.chat.completions.create(stream=1, **ASKED)  # type: ignore[call-overload]
        assert [chunk.object for chunk in made][0] == "chat.completion.chunk"
        whole = client.chat.completions.create(stream=openai.NOT_GIVEN, **ASKED)  # type: ignore
        assert whole.object == "chat.completion"


def test_requests_sessions_are_used_and_other_clients_refused(server: FaultServer) -> None:
    with requests.Session() as http:
        http.headers["X-Own"] = "1"
        with OpenAI(http_client=http) as client:
            client.chat.completions.create(**ASKED)
    assert server.requests[0].headers["x-own"] == "1"
    with pytest.raises(ConfigurationError, match="pass a requests.Session"):
        OpenAI(http_client=object())


def test_streams_can_be_observed(server: FaultServer) -> None:
    monitor = StreamMonitor()
    with OpenAI(observers=(monitor,)) as client:
        list(client.chat.completions.create(stream=True, **ASKED))
        client.chat.completions.create(**ASKED)
    assert monitor.get_stats()["successful_streams"] == 2


def test_the_preset_says_how_an_answer_is_gone_on_with(server: FaultServer) -> None:
    events = openai_chat("The quick brown fox", usage=(1, 4))
    server.expect(
        stream(events[:3], then=rst()), stream(openai_chat(" brown fox", id="2", usage=(3, 2)))
    )
    client = OpenAI(preset="vllm", api_key="k", base_url=f"{server.url}/v1", max_retries=1)
    chunks = list(client.chat.completions.create(stream=True, **ASKED))
    client.close()
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == (
        "The quick brown fox"
    )
    assert {chunk.id for chunk in chunks} == {"chatcmpl-test"}
    assert [c.choices[0].delta.role for c in chunks if c.choices].count("assistant") == 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices].count("stop") == 1
    assert sum(chunk.usage is not None for chunk in chunks) == 1
    assert server.requests[1].json["continue_final_message"] is True


def test_a_preset_that_speaks_otherwise_is_refused() -> None:
    with pytest.raises(openai.OpenAIError, match="preset='gemini': expected one of openai, azure"):
        OpenAI(preset="gemini", api_key="k")


@pytest.mark.parametrize(
    "refusal",
    [
        reply(400, json={"error": {"message": "Not verified", "param": "stream", "code": "no"}}),
        reply(400, json={"error": {"message": "Unrecognized argument: stream_options"}}),
        reply(422, json={"detail": [{"loc": ["body", "stream_options"], "type": "forbidden"}]}),
    ],
)
def test_a_model_that_refuses_to_be_streamed_is_asked_for_a_document(
    refusal: Exchange, server: FaultServer
) -> None:
    server.expect(refusal)
    with OpenAI() as client:
        answer = client.chat.completions.create(**ASKED)
    assert answer.choices[0].message.content.startswith("Once upon")
    assert answer.usage.total_tokens == 21
    assert "stream" not in server.requests[1].json
    assert "stream_options" not in server.requests[1].json


def test_it_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="holds a key"):
        pickle.dumps(OpenAI(api_key="k"))


def test_a_wrong_argument_is_the_sdks_error(server: FaultServer) -> None:
    with OpenAI() as client, pytest.raises(openai.OpenAIError, match="no JSON value"):
        client.chat.completions.create(response_format=dict, **ASKED)
