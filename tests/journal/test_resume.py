"""``session.resume``: which streams it takes, and what is left when it is not used."""

import logging

import pytest

from streamsafe import (
    AuthenticationError,
    ConfigurationError,
    ConnectionDroppedError,
    Outcome,
    ResumeError,
    RetryPolicy,
    ServerError,
    StorageError,
    StreamSession,
)
from streamsafe.models import Call, Chunk
from streamsafe.providers import presets
from streamsafe.providers.base import Profile
from streamsafe.testing import FaultServer, reply, rst, stall, stream, wait
from streamsafe.testing.answers import openai_chat

TEXT = "Owls turn their heads."
EVENTS = openai_chat(TEXT)


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running


@pytest.fixture
def session(server, journal):
    settings = {"retry": RetryPolicy(max_retries=0), "model": "m", "api_key": "sk-planted-01234567"}
    with StreamSession("vllm", base_url=f"{server.url}/v1", journal=journal, **settings) as made:
        yield made


def go_on(request):
    said = request.json["messages"][-1]["content"]
    return stream(openai_chat(TEXT[len(said) :]))


def test_a_stream_that_failed_may_be_gone_on_with(server, session, journal):
    server.expect(stream(EVENTS[:4], then=rst()), reply(500))
    with pytest.raises(Exception) as raised:
        session.complete("Hi", stream_id="s")
    held = raised.value.partial.text
    assert held and journal.info("s").status == "failed"
    with pytest.raises(ServerError):
        session.resume("s").until_done()
    assert journal.info("s").status == "failed"
    server.handle(go_on)
    completion = session.resume("s").until_done()
    assert completion.text == TEXT and completion.outcome is Outcome.COMPLETE
    assert [attempt.number for attempt in completion.attempts] == [1, 2, 3]
    assert completion.usage_total.output_tokens > completion.usage.output_tokens
    assert journal.load("s").completion.text == TEXT


def test_a_stream_that_was_cancelled_may_be_gone_on_with(server, session, journal):
    server.expect(stream(EVENTS[:4], then=stall()))
    with session.stream("Hi", stream_id="s") as answer:
        held = next(answer).text + next(answer).text
    assert journal.info("s").status == "cancelled"
    server.handle(go_on)
    again = session.resume("s")
    assert again.completion.text.startswith(held)
    assert again.completion.text + "".join(again.text()) == TEXT


def test_a_complete_stream_is_handed_back_as_it_was(server, session):
    server.expect(stream(EVENTS))
    completion = session.complete("Hi", stream_id="s")
    again = session.resume("s")
    assert list(again) == [] and again.status == "complete"
    assert again.completion.replace(attempts=()) == completion.replace(attempts=())
    assert len(again.attempts) == len(server.requests) == 1


def test_a_stream_that_lives_elsewhere_is_refused(server, session, shelf):
    server.expect(stream(EVENTS[:4], then=stall()))
    answer = session.stream("Hi", stream_id="s")
    next(answer)
    for journal in (None, shelf.open()):
        with pytest.raises(ResumeError, match="being read at this moment"):
            session.resume("s", journal=journal)
    answer.close()


def test_one_that_is_not_begun_leaves_the_stream_to_others(session, journal):
    journal.begin("s", call=Call(model="m"), provider="vllm", settings={})
    journal.append("s", [Chunk("text", "Owls")])
    journal.release("s")
    for leave in (lambda stream: stream.close(), lambda stream: stream.cancel(), lambda stream: 0):
        again = session.resume("s")
        assert again.completion.text == "Owls" and journal.info("s").status == "streaming"
        leave(again)
        del again
        assert journal.info("s").status == "interrupted"


def test_one_that_can_not_be_made_leaves_it_too(session, journal):
    journal.begin("s", call=Call(model="m"), provider="vllm", settings={})
    journal.release("s")
    for wrong in ({"on_token": 3}, {"resume": "maybe"}, {"observers": [3]}):
        with pytest.raises(ConfigurationError):
            session.resume("s", **wrong)
    assert journal.info("s").status == "interrupted"


def test_an_answer_that_was_whole_when_the_process_died_is_not_asked_for_again(
    server, session, journal
):
    journal.begin("s", call=Call(model="m"), provider="vllm", settings={})
    journal.append("s", [Chunk("text", TEXT), Chunk("finish", finish_reason="length")])
    journal.release("s")
    again = session.resume("s")
    assert list(again) == [] and not server.requests
    assert again.completion.text == TEXT and again.completion.outcome is Outcome.TRUNCATED
    assert journal.info("s").status == "complete"


@pytest.mark.parametrize("left", ["", "Owls", "Owls turn their heads. And what was torn"])
def test_a_path_is_right_whatever_the_dead_process_left_of_it(
    server, session, journal, tmp_path, left
):
    journal.begin("s", call=Call(model="m"), provider="vllm", settings={})
    journal.append("s", [Chunk("text", "Owls turn")])
    journal.release("s")
    path, part = tmp_path / "owls.txt", tmp_path / "owls.txt.part"
    part.write_text(left)
    server.expect(stream(EVENTS[:0], then=rst()))
    server.handle(go_on)
    with pytest.raises(ConnectionDroppedError):
        session.resume("s", sink=path).until_done()
    assert part.read_text() == "Owls turn" and not path.exists()
    assert session.resume("s", sink=path).until_done().text == TEXT
    assert path.read_text() == TEXT and not part.exists()


def test_a_function_and_a_file_object_are_given_the_whole_text_too(
    server, session, journal, tmp_path
):
    server.handle(go_on)
    pieces, file = [], (tmp_path / "owls.txt").open("w+")
    with file:
        for name, sink in (("a", pieces.append), ("b", file)):
            journal.begin(name, call=Call(model="m"), provider="vllm", settings={})
            journal.append(name, [Chunk("text", "Owls turn")])
            journal.release(name)
            session.resume(name, sink=sink).until_done()
    assert pieces[0] == "Owls turn" and "".join(pieces) == TEXT
    assert (tmp_path / "owls.txt").read_text() == TEXT


def test_a_path_gets_a_whole_answer_without_asking_anybody(server, session, journal, tmp_path):
    server.expect(stream(EVENTS))
    session.complete("Hi", stream_id="ended")
    journal.begin("whole", call=Call(model="m"), provider="vllm", settings={})
    journal.append("whole", [Chunk("text", TEXT), Chunk("finish", finish_reason="stop")])
    journal.release("whole")
    for name in ("ended", "whole"):
        assert session.resume(name, sink=tmp_path / name).until_done().text == TEXT
        assert (tmp_path / name).read_text() == TEXT
    assert len(server.requests) == 1


def test_another_providers_session_asks_for_its_own_model(server, session, journal):
    for name, provider in (("a", "vllm"), ("b", "openai")):
        journal.begin(name, call=Call(model="begun"), provider=provider, settings={})
        journal.append(name, [Chunk("text", "Owls")], state={"cursor": "another server's"})
        journal.release(name)
    server.handle(go_on)
    for name, model, kept in (("a", "begun", True), ("b", "m", False)):
        again = session.resume(name)
        assert bool(again.completion.provider_state) is kept
        assert again.until_done().text == TEXT
        assert server.requests[-1].json["model"] == model


def test_a_name_that_is_taken_fails_before_anything_is_sent(server, session, journal, caplog):
    journal.begin("s", call=Call(), provider="p", settings={})
    journal.append("s", [Chunk("text", "Owls")])
    with caplog.at_level(logging.ERROR, "streamsafe"), pytest.raises(ResumeError, match="already"):
        session.complete("Hi", stream_id="s")
    assert not server.requests and not caplog.records
    assert journal.transcript("s") == "Owls" and journal.info("s").status == "streaming"


def test_the_key_is_masked_in_what_was_asked(server, session, journal):
    server.expect(stream(EVENTS))
    session.complete("is sk-planted-01234567 mine?", stream_id="s")
    assert journal.load("s").call.messages[0]["content"] == "is *** mine?"


def test_a_journal_that_fails_ends_the_stream_and_what_was_shown_is_kept(
    server, session, journal, monkeypatch
):
    server.expect(stream(EVENTS[:4], wait("room"), EVENTS[4:]))
    shown = ""
    with pytest.raises(StorageError, match="disk is full"):
        for chunk in session.stream("Hi", stream_id="s"):
            shown += chunk.text
            monkeypatch.setattr(journal, "append", full)
            server.gate("room").open()
    assert journal.transcript("s") == shown
    assert journal.info("s").status == "failed"


def full(*_, **__):
    raise StorageError("the disk is full")


# -- fallbacks -----------------------------------------------------------------------------------


@pytest.fixture
def other(server):
    """A session of another provider, with a default of its own."""
    with StreamSession(
        "llamacpp", base_url=f"{server.url}/v1", api_key="k", model="other", top_k=5
    ) as made:
        yield made


def leave(journal, provider="vllm", **parameters):
    call = Call([{"role": "user", "content": "Hi"}], "m", parameters)
    journal.begin("s", call=call, provider=provider, settings={})
    journal.append("s", [Chunk("text", "Owls turn")])
    journal.release("s")


def test_a_fallback_goes_on_where_that_was_asked_for(server, session, journal, other):
    leave(journal, max_tokens=50)
    server.expect(reply(401))
    server.handle(go_on)
    again = session.resume("s", resume="continue", fallbacks=[other])
    assert "".join(again.text()) == TEXT[len("Owls turn") :]
    completion = again.completion
    assert (completion.text, completion.provider) == (TEXT, "llamacpp")
    assert server.requests[-1].json["model"] == "other"
    assert [attempt.provider for attempt in completion.attempts] == ["vllm", "llamacpp"]
    assert server.requests[-1].json["top_k"] == 5  # its own default, and what was asked for
    assert server.requests[-1].json["max_tokens"] < 50
    assert journal.load("s").completion.text == TEXT


def test_a_fallback_is_not_asked_in_mid_answer_otherwise(server, session, journal, other):
    leave(journal)
    server.expect(reply(401))
    with pytest.raises(AuthenticationError):
        session.resume("s", fallbacks=[other]).until_done()
    assert len(server.requests) == 1


def test_a_fallback_answers_where_nothing_had_come(server, session, journal, other):
    journal.begin(
        "s", call=Call([{"role": "user", "content": "Hi"}], "m"), provider="vllm", settings={}
    )
    journal.release("s")
    server.expect(reply(401), stream(EVENTS))
    completion = session.resume("s", fallbacks=[other]).until_done()
    assert (completion.text, completion.provider) == (TEXT, "llamacpp")


def test_one_that_can_not_go_on_leaves_it_to_the_next(server, session, journal, other):
    leave(journal)
    server.handle(go_on)
    provider = presets.provider("vllm")
    provider.profile = lambda model: Profile(user_message=False)
    with StreamSession(
        provider, base_url=f"{server.url}/v1", journal=journal, api_key="k", model="m"
    ) as first:
        with pytest.raises(ResumeError, match="can't be gone on with"):
            first.resume("s", resume="continue").until_done()
        completion = first.resume("s", resume="continue", fallbacks=[other]).until_done()
    assert (completion.text, completion.provider) == (TEXT, "llamacpp")
    assert len(server.requests) == 1


def test_defaults_of_the_session_that_is_asked_are_not_its_fallbacks(server, journal, other):
    leave(journal, seed=7, temperature=0.5)
    server.expect(reply(401))
    server.handle(go_on)
    with StreamSession(
        "vllm", base_url=f"{server.url}/v1", journal=journal, api_key="k", seed=7
    ) as first:
        first.resume("s", resume="continue", fallbacks=[other]).until_done()
    assert server.requests[0].json["seed"] == 7 and "seed" not in server.requests[1].json
    assert server.requests[1].json["temperature"] == 0.5


def test_a_fallback_that_can_not_be_asked_is_named_and_the_stream_left_to_others(
    session, journal, other
):
    leave(journal)
    for wrong in (["groq"], [("openai", None)]):
        with pytest.raises(ConfigurationError):
            session.resume("s", fallbacks=wrong)
    assert journal.info("s").status == "interrupted"
