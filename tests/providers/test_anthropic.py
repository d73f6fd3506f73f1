"""Anthropic Messages: the request field by field, the events, and the way on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.engine.accumulator import Accumulator
from streamsafe.errors import (
    APIError,
    ConfigurationError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
)
from streamsafe.models import Call, Completion, ServerSentEvent
from streamsafe.providers import presets

PROVIDER = presets.provider("anthropic")
TARGET = presets.target(PROVIDER, "key", environ={})
HI = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw0="


def ask(messages=(HI,), target=TARGET, body=None, extra=None, model="claude-x", **parameters):
    return PROVIDER.request(Call(messages, model, parameters, body, extra), target)


def sent(messages, **parameters):
    return ask(messages, **parameters).json["messages"]


def body(*payloads):
    """An event stream of these payloads."""
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (p["type"].encode(), json.dumps(p).encode()) for p in payloads
    )


START = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "claude-x", "content": [], "usage": {"input_tokens": 3}},
}
STOP = {"type": "message_stop"}


def delta(index, kind, **fields):
    return {
        "type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}
    }  # fmt: skip


def block(index, content, *deltas):
    """The events of one block."""
    begun = {"type": "content_block_start", "index": index, "content_block": content}
    return [begun, *deltas, {"type": "content_block_stop", "index": index}]


def text(index, *pieces):
    return block(
        index, {"type": "text", "text": ""}, *(delta(index, "text_delta", text=p) for p in pieces)
    )


def ended(reason, **fields):
    return {
        "type": "message_delta", "delta": {"stop_reason": reason, **fields},
        "usage": {"output_tokens": 7},
    }  # fmt: skip


# -- the request ---------------------------------------------------------------------------------


def test_a_prompt_is_asked_with_url_headers_and_body():
    request = ask()
    assert request.method == "POST"
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.headers == {"x-api-key": "key", "anthropic-version": "2023-06-01"}
    assert request.json == {
        "model": "claude-x", "max_tokens": 4096, "messages": [HI], "stream": True
    }  # fmt: skip


def test_the_programs_own_version_and_authorization_go_first():
    headers = {"Anthropic-Version": "2026-10-21", "Authorization": "Bearer token"}
    target = presets.target(PROVIDER, "key", None, headers, environ={})
    assert ask(target=target).headers == headers


def test_system_and_developer_messages_become_the_system_prompt():
    request = ask(
        [{"role": "system", "content": "One."}, HI, {"role": "developer", "content": "Two."}]
    )
    assert request.json["system"] == "One.\nTwo."
    assert request.json["messages"] == [HI]


def test_a_system_prompt_in_blocks_keeps_its_marks():
    cached = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
    request = ask([{"role": "system", "content": [cached]}, HI])
    assert request.json["system"] == [cached]


def test_images_go_by_url_or_as_base64():
    content = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "image_url": PNG},
    ]
    assert sent([{"role": "user", "content": content}])[0]["content"][1:] == [
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image",
         "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}},
    ]  # fmt: skip


CALLS = {
    "role": "assistant",
    "content": "Looking.",
    "tool_calls": [
        {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}},
    ],
}


def test_tool_calls_become_blocks_and_their_results_one_user_message():
    made = sent(
        [
            HI,
            CALLS,
            {"role": "tool", "tool_call_id": "t1", "content": "one"},
            {"role": "tool", "tool_call_id": "t2", "content": "two", "is_error": True},
            {"role": "user", "content": "And?"},
        ]
    )
    assert made[1]["content"] == [
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ]
    assert made[2:] == [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "t2", "content": "two", "is_error": True},
                {"type": "text", "text": "And?"},
            ],
        }
    ]


def test_blocks_of_the_apis_own_pass_through():
    blocks = [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    document = {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}}
    made = sent(
        [{"role": "user", "content": [document]}, {"role": "assistant", "content": blocks}]
    )
    assert [message["content"] for message in made] == [[document], blocks]


def test_an_empty_answer_is_left_out_of_the_next_question():
    assert sent([HI, {"role": "assistant", "content": ""}, HI]) == [HI, HI]


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"role": "user", "content": ""}, r"messages\[1\]: content is empty"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, r"messages\[1\].*input_audio"),
        ({"role": "user", "content": [{"type": "image_url"}]}, r"messages\[1\].*image"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "data:x,y"}]}, "base64"),
        ({"role": "tool", "content": "x"}, r"messages\[1\].*tool_call_id"),
        ({"role": "function", "name": "f", "content": "x"}, r"messages\[1\].*function"),
        ({"role": "model", "parts": []}, r"messages\[1\].*model"),
        ({"role": "system", "content": [{"type": "image_url"}]}, r"messages\[1\].*only text"),
        (
            {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f",
             "arguments": "{"}}]},
            r"messages\[1\].*not JSON",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f",
             "arguments": "[]"}}]},
            r"messages\[1\].*no JSON object",
        ),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "wants an id"),
        ({"role": "assistant", "tool_calls": [{"id": "t"}]}, "function with a name"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "function_call"),
    ],
)  # fmt: skip
def test_a_message_that_the_api_cannot_take_is_named(message, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        ask([HI, message])


def test_a_question_wants_a_model_and_a_message():
    with pytest.raises(ConfigurationError, match="model="):
        ask(model=None)
    with pytest.raises(ConfigurationError, match="user message"):
        ask([{"role": "system", "content": "s"}])


def test_parameters_get_the_apis_names_and_unknown_ones_pass():
    made = ask(
        max_tokens=9,
        stop="END",
        temperature=0.5,
        top_p=0.9,
        user="u",
        service_tier="auto",
        tools=[
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
            },
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        tool_choice="required",
        parallel_tool_calls=False,
    ).json
    assert made["max_tokens"] == 9 and made["stop_sequences"] == ["END"]
    assert made["temperature"] == 0.5 and made["top_p"] == 0.9
    assert made["metadata"] == {"user_id": "u"} and made["service_tier"] == "auto"
    assert made["tools"] == [
        {"name": "f", "description": "d", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search"},
    ]
    assert made["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"type": "tool", "name": "g"}, {"type": "tool", "name": "g"}),
    ],
)
def test_tool_choice(choice, made):
    assert ask(tool_choice=choice).json["tool_choice"] == made


def test_a_schema_becomes_the_output_format_and_json_without_one_is_refused():
    schema = {"type": "object"}
    asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert ask(response_format=asked).json["output_config"] == {
        "format": {"type": "json_schema", "schema": schema}
    }
    assert "output_config" not in ask(response_format={"type": "text"}).json
    with pytest.raises(ConfigurationError, match="wants a schema"):
        ask(response_format={"type": "json_object"})


def test_the_default_bound_leaves_room_for_thinking():
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert ask(thinking=thinking).json["max_tokens"] == 6096


def test_a_body_of_the_apis_own_passes_untouched():
    own = {"model": "claude-y", "max_tokens": 1, "messages": [HI], "top_k": 3}
    assert ask((), body=own).json == {**own, "stream": True}
    assert "stream" not in own


# -- the events ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "normal"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("of_the_future", "stop"),
    ],
)
def test_finish_reasons(decode, reason, normal):
    got = decode("anthropic", [body(START, *text(0, "x"), ended(reason), STOP)])
    assert got.finished
    assert got.completion.finish_reason == normal
    assert got.completion.raw_finish_reason == reason


def test_a_stop_reason_without_message_stop_is_no_verdict(decode):
    got = decode("anthropic", [body(START, *text(0, "x"), ended("end_turn"))])
    assert not got.finished and got.failure is None
    assert got.completion.finish_reason is None


def test_message_stop_without_its_blank_line_is_one(decode):
    whole = body(START, *text(0, "x"), ended("end_turn"), STOP)
    assert decode("anthropic", [whole[:-2]]).finished


def test_usage_is_merged_and_what_was_cached_is_part_of_the_input(decode):
    begun = {"input_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3,
             "output_tokens": 1}  # fmt: skip
    last = {**ended("end_turn"), "usage": {"output_tokens": 9, "cache_read_input_tokens": None,
            "output_tokens_details": {"thinking_tokens": 4}}}  # fmt: skip
    first = {**START, "message": {**START["message"], "usage": begun}}
    usage = decode("anthropic", [body(first, *text(0, "x"), last, STOP)]).completion.usage
    assert usage[:5] == (28, 9, 4, 20, 37)
    assert usage.raw["cache_read_input_tokens"] == 20


@given(cuts=st.lists(st.integers(0, 40), max_size=8))
def test_tool_input_is_joined_wherever_it_is_cut(cuts):
    whole = json.dumps({"city": "Đà Nẵng", "quote": '\\"', "n": [1, 2]})
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    pieces = ["", *(whole[a:b] for a, b in zip(places, places[1:]))]
    tool = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    payloads = [START]
    payloads += block(0, tool, *(delta(0, "input_json_delta", partial_json=p) for p in pieces))
    payloads += block(1, {**tool, "id": "u"}, delta(1, "input_json_delta", partial_json=""))
    payloads += block(2, {**tool, "id": "v", "input": {"given": 1}})
    decoder, made = PROVIDER.decoder(Call()), Accumulator()
    for payload in [*payloads, ended("tool_use"), STOP]:
        for chunk in decoder.feed([ServerSentEvent(payload["type"], json.dumps(payload))]):
            made.add(chunk)
    completion = made.completion()
    assert [call.id for call in completion.tool_calls] == ["t", "u", "v"]
    assert completion.tool_calls[0].arguments == whole
    assert completion.tool_calls[1].arguments == "{}"
    assert completion.tool_calls[2].parsed() == {"given": 1}
    content = decoder.message(completion)["content"]
    assert [b["input"] for b in content] == [json.loads(whole), {}, {"given": 1}]


def test_a_tool_call_cut_off_by_its_length_is_shown_and_not_sent_back(decode):
    tool = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    piece = delta(1, "input_json_delta", partial_json='{"a": ')
    stream = body(START, *text(0, "x"), *block(1, tool, piece), ended("max_tokens"), STOP)
    got = decode("anthropic", [stream])
    assert got.completion.tool_calls[0].arguments == '{"a": '
    assert got.completion.finish_reason == "length"
    assert got.completion.to_message()["content"] == [{"type": "text", "text": "x"}]


def test_a_servers_tool_is_no_tool_call_and_is_sent_back(decode):
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    cited = {"type": "web_search_result_location", "url": "https://example.org"}
    stream = body(
        START,
        *block(0, search, delta(0, "input_json_delta", partial_json='{"query": "q"}')),
        *block(1, found),
        *block(2, {"type": "text", "text": ""}, delta(2, "text_delta", text="It is so."),
               delta(2, "citations_delta", citation=cited)),
        ended("end_turn"),
        STOP,
    )  # fmt: skip
    completion = decode("anthropic", [stream]).completion
    assert completion.tool_calls == () and completion.finish_reason == "stop"
    assert completion.citations == (cited,)
    assert completion.to_message()["content"] == [
        {**search, "input": {"query": "q"}},
        found,
        {"type": "text", "text": "It is so.", "citations": [cited]},
    ]


def test_what_must_come_back_comes_back_in_the_next_request(decode):
    stream = body(
        START,
        *block(0, {"type": "thinking", "thinking": "", "signature": ""},
               delta(0, "thinking_delta", thinking="Hm"),
               delta(0, "signature_delta", signature="old"),
               delta(0, "signature_delta", signature="new")),
        *block(1, {"type": "redacted_thinking", "data": "d"}),
        *text(2, "I ", "look."),
        *block(3, {"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        ended("tool_use"),
        STOP,
    )  # fmt: skip
    message = decode("anthropic", [stream]).completion.to_message()
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "new"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    result = {"role": "tool", "tool_call_id": "t", "content": "r"}
    assert sent([HI, message, result])[1] == message


def test_the_message_of_an_answer_in_two_attempts_has_the_text_of_both():
    decoder = PROVIDER.decoder(Call())
    thought = block(0, {"type": "thinking", "thinking": "Hm", "signature": "s"})
    for payload in [START, *thought, *text(1, "second."), ended("end_turn"), STOP]:
        decoder.feed([ServerSentEvent(payload["type"], json.dumps(payload))])
    assert decoder.message(Completion("First, second."))["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "text", "text": "First, second."},
    ]


@pytest.mark.parametrize("reason", ["pause_turn", "compaction"])
def test_a_pause_is_gone_on_from_with_the_content_as_it_came(decode, reason):
    got = decode("anthropic", [body(START, *text(0, "So far"), ended(reason), STOP)])
    assert got.finished
    assert got.completion.finish_reason is None
    call = Call([HI], "claude-x", extra=got.decoder.continuation)
    paused = {"role": "assistant", "content": [{"type": "text", "text": "So far"}]}
    assert PROVIDER.request(call, TARGET).json["messages"] == [HI, paused]
    rest = decode(
        "anthropic", [body(START, *text(0, ", so good"), ended("end_turn"), STOP)], call
    )
    whole = rest.decoder.message(Completion("So far, so good"))
    assert [b["text"] for b in whole["content"]] == ["So far", ", so good"]


def test_a_ping_gives_no_chunk_and_all_else_gives_one(decode):
    ping, unknown = {"type": "ping"}, {"type": "x_future"}
    stream = [START, ping, unknown, *text(0, "x"), ended("end_turn"), STOP]
    for payload in stream:
        chunks = PROVIDER.decoder(Call()).feed(
            [ServerSentEvent(payload["type"], json.dumps(payload))]
        )
        assert bool(chunks) is (payload is not ping)


def test_a_plain_answer_means_the_same(decode):
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 4},
        "content": [{"type": "thinking", "thinking": "Hm", "signature": "s"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}],
    }  # fmt: skip
    got = decode("anthropic", [json.dumps(message).encode()], content_type="application/json")
    assert got.finished
    completion = got.completion
    assert (completion.text, completion.reasoning) == ("I look.", "Hm")
    assert completion.tool_calls[0].parsed() == {"a": 1}
    assert completion.finish_reason == "tool_calls"
    assert completion.usage.total_tokens == 7
    assert completion.to_message()["content"] == message["content"]
    assert {id(chunk.raw) for chunk in got.chunks} == {id(got.chunks[0].raw)}


# -- errors --------------------------------------------------------------------------------------


def in_stream(kind, **details):
    error = {"type": kind, "message": "m", "details": details or None}
    return body(
        START, *text(0, "x")[:2], {"type": "error", "error": error, "request_id": "req_1"}
    )


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        ("overloaded_error", True),
        ("api_error", True),
        ("rate_limit_error", True),
        ("timeout_error", True),
        ("invalid_request_error", False),
        ("authentication_error", False),
        ("billing_error", False),
    ],
)
def test_errors_inside_the_stream(decode, kind, again):
    got = decode("anthropic", [in_stream(kind)])
    assert got.completion.text == "x"
    assert isinstance(got.failure, APIError) and got.failure.in_stream
    assert got.failure.type == kind and got.failure.retryable is again
    assert got.failure.request_id == "req_1"


def test_an_error_in_place_of_the_stream(decode):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    got = decode("anthropic", [json.dumps(error).encode()], content_type="application/json")
    assert isinstance(got.failure, OverloadedError)
    assert not got.finished


def answered(kind, headers=None, status=429, **details):
    error = {"type": kind, "message": "m", "details": details}
    text = json.dumps({"type": "error", "error": error, "request_id": "req_b"})
    return PROVIDER.error(status, headers or {}, text)


def test_a_429_with_a_delay_is_a_rate_limit_and_one_without_a_spending_limit():
    error = answered("rate_limit_error", {"retry-after": "7", "request-id": "req_h"})
    assert type(error) is RateLimitError and error.retryable
    assert error.retry_after == 7 and error.request_id == "req_h"
    capped = answered("rate_limit_error")
    assert type(capped) is QuotaExceededError and not capped.retryable
    assert capped.status == 429 and capped.request_id == "req_b"
    assert answered("rate_limit_error", {"x-should-retry": "true"}).retryable
    named = answered(
        "rate_limit_error", {"retry-after": "7"}, error_code="enforced_spend_limit_reached"
    )
    assert type(named) is QuotaExceededError


# -- the way on ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "prefill"),
    [
        ("claude-2.1", "yes"),
        ("claude-instant-1.2", "yes"),
        ("claude-3-5-sonnet-20241022", "yes"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "yes"),
        ("claude-sonnet-4-20250514", "yes"),
        ("claude-opus-4-1@20250805", "yes"),
        ("claude-haiku-4-5", "yes"),
        ("claude-opus-4-5-20251101", "yes"),
        ("claude-opus-4-6", "no"),
        ("claude-sonnet-5", "no"),
        ("claude-opus-5-5", "no"),
        ("claude-opus-10", "no"),
        ("claude-mythos", "no"),
        (None, "no"),
    ],
)
def test_prefill_depends_on_the_model(model, prefill):
    profile = PROVIDER.profile(model)
    assert profile.prefill == prefill
    assert profile.strips is (prefill == "yes")


def test_a_prefill_has_no_white_space_behind_it_and_no_thinking_before():
    call = Call([HI], "claude-haiku-4-5", {"thinking": {"type": "enabled"}, "top_p": 1})
    onward = PROVIDER.continued(call, Completion("Once upon \n"), "prefill")
    made = PROVIDER.request(onward, TARGET).json
    assert made["messages"] == [HI, {"role": "assistant", "content": "Once upon"}]
    assert "thinking" not in made and made["top_p"] == 1


def test_a_request_to_go_on_stands_behind_the_text():
    onward = PROVIDER.continued(Call([HI], "claude-x"), Completion("Once"), "user_message")
    messages = PROVIDER.request(onward, TARGET).json["messages"]
    assert messages[:2] == [HI, {"role": "assistant", "content": "Once"}]
    assert messages[2]["role"] == "user" and "Continue" in messages[2]["content"]


def test_a_body_of_the_apis_own_is_gone_on_from_too():
    own = {"model": "claude-3", "max_tokens": 9, "messages": [HI], "thinking": {}}
    onward = PROVIDER.continued(Call(body=own), Completion("Once"), "prefill")
    assert onward.body == {
        "model": "claude-3", "max_tokens": 9,
        "messages": [HI, {"role": "assistant", "content": "Once"}],
    }  # fmt: skip


@pytest.mark.parametrize(("text_so_far", "how"), [(" \n", "prefill"), ("Once", "cursor")])
def test_there_is_no_way_on_from_nothing_or_by_a_cursor(text_so_far, how):
    with pytest.raises(ConfigurationError):
        PROVIDER.continued(Call([HI], "claude-3"), Completion(text_so_far), how)
