"""``session.map`` with a journal: what is answered there is not asked again."""

import _thread

import pytest

from streamsafe import BadRequestError
from streamsafe.journal import SQLiteJournal
from streamsafe.testing import reply, stall, stream
from streamsafe.testing.answers import openai_chat


class Watched:
    """A journal; Ctrl-C is pressed when three words of an answer are in it."""

    def __init__(self, journal):
        self._journal = journal
        self._words = 0

    def append(self, stream_id, chunks, **state):
        number = self._journal.append(stream_id, chunks, **state)
        self._words += sum(1 for chunk in chunks if chunk.text)
        if self._words == 3:
            _thread.interrupt_main()
        return number

    def __getattr__(self, name):
        return getattr(self._journal, name)


@pytest.fixture
def journal(tmp_path):
    with SQLiteJournal(tmp_path / "journal.db") as opened:
        yield opened


def texts(results):
    return [result.value().text for result in results]


def test_a_second_run_asks_nothing_and_gives_the_same(server, session, journal):
    prompts = ["a", {"id": "bee", "prompt": "b"}, [{"role": "user", "content": "c"}]]
    first = list(session.map(prompts, journal=journal))
    second = list(session.map(prompts, journal=journal))
    assert texts(first) == texts(second)
    assert [result.stream_id for result in first] == [result.stream_id for result in second]
    assert [result.reused for result in first + second] == [False] * 3 + [True] * 3
    assert second[0].completion.usage.output_tokens == 6
    assert set(server.asked.values()) == {1}


def test_names_and_questions_tell_batches_apart(server, session, journal):
    assert len(texts(session.map(["a"], journal=journal))) == 1
    assert len(texts(session.map(["a"], journal=journal, name="other"))) == 1
    assert len(texts(session.map(["a"], journal=journal, temperature=0))) == 1
    assert len(texts(session.map(["a"], journal=journal, model="m2"))) == 1
    assert server.asked["a"] == 4
    assert len(journal.list("complete")) == 4


def test_what_failed_is_asked_again(server, session, journal):
    server.expect(reply(400))
    (failed,) = session.map(["a"], journal=journal)
    (mended,) = session.map(["a"], journal=journal)
    assert isinstance(failed.error, BadRequestError) and mended.ok and not mended.reused
    assert [info.status for info in journal.list()] == ["complete"]


def test_what_was_refused_and_then_answered_is_one_stream_there(server, session, journal):
    server.expect(*[reply(429, headers={"Retry-After": "0"})] * 12)
    assert len(texts(session.map(["a"], journal=journal, max_workers=1))) == 1
    (info,) = journal.list()
    assert info.status == "complete" and server.asked["a"] == 13


def test_leaving_the_loop_keeps_the_parts_and_the_next_run_goes_on(server, session, journal):
    events = openai_chat("The answer to b, whole.")
    server.expect(stream(events[:4], stall()))
    with pytest.raises(KeyboardInterrupt):
        list(session.map(["b", "c"], journal=Watched(journal), max_workers=1))
    (info,) = journal.list()
    assert info.status == "cancelled" and journal.transcript(info.stream_id) == "The answer to"
    again = list(session.map(["b", "c"], journal=journal))
    assert texts(again) == ["The answer to b, whole.", "The answer to c, whole."]
    assert server.asked == {"b": 2, "c": 1}


def test_the_sessions_own_journal_is_used(server, session, journal):
    session.journal = journal
    assert len(texts(session.map(["a"]))) == 1
    assert list(session.map(["a"]))[0].reused


def test_the_same_name_for_the_same_question_is_answered_once(server, session, journal):
    twice = [{"id": "x", "prompt": "a"}] * 2
    first, second = session.map(twice, journal=journal)
    assert first.ok and "given twice" in str(second.error)
    assert server.asked["a"] == 1
