"""Providers of others: announced by a distribution, given as objects, or made of a preset."""

import sys

import pytest

from streamsafe import StreamSession
from streamsafe.errors import APIError, ConfigurationError, IncompleteStreamError
from streamsafe.models import Call, Chunk, Request
from streamsafe.providers import presets
from streamsafe.providers.base import Decoder, Profile
from streamsafe.providers.classify import http_error
from streamsafe.providers.openai_chat import OpenAIChat
from streamsafe.testing import FakeTransport, openai_chat, reply, stream

MODULE = '''
from streamsafe.providers.openai_chat import OpenAIChat
from streamsafe.providers.presets import Preset

def parrot():
    return OpenAIChat(Preset("parrot", base_url="http://parrot/v1", keys=("PARROT_API_KEY",)))

broken = object
'''


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """An installed distribution that announces providers."""
    info = tmp_path / "parrot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[streamsafe.providers]\nparrot = parrot_module:parrot\nbroken = parrot_module:broken\n"
    )
    (tmp_path / "parrot_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("parrot_module", None)


def test_a_provider_that_a_distribution_announces_is_found_by_its_name(distribution, monkeypatch):
    monkeypatch.setenv("PARROT_API_KEY", "from the variable")
    transport = FakeTransport(stream(openai_chat("Hello")))
    with StreamSession("parrot", model="m", transport=transport) as session:
        assert session.complete("Hi").text == "Hello"
    request = transport.requests[0]
    assert request.url == "http://parrot/v1/chat/completions"
    assert request.headers == {"Authorization": "Bearer from the variable"}


def test_what_is_announced_must_be_a_provider(distribution):
    with pytest.raises(ConfigurationError, match="expected a preset's name or an instance"):
        presets.provider("broken")


def test_an_unknown_name_is_told_with_what_was_meant(distribution):
    with pytest.raises(ConfigurationError, match=r"did you mean 'anthropic'\?.*parrot"):
        presets.provider("antropic")


def test_without_the_distribution_its_name_is_unknown():
    with pytest.raises(ConfigurationError, match="'parrot' is not known"):
        presets.provider("parrot")


def test_a_class_is_no_provider():
    with pytest.raises(ConfigurationError, match="an instance of a Provider"):
        StreamSession(Bare)


class Lines(Decoder):
    """Words, until one that is a full stop."""

    def feed(self, events):
        chunks = []
        for event in events:
            if event.data == ".":
                self.finished = self.closed = True
                return [*chunks, Chunk("finish", finish_reason="stop", raw=event.data)]
            chunks.append(Chunk("text", event.data, raw=event.data))
        return chunks


class Bare:
    """The protocol without any helper."""

    name = "bare"
    framing = "sse"

    def request(self, call, target):
        headers = {**target.headers, "X-Key": target.api_key or ""}
        question = {"q": call.messages[0]["content"]}
        return Request("POST", target.base_url + "/ask", headers, question)

    def decoder(self, call):
        return Lines()

    def error(self, status, headers, body):
        return http_error(status, headers, body)

    def request_id(self, headers):
        return headers.get("x-trace")

    def profile(self, model):
        return Profile("no", user_message=False)

    def continued(self, call, partial, how):
        raise ConfigurationError("there is no way on")


def asking(*exchanges):
    transport = FakeTransport(*exchanges)
    session = StreamSession(
        Bare(), api_key="k", base_url="http://bare", headers={"X-Team": "a"}, transport=transport
    )
    return session, transport


def test_the_protocol_alone_makes_a_provider():
    session, transport = asking(
        stream("data: One \n\n", "data: two\n\ndata: .\n\n", headers={"X-Trace": "t1"})
    )
    completion = session.complete("Hi")
    assert completion.text == "One two" and completion.finish_reason == "stop"
    assert completion.provider == "bare" and completion.attempts[0].request_id == "t1"
    request = transport.requests[0]
    assert (request.url, request.json) == ("http://bare/ask", {"q": "Hi"})
    assert request.headers == {"X-Team": "a", "X-Key": "k"}


def test_its_terminal_rule_holds_and_its_errors_are_typed():
    session, _ = asking(stream("data: One\n\n"))
    with pytest.raises(IncompleteStreamError):
        session.complete("Hi", resume="continue", retry=0)
    session, _ = asking(reply(418, json={"error": "m"}, headers={"X-Trace": "t2"}))
    with pytest.raises(APIError, match="418: m") as caught:
        session.complete("Hi")
    assert caught.value.request_id == "t2"


def test_a_preset_of_ones_own_is_a_provider():
    preset = presets.Preset(
        "acme",
        base_url="http://acme/v1",
        keys=("ACME_API_KEY",),
        profiles=(("^big", Profile("yes")), ("", Profile("no"))),
    )
    provider = OpenAIChat(preset)
    assert [provider.profile(model).prefill for model in ("big-1", "small")] == ["yes", "no"]
    target = presets.target(provider, environ={"ACME_API_KEY": "k"})
    request = provider.request(Call([{"role": "user", "content": "Hi"}], "m"), target)
    assert request.url == "http://acme/v1/chat/completions"
    with pytest.raises(ConfigurationError, match="ACME_API_KEY"):
        presets.target(provider, environ={})
    nowhere = OpenAIChat(preset._replace(base_url=""))
    with pytest.raises(ConfigurationError, match="acme wants base_url"):
        presets.target(nowhere, "k", environ={})
