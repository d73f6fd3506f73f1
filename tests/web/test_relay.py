"""An answer as a browser reads it."""

import contextlib
import gc
import json
import logging
import threading

import pytest

from streamsafe import Chunk, ConfigurationError, Limits, RetryPolicy, StreamHandle
from streamsafe.errors import StorageError, StreamCancelledError
from streamsafe.journal import owner
from streamsafe.models import Call
from streamsafe.testing import openai_chat, reply, rst, stall, stream, wait
from streamsafe.web.relay import Relay

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT, usage=(3, 9))
PATIENCE = 10.0


def data(event):
    return json.loads(event.data)


def text_of(events):
    return "".join(data(event)["text"] for event in events if event.event == "text")


# -- an answer ---------------------------------------------------------------------------------


def test_it_begins_has_numbered_pieces_and_ends_with_the_verdict(model, session, read_events):
    model.expect(stream(EVENTS))
    answer = session.stream("Hi", stream_id="river")
    first, *pieces, last = read_events(Relay(answer, retry=2.5))
    assert (first.event, first.retry, first.id) == ("start", 2500, "")
    assert data(first) == {"stream_id": "river", "model": "m", "after": 0}
    assert text_of(pieces) == TEXT
    numbers = [int(event.id) for event in pieces]
    assert numbers == sorted(set(numbers))
    assert last.event == "end" and last.id == f"{numbers[-1]}:end"
    assert data(last) == {
        "outcome": "complete",
        "finish_reason": "stop",
        "model": "gpt-test",
        "usage": {
            "input_tokens": 3, "output_tokens": 9, "reasoning_tokens": 0, "cached_tokens": 0,
            "total_tokens": 12, "estimated": False,
        },
        "text_chars": len(TEXT),
    }  # fmt: skip


def test_nothing_is_asked_before_it_is_read(model, session):
    answer = session.stream("Hi")
    relay = Relay(answer)
    assert (relay.status, relay.status_line) == (200, "200 OK")
    relay.close()
    assert list(relay) == []
    assert model.requests == () and answer.status == "pending"


def test_its_headers_stop_proxies_from_holding_tokens_back(session):
    headers = Relay(session.stream("Hi")).headers
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Content-Encoding"] == "identity"


def test_a_token_is_out_before_the_next_has_come(model, session, read_events, reading):
    model.expect(stream(EVENTS[:3], wait("more"), EVENTS[3:]))
    read = reading(Relay(session.stream("Hi")))
    read.wait_for(lambda got: b"Rivers" in b"".join(got))
    model.gate("more").open()
    assert text_of(read_events(read.join())) == TEXT


def test_a_handle_is_relayed_from_its_first_token(model, session, read_events):
    model.expect(stream(EVENTS))
    handle = session.submit("Hi")
    handle.result(PATIENCE)
    assert text_of(read_events(Relay(handle))) == TEXT


def test_what_is_the_apis_own_stays_here(model, session, read_events):
    model.expect(stream(EVENTS))
    body = b"".join(Relay(session.stream("Hi")))
    assert b"system_fingerprint" not in body and b"choices" not in body


# -- silence -----------------------------------------------------------------------------------


def test_heartbeats_come_while_the_model_thinks(model, session, read_events, reading):
    model.expect(stream(EVENTS, first=wait("thought")))
    read = reading(Relay(session.stream("Hi"), heartbeat=0.04))
    read.wait_for(lambda got: got.count(b": \n\n") >= 3)
    model.gate("thought").open()
    assert text_of(read_events(read.join())) == TEXT


def test_heartbeats_come_while_pieces_come_that_are_not_sent(model, session, reading):
    reasoning = openai_chat(TEXT, reasoning="Hm. " * 40)
    paced = [step for event in reasoning for step in (event, wait("go"))]
    model.expect(stream(paced))
    read = reading(Relay(session.stream("Hi"), heartbeat=0.04, format=OnlyText))
    read.wait_for(lambda got: b"beat" in got)
    model.gate("go").open()
    assert b"".join(piece for piece in read.join() if piece != b"beat") == TEXT.encode()


class OnlyText:
    """A format of a program's own."""

    media_type, headers, heartbeat = "text/plain", {}, b"beat"
    takes_back = keeps_state = False

    def start(self, opening):
        return b""

    def chunk(self, number, chunk):
        return chunk.text.encode()

    def end(self, number, completion):
        return b""

    def failed(self, number, fault):
        return b"failed"


# -- errors ------------------------------------------------------------------------------------


def test_an_error_is_said_without_its_own_words(model, session, read_events, caplog):
    secret = "Incorrect API key provided: sk-ab12, organization org-99, host db7.internal"
    model.expect(reply(401, json={"error": {"message": secret, "code": "invalid_api_key"}}))
    with caplog.at_level(logging.WARNING, "streamsafe.web.relay"):
        body = b"".join(Relay(session.stream("Hi")))
    *_, last = read_events(body)
    assert last.event == "failure" and last.id == "0:end"
    said = data(last)
    assert said.pop("message") and said.pop("hint")
    assert said == {
        "type": "AuthenticationError", "code": "invalid_api_key", "retryable": False
    }  # fmt: skip
    for word in (b"sk-", b"org-", b"internal", b"127.0.0.1"):
        assert word not in body
    assert "db7.internal" in caplog.text  # for those who run the site


def test_an_answer_that_breaks_off_says_so_behind_what_had_come(model, session, read_events):
    model.expect(stream(EVENTS[:4], then=rst()))
    *pieces, last = read_events(Relay(session.stream("Hi")))
    assert TEXT.startswith(text_of(pieces)) and text_of(pieces)
    assert last.event == "failure" and data(last)["retryable"] is True
    assert data(last)["type"] in ("ConnectionDroppedError", "IncompleteStreamError")


def test_an_unexpected_error_says_nothing_of_itself(model, session, read_events, caplog):
    def fail(text):
        raise ZeroDivisionError("/srv/app/secret.py")

    model.expect(stream(EVENTS))
    *_, last = read_events(Relay(session.stream("Hi", on_token=fail)))
    assert data(last)["type"] == "InternalError" and data(last)["code"] == "internal"
    assert "secret" not in last.data and "ZeroDivision" not in last.data
    assert "ZeroDivisionError" in caplog.text


def test_a_stream_that_is_cancelled_says_that(model, session, read_events, reading):
    model.expect(stream(EVENTS[:3], then=stall()))
    answer = session.stream("Hi")
    read = reading(Relay(answer))
    read.wait_for(lambda got: b"Rivers" in b"".join(got))
    answer.cancel("enough")
    *_, last = read_events(read.join())
    assert data(last)["code"] == "cancelled" and "enough" not in last.data


# -- a browser that goes -----------------------------------------------------------------------


def test_closing_it_closes_the_upstream(model, session):
    model.expect(stream(EVENTS[:3], then=stall()))
    relay = Relay(session.stream("Hi"))
    while b"Rivers" not in next(relay):
        pass
    relay.close()
    assert model.requests[0].client_gone.wait(PATIENCE)
    relay.close()


def test_one_that_is_forgotten_closes_the_upstream(model, session):
    model.expect(stream(EVENTS[:3], then=stall()))
    relay = Relay(session.stream("Hi"))
    next(relay)
    model.wait_for_request()
    del relay
    gc.collect()
    assert model.requests[0].client_gone.wait(PATIENCE)


def test_closing_it_from_another_thread_closes_the_upstream(model, session, reading):
    model.expect(stream(EVENTS[:3], then=stall()))
    relay = Relay(session.stream("Hi"))
    read = reading(relay)
    read.wait_for(lambda got: b"Rivers" in b"".join(got))
    relay.close()
    assert model.requests[0].client_gone.wait(PATIENCE)
    read.join()


def test_a_slow_browser_holds_the_server_up(model, session):
    words = 1500
    model.expect(stream(openai_chat(("w" * 3999 + " ") * words)))
    handle = StreamHandle(session.stream("Hi"), Limits(max_queue=4).max_queue)
    relay = Relay(handle)
    next(relay), next(relay)
    assert not handle.done() and len(handle._queue) <= 4
    assert sum(len(piece) for piece in relay) > 4000 * words


def test_keeping_it_running_wants_a_journal(session):
    with pytest.raises(ConfigurationError, match="wants a journal"):
        Relay(session.stream("Hi"), keep_running=True)


# -- a browser that comes back -------------------------------------------------------------------


def test_without_a_journal_it_is_told_and_nothing_is_asked_again(model, session, read_events):
    (only,) = read_events(Relay(session.stream("Hi"), last_event_id="4"))
    assert data(only)["code"] == "not_resumable"
    assert model.requests == ()


def test_it_goes_on_behind_whatever_the_browser_has_seen(model, session, journal, read_events):
    model.expect(stream(EVENTS))
    whole = read_events(Relay(session.stream("Hi", journal=journal, stream_id="river")))
    for place, last in enumerate(whole[:-1]):
        again = Relay("river", journal=journal, last_event_id=last.id)
        start, *rest = read_events(again)
        assert data(start)["after"] == int(last.id or 0)
        assert whole[1 : place + 1] + rest == whole[1:]


def test_who_has_seen_the_end_is_told_to_stay_away(model, session, journal, read_events):
    model.expect(stream(EVENTS))
    last = read_events(Relay(session.stream("Hi", journal=journal, stream_id="river")))[-1]
    again = Relay("river", journal=journal, last_event_id=last.id)
    assert (again.status_line, list(again)) == ("204 No Content", [])


def test_one_that_goes_away_is_gone_on_with_while_it_is_written(
    model, session, journal, read_events, reading
):
    model.expect(stream(EVENTS[:4], wait("more"), EVENTS[4:]))
    relay = Relay(session.stream("Hi", journal=journal, stream_id="river"), keep_running=True)
    first = []
    while b"Rivers" not in b"".join(first):
        first.append(next(relay))
    relay.close()
    seen = read_events(first)
    read = reading(Relay("river", journal=journal, last_event_id=seen[-1].id))
    read.wait_for(lambda got: len(got) >= 1)
    model.gate("more").open()
    assert text_of(seen + read_events(read.join())) == TEXT
    assert len(model.requests) == 1


def test_the_same_stream_asked_for_again_is_read_and_not_asked_again(
    model, session, journal, read_events
):
    model.expect(stream(EVENTS))
    asked = {"journal": journal, "stream_id": "river"}
    whole = b"".join(Relay(session.stream("Hi", **asked), keep_running=True))
    assert b"".join(Relay(session.stream("Hi", **asked), keep_running=True)) == whole
    assert len(model.requests) == 1


def test_two_that_ask_for_it_at_once_read_one_answer(
    model, session, journal, read_events, reading
):
    model.expect(stream(EVENTS, first=wait("both")))
    asked = {"journal": journal, "stream_id": "river"}
    reads = [reading(Relay(session.stream("Hi", **asked), keep_running=True)) for _ in range(3)]
    for read in reads:
        read.wait_for(lambda got: got)
    model.gate("both").open()
    assert {text_of(read_events(read.join())) for read in reads} == {TEXT}
    assert len(model.requests) == 1


def test_one_that_comes_while_the_other_is_about_to_be_written_waits_for_it(
    model, session, journal, read_events, reading, monkeypatch
):
    model.expect(stream(EVENTS))
    holding, asked_again, hold = threading.Event(), threading.Event(), owner.hold

    def held(*args):
        if holding.is_set():
            asked_again.set()
            return hold(*args)
        name = hold(*args)
        holding.set()
        asked_again.wait(10)  # the name is taken, and nothing is in the journal
        return name

    monkeypatch.setattr(owner, "hold", held)
    asked = {"journal": journal, "stream_id": "river"}
    first = reading(Relay(session.stream("Hi", **asked), keep_running=True))
    assert holding.wait(10)
    second = reading(Relay(session.stream("Hi", **asked), keep_running=True))
    assert text_of(read_events(second.join())) == text_of(read_events(first.join())) == TEXT
    assert len(model.requests) == 1


def test_one_that_is_not_to_keep_running_ends_with_its_browser(model, session, journal):
    model.expect(stream(EVENTS[:3], then=stall()))
    relay = Relay(session.stream("Hi", journal=journal, stream_id="river"))
    next(relay)
    model.wait_for_request()
    relay.close()
    assert model.requests[0].client_gone.wait(PATIENCE)


def test_one_that_only_reads_leaves_the_stream_to_its_owner(model, session, journal, read_events):
    model.expect(stream(EVENTS[:3], wait("more"), EVENTS[3:]))
    handle = session.submit("Hi", journal=journal, stream_id="river")
    relay = Relay("river", journal=journal)
    next(relay)
    relay.close()
    model.gate("more").open()
    assert handle.result(PATIENCE).text == TEXT


def test_a_failure_and_a_cancel_are_told_to_who_comes_later(
    model, session, journal, read_events
):
    model.expect(reply(429, json={"error": {"message": "org-9: slow down"}}), stream(EVENTS))
    first = read_events(Relay(session.stream("Hi", journal=journal, stream_id="a")))[-1]
    later = read_events(Relay("a", journal=journal))[-1]
    assert later == first and data(later)["type"] == "RateLimitError"
    answer = session.stream("Hi", journal=journal, stream_id="b")
    for _ in answer:
        break
    later = read_events(Relay("b", journal=journal))[-1]
    assert data(later)["type"] == "StreamCancelledError"


def test_an_error_of_the_programs_own_is_generic_to_who_comes_later(
    model, session, journal, read_events
):
    def fail(text):
        raise ZeroDivisionError("secret.py")

    model.expect(stream(EVENTS))
    asked = {"journal": journal, "stream_id": "a"}
    first = read_events(Relay(session.stream("Hi", on_token=fail, **asked)))[-1]
    later = read_events(Relay("a", journal=journal))[-1]
    assert data(first)["code"] == data(later)["code"] == "internal"
    assert "secret" not in later.data


def test_an_id_that_the_journal_does_not_know_is_a_404(journal, monkeypatch, read_events):
    monkeypatch.setattr("streamsafe.web.sources.GRACE", 0.0)
    relay = Relay("nobody", journal=journal)
    assert relay.status_line == "404 Not Found"
    (only,) = read_events(relay)
    assert data(only)["code"] == "not_resumable" and "streams.db" not in only.data


def test_one_whose_begin_is_still_under_way_is_waited_for(model, session, journal, read_events):
    model.expect(stream(EVENTS))
    answer = session.stream("Hi", journal=journal, stream_id="river")
    late = threading.Timer(0.05, answer.until_done)
    late.start()
    assert text_of(read_events(Relay("river", journal=journal))) == TEXT
    late.join()


def test_a_journal_that_fails_ends_the_response(model, session, journal, read_events, monkeypatch):
    def full(*args, **kwargs):
        raise StorageError("/var/lib/streams.db: the disk is full")

    model.expect(stream(EVENTS))
    monkeypatch.setattr(journal, "append", full)
    monkeypatch.setattr(journal, "end", full)
    *_, last = read_events(
        Relay(session.stream("Hi", journal=journal, stream_id="a"), heartbeat=0.05)
    )
    assert data(last)["type"] == "StorageError" and "/var" not in last.data


def test_what_is_no_id_of_ours_has_the_answer_from_its_beginning(
    model, session, journal, read_events
):
    model.expect(stream(EVENTS))
    session.complete("Hi", journal=journal, stream_id="river")
    for odd in ("", "x", "-1", "9" * 5000, "٣", "1.5"):
        start, *rest = read_events(Relay("river", journal=journal, last_event_id=odd))
        assert data(start)["after"] == 0 and text_of(rest) == TEXT


def test_a_name_wants_a_journal():
    with pytest.raises(ConfigurationError, match="journal"):
        Relay("river")


@pytest.mark.parametrize(
    "wrong",
    [
        {"heartbeat": 0}, {"heartbeat": "5"}, {"retry": -1}, {"retry": float("inf")},
        {"format": "xml"}, {"last_event_id": 2},
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_said_at_once(session, wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Relay(session.stream("Hi"), **wrong)


def test_what_is_no_stream_is_said_at_once():
    with pytest.raises(ConfigurationError, match="expected a Stream"):
        Relay(["a", "b"])


# -- a stream whose process has gone -------------------------------------------------------------


@pytest.fixture
def orphan(session, journal):
    """The id of a stream of which a process that is no more has written the first words."""
    call = Call([{"role": "user", "content": "Hi"}], session.model)
    journal.begin("river", call=call, provider="openai_compatible", settings={})
    journal.append("river", [Chunk("text", "Rivers do"), Chunk("text", " not")])
    journal.release("river")
    return "river"


def test_its_stream_is_said_to_have_broken_off(orphan, journal, read_events):
    *pieces, last = read_events(Relay(orphan, journal=journal))
    assert text_of(pieces) == "Rivers do not"
    assert data(last)["code"] == "interrupted" and data(last)["retryable"] is True


def test_with_a_session_it_is_gone_on_with(model, session, orphan, journal, read_events):
    model.expect(stream(EVENTS))
    session.resume_mode = "restart"
    body = b"".join(Relay(orphan, session=session, journal=journal, last_event_id="1"))
    assert "Rivers do" + text_of(read_events(body)) == TEXT
    assert journal.info(orphan).status == "complete"


def test_one_that_cannot_be_gone_on_with_ends_in_that(session, orphan, journal, read_events):
    *pieces, last = read_events(Relay(orphan, session=session, journal=journal))
    assert text_of(pieces) == "Rivers do not"
    assert data(last)["code"] == "not_resumable"
    assert read_events(Relay(orphan, session=session, journal=journal))[-1] == last


# -- an answer that begins anew ------------------------------------------------------------------


def anew(model, session, **arguments):
    """An answer that breaks off and is another one when it is asked for again."""
    model.expect(
        stream(openai_chat("Rivers are slow.")[:3], then=rst()), stream(openai_chat("The sea."))
    )
    return session.stream(
        "Hi", retry=RetryPolicy(max_retries=1, base=0.001), resume="restart", **arguments
    )


@pytest.mark.parametrize("format", ["streamsafe", "ndjson"])
def test_what_was_sent_is_called_void_where_the_format_can(model, session, format):
    body = b"".join(Relay(anew(model, session), format=format)).decode()
    before, after = body.split("restart")
    assert "Rivers" in before and "Rivers" not in after and "sea" in after


@pytest.mark.parametrize("format", ["openai", "vercel"])
def test_where_it_cannot_the_response_fails(model, session, format):
    handle = StreamHandle(anew(model, session), 8)
    body = b"".join(Relay(handle, format=format)).decode()
    assert "sea" not in body and "cannot be gone on with" in body
    with contextlib.suppress(StreamCancelledError):
        handle.result(PATIENCE)


def test_who_comes_later_has_only_what_counts(model, session, journal):
    anew(model, session, journal=journal, stream_id="a").until_done()
    assert b"".join(Relay("a", journal=journal, format="text")) == b"The sea."
