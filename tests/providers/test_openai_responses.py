"""OpenAI Responses: the request field by field, the events, and the cursor."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.engine.accumulator import Accumulator
from streamsafe.errors import APIError, ConfigurationError
from streamsafe.models import Call, Completion, ServerSentEvent, ToolCall
from streamsafe.providers import presets

PROVIDER = presets.provider("openai_responses")
TARGET = presets.target(PROVIDER, "key", environ={})
HI = {"role": "user", "content": "Hi"}


def ask(messages=(HI,), body=None, extra=None, model="gpt-x", **parameters):
    return PROVIDER.request(Call(messages, model, parameters, body, extra), TARGET)


def items(messages, **parameters):
    return ask(messages, **parameters).json["input"]


def body(*payloads, first=0):
    """An event stream of these payloads, numbered."""
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (p["type"].encode(), json.dumps({**p, "sequence_number": n}).encode())
        for n, p in enumerate(payloads, first)
    )


def snapshot(kind, **fields):
    return {"type": f"response.{kind}", "response": {"id": "resp_1", "object": "response",
            "model": "gpt-x", "status": kind, "output": [], **fields}}  # fmt: skip


def part(text, **fields):
    return {"type": "output_text", "text": text, "annotations": [], **fields}


def message(*contents, **fields):
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": list(contents),
            **fields}  # fmt: skip


def text_delta(piece, place=0, number=0):
    return {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": place,
            "content_index": number, "delta": piece}  # fmt: skip


def call_item(arguments, id="call_1", **fields):
    return {"id": f"fc_{id}", "type": "function_call", "call_id": id, "name": "f",
            "arguments": arguments, **fields}  # fmt: skip


def item_event(kind, item, place=0):
    return {"type": f"response.output_item.{kind}", "output_index": place, "item": item}


def input_delta(piece, id="call_1", place=0):
    return {"type": "response.function_call_arguments.delta", "item_id": f"fc_{id}",
            "output_index": place, "delta": piece}  # fmt: skip


def read(decoder, *payloads, first=0):
    """The completion of these payloads."""
    made = Accumulator()
    for number, payload in enumerate(payloads, first):
        data = json.dumps({**payload, "sequence_number": number})
        for chunk in decoder.feed([ServerSentEvent(payload["type"], data)]):
            made.add(chunk)
    completion = made.completion(provider_state=decoder.state, id=decoder.id)
    return completion.replace(message=decoder.message(completion))


# -- the request ---------------------------------------------------------------------------------


def test_a_prompt_is_asked_with_url_headers_and_body():
    request = ask()
    assert (request.method, request.url) == ("POST", "https://api.openai.com/v1/responses")
    assert request.headers == {"Authorization": "Bearer key"}
    assert request.json == {"model": "gpt-x", "input": [HI], "stream": True}


def test_messages_become_input_items():
    content = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "file", "file": {"file_id": "f1"}},
    ]
    said = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": content},
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [
                {"id": "c1", "type": "function",
                 "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "free"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
    ]  # fmt: skip
    made = items(said)
    assert made[0] == said[0]
    assert made[1]["content"] == [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "low"},
        {"type": "input_file", "file_id": "f1"},
    ]
    assert made[2] == {"role": "assistant", "content": "Looking."}
    by_kind = {item["type"]: item for item in made[3:]}
    assert by_kind == {
        "function_call": {"type": "function_call", "call_id": "c1", "name": "f",
                          "arguments": '{"a": 1}'},
        "custom_tool_call": {"type": "custom_tool_call", "call_id": "c2", "name": "g",
                             "input": "free"},
        "function_call_output": {"type": "function_call_output", "call_id": "c1",
                                 "output": "one"},
        "custom_tool_call_output": {"type": "custom_tool_call_output", "call_id": "c2",
                                    "output": "two"},
    }  # fmt: skip


def test_items_of_the_apis_own_pass_through():
    item = {"type": "item_reference", "id": "msg_1"}
    assert items([HI, item]) == [HI, item]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"role": "user", "content": ""}, r"messages\[1\]: content is empty"),
        ({"role": "user", "content": [{"text": "x"}]}, r"messages\[1\]: a part wants a type"),
        ({"role": "tool", "content": "x"}, r"messages\[1\].*tool_call_id"),
        ({"role": "model", "parts": []}, r"messages\[1\].*model"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "wants an id"),
    ],
)
def test_a_message_that_the_api_cannot_take_is_named(said, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        ask([HI, said])


def test_a_question_wants_a_model():
    with pytest.raises(ConfigurationError, match="model="):
        ask(model=None)


def test_parameters_get_the_apis_names_and_unknown_ones_pass():
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True}
    made = ask(
        max_tokens=9,
        reasoning_effort="low",
        background=True,
        tools=[{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        response_format={"type": "json_schema", "json_schema": schema},
        text={"verbosity": "low"},
    ).json
    assert made["max_output_tokens"] == 9 and "max_tokens" not in made
    assert made["reasoning"] == {"effort": "low"} and made["background"] is True
    assert made["tools"] == [
        {"type": "function", "strict": False, "name": "f"}, {"type": "web_search"}
    ]  # fmt: skip
    assert made["tool_choice"] == {"type": "function", "name": "f"}
    assert made["text"] == {"verbosity": "low", "format": {"type": "json_schema", **schema}}


def test_a_body_of_the_apis_own_passes_untouched():
    own = {"model": "gpt-y", "input": "Hi", "previous_response_id": "resp_0"}
    assert ask((), body=own).json == {**own, "stream": True}


# -- the events ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "normal", "raw"),
    [
        ("completed", {}, "stop", "completed"),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, "length",
         "incomplete:max_output_tokens"),
        ("incomplete", {"incomplete_details": {"reason": "content_filter"}}, "content_filter",
         "incomplete:content_filter"),
        ("incomplete", {"incomplete_details": {"reason": "later"}}, "length", "incomplete:later"),
        ("incomplete", {"incomplete_details": None}, "length", "incomplete"),
    ],
)  # fmt: skip
def test_finish_reasons(decode, kind, fields, normal, raw):
    got = decode("openai_responses", [body(text_delta("x"), snapshot(kind, **fields))])
    assert got.finished
    assert got.completion.finish_reason == normal
    assert got.completion.raw_finish_reason == raw


def test_a_refusal_is_one_though_the_response_is_completed(decode):
    refusal = {"type": "response.refusal.delta", "output_index": 0, "content_index": 0,
               "delta": "No."}  # fmt: skip
    completion = decode("openai_responses", [body(refusal, snapshot("completed"))]).completion
    assert (completion.refusal, completion.finish_reason) == ("No.", "refusal")


@pytest.mark.parametrize("kind", ["failed", "cancelled"])
def test_a_response_that_failed_is_a_failure(decode, kind):
    error = {"code": "server_error", "message": "Sorry"} if kind == "failed" else None
    got = decode("openai_responses", [body(text_delta("x"), snapshot(kind, error=error))])
    assert isinstance(got.failure, APIError) and got.failure.in_stream
    assert got.failure.retryable is (kind == "failed")
    assert got.completion.text == "x" and got.completion.finish_reason is None
    assert got.decoder.failed_reason == kind


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "t", "code": "server_is_overloaded", "message": "m"}},
        {"type": "error", "code": "server_is_overloaded", "message": "m", "param": None},
    ],
)
def test_both_shapes_of_the_error_event_and_the_failure_behind_it_once(decode, error):
    failed = snapshot("failed", error={"code": "server_error", "message": "again"})
    got = decode("openai_responses", [body(text_delta("x"), error, failed)])
    assert got.failure.code == "server_is_overloaded" and got.failure.retryable
    assert got.failure.message == "m"


def test_a_keepalive_gives_no_chunk_and_takes_a_number():
    decoder = PROVIDER.decoder(Call())
    beat = json.dumps({"type": "keepalive", "sequence_number": 7})
    assert decoder.feed([ServerSentEvent("keepalive", beat)]) == []
    assert decoder.state["last_sequence_number"] == 7


def test_what_never_came_as_a_delta_is_given_and_nothing_twice(decode):
    done = {"type": "response.output_text.done", "output_index": 0, "content_index": 0,
            "text": "One two"}  # fmt: skip
    output = [message(part("One two"), part(" three"))]
    stream = body(text_delta("One"), done, done, snapshot("completed", output=output))
    got = decode("openai_responses", [stream])
    assert [chunk.text for chunk in got.chunks if chunk.text] == ["One", " two", " three"]


def test_text_that_the_snapshot_contradicts_is_left_as_it_came(decode):
    stream = body(text_delta("One "), snapshot("completed", output=[message(part("Uno "))]))
    assert decode("openai_responses", [stream]).completion.text == "One "


def test_items_without_indexes_are_not_doubled(decode):
    bare = {"type": "response.output_text.delta", "delta": "Hi"}
    output = [{"id": "rs", "type": "reasoning", "summary": []}, message(part("Hi"))]
    stream = body(bare, snapshot("completed", output=output))
    assert decode("openai_responses", [stream]).completion.text == "Hi"


def test_reasoning_comes_as_summary_or_as_text(decode):
    stream = body(
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0,
         "delta": "Hm."},
        {"type": "response.reasoning_text.delta", "output_index": 1, "content_index": 0,
         "delta": " So."},
        snapshot("completed"),
    )  # fmt: skip
    assert decode("openai_responses", [stream]).completion.reasoning == "Hm. So."


def test_citations_come_once(decode):
    note = {"type": "url_citation", "url": "https://example.org"}
    stream = body(
        text_delta("x"),
        {"type": "response.output_text.annotation.added", "annotation": note},
        snapshot("completed", output=[message(part("x", annotations=[note, {"type": "n"}]))]),
    )
    assert decode("openai_responses", [stream]).completion.citations == (note, {"type": "n"})


@given(st.lists(st.integers(0, 30), max_size=6), st.booleans())
def test_arguments_are_joined_wherever_they_are_cut(cuts, complete):
    whole = json.dumps({"a": "é\\n", "b": [1, 2, 3]})
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    pieces = [whole[a:b] for a, b in zip(places, places[1:])]
    if not complete:
        del pieces[-1]
    done = call_item(whole)
    completion = read(
        PROVIDER.decoder(Call()),
        item_event("added", call_item("")),
        item_event("added", call_item("", "call_2"), 1),
        *(input_delta(piece) for piece in pieces),
        item_event("done", done),
        item_event("done", call_item("", "call_2"), 1),
        snapshot("completed", output=[done, call_item("", "call_2")]),
    )
    assert completion.tool_calls == (
        ToolCall("call_1", "f", whole), ToolCall("call_2", "f", "{}")
    )  # fmt: skip
    assert completion.finish_reason == "tool_calls"


def test_a_call_is_known_by_its_place_where_each_event_has_another_item_id(decode):
    places = [(0, "call_1", "{}"), (1, "call_2", "[1]")]
    stream = body(
        *(item_event("added", call_item("", id), place) for place, id, _ in places),
        *(input_delta(given, f"odd{place}", place) for place, _, given in reversed(places)),
        snapshot("completed"),
    )
    calls = decode("openai_responses", [stream]).completion.tool_calls
    assert calls == tuple(ToolCall(id, "f", given) for _, id, given in places)


def test_a_custom_tools_input_is_text(decode):
    item = {"id": "ct", "type": "custom_tool_call", "call_id": "c", "name": "g", "input": ""}
    piece = {"type": "response.custom_tool_call_input.delta", "item_id": "ct", "delta": "free"}
    stream = body(
        item_event("added", item), piece, item_event("done", {**item, "input": "free text"})
    )
    calls = decode("openai_responses", [stream]).completion.tool_calls
    assert calls == (ToolCall("c", "g", "free text"),)


def test_a_servers_tool_is_no_tool_call(decode):
    item = {"id": "ws", "type": "web_search_call", "status": "completed"}
    stream = body(item_event("added", item), item_event("done", item), snapshot("completed"))
    completion = decode("openai_responses", [stream]).completion
    assert completion.tool_calls == () and completion.finish_reason == "stop"


def test_usage(decode):
    usage = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
             "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 16}  # fmt: skip
    got = decode("openai_responses", [body(text_delta("x"), snapshot("completed", usage=usage))])
    assert got.completion.usage[:5] == (9, 7, 5, 4, 16)


def test_what_must_come_back_comes_back_in_the_next_request(decode):
    thought = {"id": "rs", "type": "reasoning", "summary": [], "encrypted_content": "secret"}
    output = [thought, call_item("{}")]
    stream = body(item_event("done", thought), item_event("done", output[1], 1),
                  snapshot("completed", output=output))  # fmt: skip
    said = decode("openai_responses", [stream]).completion.to_message()
    result = {"role": "tool", "tool_call_id": "call_1", "content": "r"}
    assert items([HI, said, result])[1:3] == output


@pytest.mark.parametrize("other", ["openai", "gemini", "ollama"])
def test_an_answer_with_calls_can_be_gone_on_from_with_another_api(decode, other):
    stream = body(snapshot("completed", output=[call_item('{"a": 1}')]))
    said = decode("openai_responses", [stream]).completion.to_message()
    result = {"role": "tool", "tool_call_id": "call_1", "content": "r"}
    provider = presets.provider(other)
    target = presets.target(provider, "key", environ={})
    made = provider.request(Call([HI, said, result], "m"), target).json
    assert "items" not in json.dumps(made) and '"f"' in json.dumps(made)


def test_the_message_of_a_part_of_an_answer_is_the_plain_one():
    decoder = PROVIDER.decoder(Call())
    read(decoder, item_event("done", message(part("second."))))
    assert decoder.message(Completion("First, second.")) is None


def test_a_document_means_the_same(decode):
    output = [message(part("Hi")), call_item('{"a": 1}')]
    document = snapshot("completed", output=output)["response"]
    got = decode("openai_responses", [json.dumps(document).encode()], content_type="a/json")
    assert got.finished and got.completion.text == "Hi"
    assert got.completion.tool_calls[0].parsed() == {"a": 1}


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_document_of_a_response_that_still_runs_is_no_verdict(decode, status):
    document = snapshot(status)["response"]
    got = decode("openai_responses", [json.dumps(document).encode()], content_type="a/json")
    assert not got.finished and got.failure is None


def test_a_document_that_is_no_response_is_a_failure(decode):
    for document in ({"error": {"message": "m"}}, {"object": "list"}, {"x": 1}):
        got = decode("openai_responses", [json.dumps(document).encode()], content_type="a/json")
        assert isinstance(got.failure, APIError)


# -- the way on ----------------------------------------------------------------------------------

BACKGROUND = Call([HI], "gpt-x", {"background": True})


def first_half(call=BACKGROUND):
    return read(
        PROVIDER.decoder(call),
        snapshot("created"),
        text_delta("One "),
        item_event("added", call_item(""), 1),
        input_delta('{"a"', place=1),
    )


def test_a_background_response_is_taken_up_behind_its_last_event():
    onward = PROVIDER.continued(BACKGROUND, first_half(), "cursor")
    request = PROVIDER.request(onward, TARGET)
    assert request.method == "GET" and request.json is None
    assert request.url == (
        "https://api.openai.com/v1/responses/resp_1?stream=true&starting_after=3"
    )
    assert request.headers == {"Authorization": "Bearer key"}


def test_the_rest_joins_what_was_received_to_the_character():
    partial = first_half()
    decoder = PROVIDER.decoder(PROVIDER.continued(BACKGROUND, partial, "cursor"))
    output = [message(part("One two")), call_item('{"a": 1}')]
    rest = read(
        decoder,
        input_delta('{"a"', place=1),  # number 3 again: a server that repeats
        text_delta("two"),
        input_delta(": 1}", place=1),
        item_event("done", output[0]),
        item_event("done", output[1], 1),
        snapshot("completed", output=output),
        first=3,
    )
    assert partial.text + rest.text == "One two"
    assert partial.tool_calls[0].arguments + rest.tool_calls[0].arguments == '{"a": 1}'
    assert rest.id == "resp_1" and rest.provider_state["last_sequence_number"] == 8
    whole = Completion("One two", tool_calls=(ToolCall("call_1", "f", '{"a": 1}'),))
    assert decoder.message(whole)["items"] == output


def test_a_second_break_goes_on_behind_the_second_last_event():
    onward = PROVIDER.continued(BACKGROUND, first_half(), "cursor")
    second = read(PROVIDER.decoder(onward), text_delta("two "), first=4)
    again = PROVIDER.continued(BACKGROUND, second, "cursor")
    assert PROVIDER.request(again, TARGET).url.endswith("starting_after=4")
    whole = [message(part("One two three")), call_item('{"a"')]
    rest = read(PROVIDER.decoder(again), snapshot("completed", output=whole), first=5)
    assert rest.text == "three" and rest.tool_calls == ()


def test_the_whole_response_can_be_asked_for_and_gives_the_rest():
    onward = PROVIDER.continued(BACKGROUND, first_half(), "poll")
    request = PROVIDER.request(onward, TARGET)
    assert (request.method, request.url) == ("GET", "https://api.openai.com/v1/responses/resp_1")
    output = [message(part("One two")), call_item('{"a": 1}')]
    chunks = PROVIDER.decoder(onward).whole(snapshot("completed", output=output)["response"])
    assert [chunk.text for chunk in chunks if chunk.text] == ["two"]
    assert [c.tool_call.arguments for c in chunks if c.tool_call] == [": 1}"]


@pytest.mark.parametrize(
    ("call", "state"),
    [
        (Call([HI], "gpt-x"), {"response_id": "r", "last_sequence_number": 1}),
        (BACKGROUND, {"background": True}),
        (BACKGROUND, {"background": True, "response_id": "r"}),
    ],
)
def test_without_a_cursor_there_is_none(call, state):
    with pytest.raises(ConfigurationError):
        PROVIDER.continued(call, Completion("x", provider_state=state), "cursor")


def test_the_profile_knows_the_cursor_and_no_prefill():
    profile = PROVIDER.profile("gpt-x")
    assert profile.cursor and profile.prefill == "no" and profile.user_message
    with pytest.raises(ConfigurationError):
        PROVIDER.continued(BACKGROUND, Completion("x"), "prefill")


@pytest.mark.parametrize("asked", ["Hi", [HI]])
def test_a_request_to_go_on_stands_behind_the_text(asked):
    for call in (Call([HI], "gpt-x"), Call(body={"model": "gpt-x", "input": asked})):
        onward = PROVIDER.continued(call, Completion("Once"), "user_message")
        made = PROVIDER.request(onward, TARGET).json["input"]
        assert made[:2] == [HI, {"role": "assistant", "content": "Once"}]
        assert made[2]["role"] == "user" and "Continue" in made[2]["content"]
