"""OpenAI's chunks, given back as they came or made unbroken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamsafe import RetryPolicy
from streamsafe.compat import openai
from streamsafe.compat.openai import OpenAI
from streamsafe.testing import FaultServer, reply, responses, rst, stream

ASKED: dict[str, Any] = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}]}
AGAIN: dict[str, Any] = {"resume": "restart", "max_retries": RetryPolicy(base=0)}


def events(*payloads: Any) -> list[bytes]:
    return [b"data: %b\n\n" % json.dumps(payload).encode() for payload in payloads]


def chunk(delta: Any = None, finish: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **more}


def streamed(client: OpenAI, **more: Any) -> list[dict[str, Any]]:
    with client:
        answer = client.chat.completions.create(stream=True, **ASKED, **more)
        return [chunk.to_dict() for chunk in answer]


def test_chunks_are_given_back_as_they_came_whatever_is_in_them(server: FaultServer) -> None:
    came = [
        {"id": "", "object": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm"}, service_tier="flex"),
        chunk({"content": "a\u2028b", "surprise": {"x": [1]}}),
        chunk({"content": "c"}, choices_more=1) | {"system_fingerprint": "fp"},
        chunk({}, "stop", usage={"total_tokens": 3}),
    ]
    server.expect(stream(events(*came)))
    assert streamed(OpenAI()) == came


def test_half_a_character_is_given_with_its_other_half(server: FaultServer) -> None:
    came = [chunk({"role": "assistant"}), chunk({"content": "a\ud83d"}),
            chunk({"content": "\ude00b"}), chunk({}, "stop")]  # fmt: skip
    server.expect(stream(events(*came)))
    made = streamed(OpenAI())
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in made) == "a\U0001f600b"


def test_usage_in_every_chunk_stays_there_behind_a_break(server: FaultServer) -> None:
    def counted(n: int) -> dict[str, Any]:
        return {"usage": {"total_tokens": n}}

    came = [
        chunk({"role": "assistant", "content": ""}, **counted(1)),
        chunk({"content": "The"}, **counted(2)),
        chunk({"content": " fox"}, **counted(3)),
        chunk({}, "stop", **counted(3)),
    ]
    server.expect(stream(events(*came[:2]), then=rst()), stream(events(*came)))
    assert streamed(OpenAI(**AGAIN)) == came


def test_a_choice_that_had_finished_is_finished_once(server: FaultServer) -> None:
    def choice(index: int, text: str, finish: Any = None) -> dict[str, Any]:
        made = chunk({"content": text} if text else {}, finish)
        made["choices"][0]["index"] = index
        return made

    came = [choice(0, "a"), choice(1, "b"), choice(0, "", "stop"), choice(1, "c"),
            choice(1, "", "length")]  # fmt: skip
    server.expect(stream(events(*came[:3]), then=rst()), stream(events(*came)))
    assert streamed(OpenAI(**AGAIN), n=2) == came


def test_reasoning_refusal_and_citations_are_unbroken_as_well(server: FaultServer) -> None:
    came = [
        chunk({"reasoning": "H"}),
        chunk({"reasoning": "m"}),
        chunk({"refusal": "I"}),
        chunk({"refusal": " can't"}),
        chunk({"annotations": [{"type": "url_citation"}]}),
        chunk({}, "stop"),
    ]
    for cut in range(1, len(came)):
        server.expect(stream(events(*came[:cut]), then=rst()), stream(events(*came)))
        assert streamed(OpenAI(**AGAIN)) == came, f"cut at {cut}"


def test_a_legacy_completion_that_was_not_streamed_is_one_chunk(server: FaultServer) -> None:
    choice = {"index": 0, "text": "upon a time", "finish_reason": "stop"}
    document = {"id": "1", "object": "text_completion", "choices": [choice]}
    server.expect(reply(json=document))
    with OpenAI() as client:
        (one,) = client.completions.create(model="gpt-test", prompt="Once", stream=True)
    assert one.to_dict() == document


def test_a_legacy_call_is_one_behind_a_break_too(server: FaultServer) -> None:
    def call(**function: str) -> dict[str, Any]:
        return chunk({"function_call": function})

    came = [call(name="f", arguments=""), call(arguments='{"a":'), call(arguments="1}"),
            chunk({}, "function_call")]  # fmt: skip
    server.expect(stream(events(*came[:2]), then=rst()), stream(events(*came)))
    assert streamed(OpenAI(**AGAIN)) == came


def test_a_server_that_does_not_stream_is_given_as_one_chunk(server: FaultServer) -> None:
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": "c", "type": "function", "function": function}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    document = {"id": "1", "object": "chat.completion", "choices": [choice]}
    server.expect(reply(json=document))
    (one,) = streamed(OpenAI())
    assert one["object"] == "chat.completion.chunk"
    assert one["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **calls[0]}]


def test_log_probabilities_and_what_servers_add_are_in_the_whole_answer(
    server: FaultServer,
) -> None:
    def likely(token: str) -> dict[str, Any]:
        made = chunk({"content": token, "reasoning_content": "h"}, system_fingerprint="fp")
        made["choices"][0]["logprobs"] = {"content": [{"token": token}], "refusal": None}
        return made

    server.expect(stream(events(likely("a"), likely("b"), chunk({}, "stop"))))
    with OpenAI() as client:
        answer = client.chat.completions.create(logprobs=True, **ASKED)
    assert [one.token for one in answer.choices[0].logprobs.content] == ["a", "b"]
    assert answer.choices[0].message.reasoning_content == "hh"
    assert answer.system_fingerprint == "fp"
    assert answer.choices[0].message.refusal is None


def test_a_response_in_the_background_is_taken_up_where_it_broke(server: FaultServer) -> None:
    came = responses("The quick brown fox")
    server.expect(stream(came[:6], then=rst()), stream(came[6:]))
    with OpenAI(max_retries=RetryPolicy(base=0)) as client:
        answer = client.responses.create(model="gpt-test", input="Hi", background=True, stream=True)
        made = [event.to_dict() for event in answer]
    assert made == [json.loads(event.partition(b"data: ")[2]) for event in came]
    assert server.requests[1].path == "/v1/responses/resp_test?stream=true&starting_after=5"


def test_a_response_that_failed_is_raised(server: FaultServer) -> None:
    server.expect(stream(responses("The", error={"code": "invalid_prompt", "message": "No"})))
    with OpenAI() as client:
        answer = client.responses.create(model="gpt-test", input="Hi", stream=True)
        with pytest.raises(openai.APIError, match="No") as caught:
            list(answer)
    assert caught.value.code == "invalid_prompt"


def test_a_response_that_was_not_streamed_is_given_as_its_text_and_end(
    server: FaultServer,
) -> None:
    part = {"type": "output_text", "text": "The fox"}
    item = {"type": "message", "role": "assistant", "content": [part]}
    document = {"id": "r", "object": "response", "status": "completed", "output": [item]}
    server.expect(reply(json=document), reply(json=document))
    with OpenAI() as client:
        answer = client.responses.create(model="gpt-test", input="Hi", stream=True)
        made = [(event.type, event.get("delta")) for event in answer]
        assert client.responses.create(model="gpt-test", input="Hi").to_dict() == document
    assert made == [("response.output_text.delta", "The fox"), ("response.completed", None)]
