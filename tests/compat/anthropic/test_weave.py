"""Anthropic's events, given back as they came or made unbroken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamsafe import RetryPolicy
from streamsafe.compat import anthropic as sdk
from streamsafe.compat.anthropic import Anthropic
from streamsafe.testing import FaultServer, anthropic, reply, rst, stream

#: One that goes on from what it began.
ASKED: dict[str, Any] = {
    "model": "claude-3-5-sonnet-latest",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hi"}],
}
SOON = RetryPolicy(base=0)


def payloads(events: list[bytes]) -> list[Any]:
    found = [json.loads(event.partition(b"data: ")[2]) for event in events]
    return [payload for payload in found if payload["type"] != "ping"]


def test_an_answer_that_is_gone_on_with_is_one_message(server: FaultServer) -> None:
    whole = anthropic("The quick brown fox", tool_calls=[("f", {"a": 1})])
    rest = anthropic(" brown fox", id="msg_other", tool_calls=[("f", {"a": 1})])
    server.expect(stream(whole[:5], then=rst()), stream(rest))
    with Anthropic(max_retries=SOON) as client:
        made = [event.to_dict() for event in client.messages.create(stream=True, **ASKED)]
    assert server.requests[1].json["messages"][-1] == {"role": "assistant", "content": "The quick"}
    expected = payloads(whole)
    assert made[:-2] == expected[:-2]
    assert [event["type"] for event in made[-2:]] == ["message_delta", "message_stop"]


def test_the_end_is_told_once_though_the_first_one_broke(server: FaultServer) -> None:
    whole = anthropic("The fox")
    server.expect(stream(whole[:-1], then=rst()), stream(whole))
    with Anthropic(resume="restart", max_retries=SOON) as client:
        made = [event.to_dict() for event in client.messages.create(stream=True, **ASKED)]
    assert made == payloads(whole)


def test_a_block_that_had_ended_is_not_gone_on_with(server: FaultServer) -> None:
    whole = anthropic("The quick")
    rest = anthropic(" brown", id="msg_other")
    cut = next(place for place, event in enumerate(whole) if b"content_block_stop" in event) + 1
    server.expect(stream(whole[:cut], then=rst()), stream(rest))
    with Anthropic(max_retries=SOON) as client, client.messages.stream(**ASKED) as events:
        message = events.get_final_message()
    assert [block.text for block in message.content] == ["The quick", " brown"]


def test_words_that_were_held_back_at_a_join_have_a_block(server: FaultServer) -> None:
    # Asked to go on, a model that says ".." may be about to repeat what it said: it is waited for.
    whole = anthropic("The quick")
    server.expect(stream(whole[:5], then=rst()), stream(anthropic("..", id="msg_other")))
    with Anthropic(resume="continue", max_retries=SOON) as client:
        asked = {**ASKED, "model": "claude-opus-9"}
        with client.messages.stream(**asked) as events:
            assert events.get_final_text() == "The quick.."
            assert events.stream.completion.text == "The quick.."


def test_a_pause_is_the_programs_to_go_on_from(server: FaultServer) -> None:
    server.expect(stream(anthropic("Searching", finish_reason="pause_turn")))
    server.expect(stream(anthropic("Searching", finish_reason="pause_turn")))
    with Anthropic() as client:
        assert client.messages.create(**ASKED).stop_reason == "pause_turn"
        with client.messages.stream(**ASKED) as events:
            assert events.get_final_message().stop_reason == "pause_turn"
    assert len(server.requests) == 2


def test_a_message_that_was_not_streamed_is_given_as_events(server: FaultServer) -> None:
    document = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None,
        "content": [{"type": "text", "text": "The fox"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"items": [1]}}],
        "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 2},
    }  # fmt: skip
    server.expect(reply(json=document), reply(json=document))
    with Anthropic() as client:
        assert client.messages.create(**ASKED).to_dict() == document
        with client.messages.stream(**ASKED) as events:
            assert list(events.text_stream) == ["The fox"]
            assert events.get_final_message().content[1].input == {"items": [1]}


def test_citations_are_in_the_message(server: FaultServer) -> None:
    whole = anthropic("The fox")
    cited = {"type": "content_block_delta", "index": 0,
             "delta": {"type": "citations_delta", "citation": {"cited_text": "fox"}}}  # fmt: skip
    place = next(n for n, event in enumerate(whole) if b"content_block_stop" in event)
    whole.insert(place, b"event: content_block_delta\ndata: %b\n\n" % json.dumps(cited).encode())
    server.expect(stream(whole))
    with Anthropic() as client, client.messages.stream(**ASKED) as events:
        added = [event.snapshot for event in events if event.type == "citation"]
        message = events.get_final_message()
    assert added == [[{"cited_text": "fox"}]]
    assert message.content[0].citations[0].cited_text == "fox"


def test_a_message_without_text_has_no_final_text(server: FaultServer) -> None:
    server.expect(stream(anthropic(tool_calls=[("f", {})])))
    with Anthropic() as client, client.messages.stream(**ASKED) as events:
        with pytest.raises(RuntimeError, match="it has tool_use"):
            events.get_final_text()


def test_a_message_is_put_together_while_it_is_read(server: FaultServer) -> None:
    server.expect(stream(anthropic("The quick fox")))
    with Anthropic() as client, client.messages.stream(**ASKED) as events:
        assert next(events.text_stream) == "The"
        assert events.current_message_snapshot.content[0].text == "The"
        assert list(events.text_stream) == [" quick", " fox"]
        assert events.stream.completion.text == "The quick fox"


def test_an_overloaded_server_is_asked_again_before_the_first_word(server: FaultServer) -> None:
    server.expect(stream(anthropic(error="Overloaded")))
    with Anthropic(max_retries=SOON) as client, client.messages.stream(**ASKED) as events:
        assert events.get_final_text().startswith("Once upon")


def test_leaving_the_with_closes_the_connection(server: FaultServer) -> None:
    whole = anthropic("The quick fox")
    server.expect(stream(whole[:4], then=rst()))
    with Anthropic(max_retries=0) as client, client.messages.stream(**ASKED) as events:
        with pytest.raises(sdk.APIConnectionError) as caught:
            events.get_final_message()
    assert caught.value.partial.text == "The"
