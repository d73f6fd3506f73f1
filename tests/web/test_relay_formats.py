"""What each format makes of an answer."""

import json

import pytest

from streamsafe import Chunk, Completion, Outcome, StreamSession
from streamsafe.errors import AuthenticationError, RateLimitError, StreamCancelledError
from streamsafe.errors import ContextLengthError, ServerError
from streamsafe.models import ToolCallFragment, Usage
from streamsafe.testing import FaultServer, openai_chat, reply, rst, stream
from streamsafe.web.fault import fault_of
from streamsafe.web.formats import FORMATS, Opening, made
from streamsafe.web.relay import Relay
from streamsafe.wire.ndjson import NDJSONFramer

TEXT = 'Ärger? "Rivers"\r\ndo not hurry \U0001f30a, and yet\n\ndata: they arrive.'
OPENING = Opening("river", "m", 0, 1.0)
ANSWER = openai_chat(
    TEXT, usage=(3, 9), reasoning="Let me\nthink.", tool_calls=[("look", {"where": "sea"})]
)
END = Completion(outcome=Outcome.COMPLETE, finish_reason="stop")


def payloads(events):
    return [json.loads(event.data) for event in events if event.data != "[DONE]"]


def written(format, *chunks, end=END):
    said = made(format)
    body = said.start(OPENING)
    for number, chunk in enumerate(chunks, 1):
        body += said.chunk(number, chunk)
    return body + said.end(len(chunks), end)


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_smiley_that_was_cut_in_two_arrives_whole(format, read_events):
    body = written(format, Chunk("text", "a \ud83c"), Chunk("text", "\udf0a b")).decode()
    if format == "text":
        assert body == "a \U0001f30a b"
    else:
        assert "\\ud83c" in body and "\\udf0a" in body


def test_text_is_the_text_alone(model, session):
    model.expect(stream(ANSWER))
    relay = Relay(session.stream("Hi"), format="text")
    assert relay.headers["X-Content-Type-Options"] == "nosniff"
    assert b"".join(relay) == TEXT.encode()


def test_text_that_breaks_off_breaks_the_response(model, session):
    model.expect(stream(ANSWER[:6], then=rst()))
    relay, got = Relay(session.stream("Hi"), format="text"), b""
    with pytest.raises(Exception, match="connection broke|body ended"):
        for piece in relay:
            got += piece
    assert TEXT.encode().startswith(got)


def test_lines_say_what_events_say(model, session, read_events):
    model.expect(stream(ANSWER), stream(ANSWER))
    events = read_events(Relay(session.stream("Hi", stream_id="a")))
    relay = Relay(session.stream("Hi", stream_id="a"), format="ndjson")
    assert relay.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(event.data) for event in NDJSONFramer().feed(b"".join(relay))]
    assert [line.pop("kind") for line in lines] == [event.event for event in events]
    ids = [line.pop("id", None) for line in lines]
    assert lines == payloads(events)
    assert ids == [int(event.id) if event.id.isdigit() else None for event in events]


# -- the front ends of others --------------------------------------------------------------------


@pytest.fixture
def relayed(model, session):
    """Another session, which asks a server that answers with what the relay writes."""
    with FaultServer() as front:
        front.handle(
            lambda request: stream(b"".join(Relay(session.stream("Hi"), format="openai")))
        )
        with StreamSession(
            "openai_compatible", base_url=f"{front.url}/v1", model="m", retry=0, resume="never"
        ) as made:
            yield made


def test_our_own_client_reads_the_openai_format_as_the_answer_itself(model, session, relayed):
    model.always(stream(ANSWER))
    there, here = session.complete("Hi"), relayed.complete("Hi")
    for name in ("text", "reasoning", "tool_calls", "finish_reason", "outcome"):
        assert getattr(here, name) == getattr(there, name), name
    assert here.usage._replace(raw=None) == there.usage._replace(raw=None)
    assert here.text == TEXT


def test_several_choices_and_a_refusal_arrive_in_the_openai_format(read_events):
    chunks = [Chunk("text", "a", index=1), Chunk("refusal", refusal="No.")]
    payload = payloads(read_events(written("openai", *chunks)))[1:3]
    assert [said["choices"][0]["index"] for said in payload] == [1, 0]
    assert payload[1]["choices"][0]["delta"] == {"refusal": "No."}


def test_our_own_client_reads_a_failure_in_the_openai_format(model, relayed):
    model.always(reply(429, json={"error": {"message": "org-9", "code": "rate_limit_exceeded"}}))
    with pytest.raises(RateLimitError, match="Too much is being asked") as caught:
        relayed.complete("Hi")
    assert caught.value.in_stream and "org-9" not in str(caught.value)


def test_there_is_no_done_behind_a_failure_in_the_openai_format(model, session):
    model.expect(stream(ANSWER[:6], then=rst()))
    assert b"[DONE]" not in b"".join(Relay(session.stream("Hi"), format="openai"))


def test_the_parts_of_the_ai_sdk_open_and_close(model, session, read_events):
    model.expect(stream(ANSWER))
    relay = Relay(session.stream("Hi", stream_id="river"), format="vercel")
    assert relay.headers["x-vercel-ai-ui-message-stream"] == "v1"
    events = read_events(relay)
    assert events[-1].data == "[DONE]" and {event.event for event in events} == {"message"}
    parts = payloads(events)
    kinds = [part["type"] for part in parts]
    assert list(dict.fromkeys(kinds)) == [
        "start", "start-step",
        "reasoning-start", "reasoning-delta", "reasoning-end",
        "text-start", "text-delta", "text-end",
        "tool-input-start", "tool-input-delta", "tool-input-available",
        "finish-step", "finish",
    ]  # fmt: skip
    assert parts[0]["messageId"] == "river"
    assert "".join(part["delta"] for part in parts if part["type"] == "text-delta") == TEXT
    assert len({part["id"] for part in parts if part["type"].startswith("text")}) == 1
    (tool,) = [part for part in parts if part["type"] == "tool-input-available"]
    assert tool["toolName"] == "look" and tool["input"] == {"where": "sea"}
    typed = "".join(part["inputTextDelta"] for part in parts if "inputTextDelta" in part)
    assert json.loads(typed) == {"where": "sea"}
    assert parts[-1]["messageMetadata"]["outcome"] == "complete"


def test_a_part_has_no_field_that_the_ai_sdk_refuses(read_events):
    known = {
        "start": {"messageId", "messageMetadata"},
        "start-step": set(),
        "text-start": {"id"},
        "text-delta": {"id", "delta"},
        "text-end": {"id"},
        "reasoning-start": {"id"},
        "reasoning-delta": {"id", "delta"},
        "reasoning-end": {"id"},
        "tool-input-start": {"toolCallId", "toolName"},
        "tool-input-delta": {"toolCallId", "inputTextDelta"},
        "tool-input-available": {"toolCallId", "toolName", "input"},
        "tool-input-error": {"toolCallId", "toolName", "input", "errorText"},
        "source-url": {"sourceId", "url", "title"},
        "finish-step": set(),
        "finish": {"messageMetadata"},
    }
    body = written(
        "vercel",
        Chunk("reasoning", reasoning="Hm."),
        Chunk("text", "a"),
        Chunk("text", "not shown", index=1),
        Chunk("citation", citation={"url": "https://example.org", "title": "E", "start": 1}),
        Chunk("citation", citation={"document": 3}),
        Chunk("refusal", refusal="No."),
        Chunk("tool_call", tool_call=ToolCallFragment(0, "c1", "look", "{}")),
        Chunk("tool_call", tool_call=ToolCallFragment(1, "c2", "look", '{"a":')),
        Chunk("usage", usage=Usage(1, 2)),
    )
    parts = payloads(read_events(body))
    assert {part["type"] for part in parts} == set(known)
    for part in parts:
        assert set(part) - {"type"} <= known[part["type"]], part


@pytest.mark.parametrize("format", ["openai", "vercel"])
def test_a_response_that_begins_in_the_middle_writes_what_the_whole_one_does(
    model, session, journal, read_events, format
):
    model.expect(stream(ANSWER))
    session.complete("Hi", journal=journal, stream_id="river")

    def parts(events):
        return [{**part, "created": 0} for part in payloads(events)]

    whole = read_events(Relay("river", journal=journal, format=format))
    ids = [event.id for event in whole]
    for number in sorted({int(id) for id in ids if id.isdigit()}):
        seen = ids.index(str(number)) + 1
        rest = read_events(
            Relay("river", journal=journal, format=format, last_event_id=str(number))
        )
        assert parts(whole[:seen]) + parts(rest) == parts(whole)


def test_the_ai_sdk_is_told_of_an_error_and_of_a_stop(read_events):
    for error, part in [
        (ServerError("db7"), {"type": "error", "errorText": None}),
        (StreamCancelledError("enough"), {"type": "abort"}),
    ]:
        said = made("vercel")
        body = said.chunk(1, Chunk("text", "a")) + said.failed(1, fault_of(error))
        *_, end, last, done = read_events(body)
        assert json.loads(end.data)["type"] == "text-end" and done.data == "[DONE]"
        told = json.loads(last.data)
        if "errorText" in told:
            told["errorText"] = part["errorText"] = None if told["errorText"] else ""
            part["errorText"] = None
        assert told == part and "db7" not in last.data


# -- faults ----------------------------------------------------------------------------------------


def test_a_fault_has_the_class_the_servers_code_and_our_words():
    fault = fault_of(ContextLengthError("8192 tokens of org-9", code="string_above_max_length"))
    assert fault[:2] == ("ContextLengthError", "string_above_max_length")
    assert "org-9" not in fault.message and fault.hint and fault.retryable is False


@pytest.mark.parametrize("code", ["Bearer sk-123", "x" * 65, "", None, 7, "a\nb", "Ürg"])
def test_a_code_that_is_no_code_is_not_shown(code):
    assert fault_of(AuthenticationError("no", code=code)).code == "unavailable"


def test_every_error_has_a_sentence():
    from streamsafe import errors

    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.StreamingError):
            fault = fault_of(error.__new__(error))
            assert fault.type == error.__name__ and fault.message.endswith(".") and fault.code
