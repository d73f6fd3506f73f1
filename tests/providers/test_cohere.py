"""Cohere v2: the request by its fields, what the events mean, and the way on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.engine.accumulator import Accumulator
from streamsafe.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from streamsafe.models import Call, Completion, ServerSentEvent, ToolCall
from streamsafe.providers import presets

PROVIDER = presets.provider("cohere")
TARGET = presets.target(PROVIDER, "key", environ={})
HI = {"role": "user", "content": "Hi"}


def ask(messages=(HI,), body=None, model="command-x", **parameters):
    return PROVIDER.request(Call(messages, model, parameters, body), TARGET)


def sent(*messages):
    return ask(messages).json["messages"]


def body(*payloads):
    """An event stream of these payloads, and the end mark behind them."""
    events = [f"event: {p['type']}\ndata: {json.dumps(p)}\n\n" for p in payloads]
    return "".join([*events, "data: [DONE]\n\n"]).encode()


def event(kind, index=None, **message):
    made = {"type": kind, "delta": {"message": message}}
    return made if index is None else {**made, "index": index}


def text(piece):
    return event("content-delta", 0, content={"text": piece})


def start_call(index, id, name, arguments=""):
    function = {"name": name, "arguments": arguments}
    call = {"id": id, "type": "function", "function": function}
    return event("tool-call-start", index, tool_calls=call)


def more_of_call(index, arguments):
    return event("tool-call-delta", index, tool_calls={"function": {"arguments": arguments}})


def end(reason, **delta):
    return {"type": "message-end", "id": "m1", "delta": {"finish_reason": reason, **delta}}


START = {
    **event("message-start", role="assistant", content=[], tool_plan="", tool_calls=[]),
    "id": "m1",
}


# -- the request ---------------------------------------------------------------------------------


def test_a_prompt_is_asked_with_url_headers_and_body():
    request = ask()
    assert request.method == "POST"
    assert request.url == "https://api.cohere.com/v2/chat"
    assert request.headers == {"Authorization": "Bearer key"}
    assert request.json == {"model": "command-x", "messages": [HI], "stream": True}


def test_parameters_get_the_apis_names_and_unknown_ones_pass():
    made = ask(
        max_tokens=9, temperature=0.5, top_p=0.9, top_k=4, seed=7, stop="END",
        tools=[{"type": "function", "function": {"name": "f"}}], tool_choice="required",
        thinking={"type": "disabled"}, documents=["d"], x_future=1,
    ).json  # fmt: skip
    for name, value in {
        "max_tokens": 9, "temperature": 0.5, "p": 0.9, "k": 4, "seed": 7,
        "stop_sequences": ["END"], "tool_choice": "REQUIRED", "thinking": {"type": "disabled"},
        "tools": [{"type": "function", "function": {"name": "f"}}], "documents": ["d"],
        "x_future": 1,
    }.items():  # fmt: skip
        assert made[name] == value
    assert not {"top_p", "top_k", "stop"} & set(made)


@pytest.mark.parametrize(
    ("choice", "made"), [("none", "NONE"), ("required", "REQUIRED"), ("auto", None), (None, None)]
)
def test_tool_choice(choice, made):
    assert ask(tool_choice=choice).json.get("tool_choice") == made


def test_one_tool_can_not_be_forced():
    with pytest.raises(ConfigurationError, match="required"):
        ask(tool_choice={"type": "function", "function": {"name": "f"}})


def test_structured_output():
    schema = {"type": "object"}
    asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert ask(response_format=asked).json["response_format"] == {
        "type": "json_object", "json_schema": schema
    }  # fmt: skip


def test_messages_are_nearly_openais():
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]
    document = {"type": "document", "document": {"data": "x"}}
    content = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "image_url": "data:image/png;base64,iVBORw0="},
    ]
    made = sent(
        {"role": "system", "content": "One."},
        {"role": "developer", "content": "Two."},
        {"role": "user", "content": content, "name": "n"},
        {"role": "assistant", "content": None, "tool_calls": calls, "tool_plan": "I look."},
        {"role": "tool", "tool_call_id": "t", "content": [document]},
        {"role": "assistant", "content": None, "refusal": "No.", "parts": []},
    )
    assert made == [
        {"role": "system", "content": "One."},
        {"role": "system", "content": "Two."},
        {"role": "user", "content": [
            *content[:2],
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}},
        ]},
        {"role": "assistant", "tool_plan": "I look.", "tool_calls": [
            {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        ]},
        {"role": "tool", "content": [document], "tool_call_id": "t"},
        {"role": "assistant", "content": "No."},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"role": "user", "content": ""}, r"messages\[1\]: content is empty"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, r"messages\[1\].*input_audio"),
        ({"role": "user", "content": [{"type": "image_url"}]}, r"messages\[1\].*image"),
        ({"role": "assistant", "content": None}, r"messages\[1\]"),
        ({"role": "tool", "content": "x"}, r"messages\[1\].*tool_call_id"),
        ({"role": "function", "name": "f", "content": "x"}, r"messages\[1\].*function"),
        ({"role": "model", "parts": []}, r"messages\[1\].*model"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "function_call"),
    ],
)
def test_a_message_that_the_api_cannot_take_is_named(message, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        sent(HI, message)


def test_a_question_wants_a_model():
    with pytest.raises(ConfigurationError, match="model="):
        ask(model=None)


def test_a_body_of_the_apis_own_passes_untouched():
    own = {"model": "command-y", "messages": [HI], "stop_sequences": ["x"], "k": 1}
    assert ask((), own).json == {**own, "stream": True}


# -- the events ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "normal"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("OF_THE_FUTURE", "stop"),
    ],
)
def test_finish_reasons(decode, reason, normal):
    got = decode("cohere", [body(START, text("x"), end(reason))])
    assert got.finished and got.decoder.id == "m1"
    assert got.completion.finish_reason == normal
    assert got.completion.raw_finish_reason == reason


@pytest.mark.parametrize("reason", ["ERROR", "TIMEOUT"])
@pytest.mark.parametrize("said", [{"error": "m"}, {}])
def test_finish_reasons_that_are_failures(decode, reason, said):
    """E16: the end of the message is its failure."""
    got = decode("cohere", [body(START, text("x"), end(reason, **said))])
    assert isinstance(got.failure, ServerError)
    assert got.failure.retryable and got.failure.in_stream
    assert got.failure.message == said.get("error", f"the answer ended with {reason}")
    assert not got.finished and got.completion.text == "x"
    assert got.decoder.failed_reason == reason


def test_an_error_object_is_a_failure_too(decode):
    raw = body(START, text("x")).replace(b"data: [DONE]", b'data: {"error": {"message": "m"}}')
    got = decode("cohere", [raw])
    assert isinstance(got.failure, APIError) and got.completion.text == "x"


def test_the_end_mark_is_neither_needed_nor_enough(decode):
    whole = body(START, text("x"), end("COMPLETE"))
    assert decode("cohere", [whole.replace(b"data: [DONE]\n\n", b"")]).finished
    got = decode("cohere", [body(START, text("x"))])
    assert not got.finished and got.failure is None


def test_thinking_plan_and_citations(decode):
    cited = {"start": 0, "end": 1, "text": "x", "sources": []}
    stream = body(
        START,
        event("content-start", 0, content={"type": "thinking", "thinking": ""}),
        event("content-delta", 0, content={"thinking": "Hm."}),
        event("tool-plan-delta", tool_plan=" I look."),
        event("content-start", 1, content={"type": "text", "text": "x"}),
        event("citation-start", 0, citations=cited),
        {"type": "citation-end", "index": 0},
        {"type": "debug", "prompt": "p"},
        end("COMPLETE"),
    )
    completion = decode("cohere", [stream]).completion
    assert (completion.reasoning, completion.text) == ("Hm. I look.", "x")
    assert completion.citations == (cited,)
    assert completion.provider_state == {"thinking": "Hm.", "tool_plan": " I look."}


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), max_size=12))
def test_calls_are_joined_by_their_index_however_they_interleave(steps):
    wholes = ['{"city": "Đà Nẵng"}', '{"quote": "\\""}']
    left = list(wholes)
    payloads = [START, start_call(0, "a", "f"), start_call(1, "b", "g"), start_call(2, "c", "h")]
    for which, size in [*steps, (0, 99), (1, 99)]:
        piece, left[which] = left[which][:size], left[which][size:]
        payloads.append(more_of_call(which, piece))
    payloads += [{"type": "tool-call-end", "index": index} for index in range(3)]
    decoder, made = PROVIDER.decoder(Call()), Accumulator()
    for payload in [*payloads, end("TOOL_CALL")]:
        for chunk in decoder.feed([ServerSentEvent(payload["type"], json.dumps(payload))]):
            made.add(chunk)
    assert made.completion().tool_calls == (
        ToolCall("a", "f", wholes[0]), ToolCall("b", "g", wholes[1]), ToolCall("c", "h", "{}")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("usage", "figures"),
    [
        ({"billed_units": {"input_tokens": 2}, "tokens": {"input_tokens": 9.0, "output_tokens": 4},
          "cached_tokens": 3}, (9, 4, 0, 3, 13)),
        ({"billed_units": {"input_tokens": 2, "output_tokens": 4}}, (2, 4, 0, 0, 6)),
        ({"tokens": None}, (0, 0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_usage(decode, usage, figures):
    got = decode("cohere", [body(START, text("x"), end("COMPLETE", usage=usage))])
    assert got.completion.usage[:5] == figures and got.completion.usage.raw == usage


def test_a_plain_answer_means_the_same(decode):
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {
        "id": "m1", "finish_reason": "TOOL_CALL", "usage": {"tokens": {"output_tokens": 1}},
        "message": {"role": "assistant", "tool_plan": "I look.", "tool_calls": [call],
                    "content": [{"type": "text", "text": "Yes"}]},
    }  # fmt: skip
    got = decode("cohere", [json.dumps(answer).encode()], content_type="application/json")
    assert got.finished
    assert (got.completion.text, got.completion.reasoning) == ("Yes", "I look.")
    assert got.completion.tool_calls == (ToolCall("t", "f", "{}"),)
    got = decode("cohere", [b'{"message": "invalid request"}'], content_type="application/json")
    assert isinstance(got.failure, APIError) and got.failure.message == "invalid request"


# -- HTTP errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "kind", "again"),
    [
        (400, "m", BadRequestError, False),
        (401, "invalid api token", AuthenticationError, False),
        (403, "m", PermissionDeniedError, False),
        (404, "model 'x' not found", NotFoundError, False),
        (422, "m", BadRequestError, False),
        (429, "too many requests", RateLimitError, True),
        (429, "You are using a Trial key, which is limited to 1000 API calls / month",
         QuotaExceededError, False),
        (498, "invalid token", AuthenticationError, False),
        (499, "request cancelled", APIError, False),
        (500, "m", ServerError, True),
        (501, "m", ServerError, False),
    ],
)  # fmt: skip
def test_errors(status, message, kind, again):
    headers = {"x-debug-trace-id": "d"}
    error = PROVIDER.error(status, headers, json.dumps({"message": message, "id": "i"}))
    assert type(error) is kind and error.retryable is again
    assert error.message == f"{status}: {message}" and error.request_id == "d"


# -- the next turn and the way on ----------------------------------------------------------------


def test_what_must_come_back_comes_back_in_the_next_request(decode):
    stream = body(
        START,
        event("content-delta", 0, content={"thinking": "Hm."}),
        event("tool-plan-delta", tool_plan="I look."),
        start_call(0, "t", "f"),
        {"type": "tool-call-end", "index": 0},
        end("TOOL_CALL"),
    )
    message = decode("cohere", [stream]).completion.to_message()
    result = {"role": "tool", "tool_call_id": "t", "content": "r"}
    assert sent(HI, message, result)[1:] == [
        {
            "role": "assistant", "tool_plan": "I look.",
            "content": [{"type": "thinking", "thinking": "Hm."}],
            "tool_calls": [
                {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        result,
    ]  # fmt: skip


def test_a_plain_text_goes_back_as_text(decode):
    message = decode("cohere", [body(START, text("x"), end("COMPLETE"))]).completion.to_message()
    assert sent(HI, message)[1] == {"role": "assistant", "content": "x"}


def test_there_is_only_a_request_to_go_on():
    assert PROVIDER.profile("command-x").prefill == "no"
    for call in (Call([HI], "m"), Call(body={"model": "m", "messages": [HI]})):
        onward = PROVIDER.continued(call, Completion("Once"), "user_message")
        made = PROVIDER.request(onward, TARGET).json["messages"]
        assert made[:2] == [HI, {"role": "assistant", "content": "Once"}]
        assert made[2]["role"] == "user" and "Continue" in made[2]["content"]
        for how in ("prefill", "cursor"):
            with pytest.raises(ConfigurationError):
                PROVIDER.continued(call, Completion("Once"), how)
