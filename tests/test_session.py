"""Sessions: defaults, credentials, what is sent, and what is refused before anything is sent."""

import pickle

import pytest
import requests
import responses

from streamsafe import ConfigurationError, RetryPolicy, StreamSession, Timeouts
from streamsafe.testing import FaultServer, stream
from streamsafe.testing.answers import openai_chat

EVENTS = openai_chat("Hello there.")


@pytest.fixture
def server():
    with FaultServer() as running:
        running.always(stream(EVENTS))
        yield running


def session(server, **settings):
    settings = {"model": "m", **settings}
    return StreamSession("openai_compatible", base_url=f"{server.url}/v1", **settings)


def test_defaults_go_into_each_request_and_can_be_overridden(server):
    asking = session(server, temperature=0.5, seed=7)
    asking.complete("Hi", temperature=0.9, model="other", max_tokens=5)
    body = server.requests[0].json
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert (body["temperature"], body["seed"], body["max_tokens"]) == (0.9, 7, 5)
    assert (body["model"], body["stream"]) == ("other", True)
    assert asking.complete("Hi").text == "Hello there."
    assert server.requests[1].json["model"] == "m"


def test_a_parameter_that_is_none_is_left_out(server):
    session(server, temperature=0.5, stop=None).complete("Hi", temperature=None, seed=None, n=0)
    body = server.requests[0].json
    assert not {"temperature", "stop", "seed"} & set(body) and body["n"] == 0
    session(server).complete(body={**body, "stop": None}, seed=None)
    assert server.requests[1].json == {**body, "stop": None}


def test_stream_options_that_are_none_are_not_sent(server):
    asking = session(server)
    asking.complete("Hi", stream_options=None)
    asking.complete(body={"messages": [], "model": "m"}, stream_options=None)
    assert ["stream_options" in asked.json for asked in server.requests] == [False, False]


def test_a_body_of_the_providers_own_goes_through_untouched(server):
    body = {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "odd": {"a": [1]}}
    session(server, temperature=0.5).complete(body=body)
    assert server.requests[0].json == {**body, "stream": True}
    with pytest.raises(ConfigurationError, match="not both"):
        session(server).stream("Hi", body=body)


def test_headers_of_the_session_are_sent(server):
    session(server, headers={"X-Team": "owls"}, api_key="k").complete("Hi")
    sent = server.requests[0].headers
    assert (sent["x-team"], sent["authorization"]) == ("owls", "Bearer k")
    assert sent["accept"] == "text/event-stream" and sent["accept-encoding"] == "identity"


def test_the_key_comes_from_the_presets_variable(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "from-env")
    StreamSession("openai", base_url=f"{server.url}/v1", model="m").complete("Hi")
    assert server.requests[0].headers["authorization"] == "Bearer from-env"


def test_a_missing_key_is_named_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        StreamSession("openai", model="m").stream("Hi")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"prompt_or_messages": ""}, "prompt"),
        ({"prompt_or_messages": 3}, "prompt"),
        ({"prompt_or_messages": []}, "messages"),
        ({"prompt_or_messages": [{"role": "owl", "content": "x"}]}, "role"),
        ({"prompt_or_messages": ["x"]}, r"messages\[0\]"),
        ({"prompt_or_messages": "Hi", "on_token": 3}, "on_token"),
        ({"prompt_or_messages": "Hi", "resume": "x"}, "resume"),
        ({"prompt_or_messages": "Hi", "timeouts": "x"}, "timeouts"),
        ({"prompt_or_messages": "Hi", "retry": "x"}, "retry"),
        ({"prompt_or_messages": "Hi", "cancel": 3}, "cancel"),
        ({"prompt_or_messages": "Hi", "on_malformed": "x"}, "on_malformed"),
        ({"prompt_or_messages": "Hi", "stream_id": ""}, "stream_id"),
        ({"prompt_or_messages": "Hi", "observers": [3]}, "observe"),
        ({"body": [1]}, "body"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_sent(server, arguments, named):
    with pytest.raises(ConfigurationError, match=named):
        session(server).stream(**arguments)
    assert server.requests == ()


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'openai'"):
        StreamSession("openia")


def test_settings_of_the_wrong_kind_are_named():
    for name, value in (("limits", 3), ("timeouts", "x"), ("retry", "x"), ("resume", "x")):
        with pytest.raises(ConfigurationError, match=name):
            StreamSession("openai", **{name: value})


def test_a_session_can_be_pickled_without_its_key(server, monkeypatch):
    asking = session(server, api_key="secret-key", timeouts=Timeouts(total=9), temperature=0.5)
    asking.complete("Hi")
    frozen = pickle.dumps(asking)
    assert b"secret-key" not in frozen
    again = pickle.loads(frozen)
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "env-key")
    assert again.complete("Hi").text == "Hello there."
    assert server.requests[-1].headers["authorization"] == "Bearer env-key"
    assert again.timeouts.total == 9 and server.requests[-1].json["temperature"] == 0.5


def test_a_requests_session_of_the_programs_own_is_used(server):
    http = requests.Session()
    http.headers["X-Mine"] = "yes"
    http.auth = ("user", "pass")
    session(server, http=http).complete("Hi")
    sent = server.requests[0].headers
    assert sent["x-mine"] == "yes" and sent["authorization"].startswith("Basic ")


def test_a_session_is_a_context_manager_and_usable_after_close(server):
    with session(server) as asking:
        asking.complete("Hi")
    assert asking.complete("Hi").text == "Hello there."


@pytest.mark.parametrize("own", [False, True], ids=["our-session", "own-session"])
def test_mocking_with_responses_works_streaming_bodies_included(own):
    with responses.RequestsMock() as mock:
        mock.post(
            "https://api.test/v1/chat/completions",
            body=b"".join(EVENTS),
            content_type="text/event-stream",
        )
        mock.post("https://api.test/v1/chat/completions", status=401, json={"error": {}})
        asking = StreamSession(
            "openai_compatible",
            base_url="https://api.test/v1",
            model="m",
            http=requests.Session() if own else None,
            retry=RetryPolicy(max_retries=0),
        )
        assert asking.complete("Hi").text == "Hello there."
        with pytest.raises(Exception, match="401"):
            asking.complete("Hi")
