"""Ollama's own API, chat and generate: requests by their fields, what the lines mean, the way
on."""

import json

import pytest

from streamsafe.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    OverloadedError,
    ServerError,
)
from streamsafe.models import Call, Completion, ToolCall
from streamsafe.providers import presets

CHAT = presets.provider("ollama")
GENERATE = presets.provider("ollama_generate")
TARGET = presets.target(CHAT, environ={})
HI = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw0="


def ask(messages=(HI,), body=None, model="m", provider=CHAT, extra=None, **parameters):
    return provider.request(Call(messages, model, parameters, body, extra), TARGET)


def sent(*messages):
    return ask(messages).json["messages"]


def lines(*payloads):
    return b"".join(json.dumps(payload).encode() + b"\n" for payload in payloads)


def line(content="", **message):
    return {"model": "m:1", "created_at": "2026-01-02T03:04:05.6Z",
            "message": {"role": "assistant", "content": content, **message}, "done": False}


def done(reason="stop", **figures):
    return {**line(), "done": True, "done_reason": reason, **figures}


# -- the request ---------------------------------------------------------------------------------


def test_a_prompt_is_asked_with_url_headers_and_body():
    request = ask()
    assert request.method == "POST"
    assert request.url == "http://localhost:11434/api/chat"
    assert request.headers == {}
    assert request.json == {"model": "m", "messages": [HI], "stream": True}


@pytest.mark.parametrize(("host", "base"), [
    ("gpu-box", "http://gpu-box:11434"), ("0.0.0.0", "http://0.0.0.0:11434"),
    ("gpu-box:8080/ollama/", "http://gpu-box:8080/ollama"), (":8080", "http://127.0.0.1:8080"),
    ("[::1]", "http://[::1]:11434"), ("http://gpu-box", "http://gpu-box"),
    ("https://ollama.com", "https://ollama.com"),
])  # fmt: skip
def test_a_key_goes_as_bearer_and_the_host_may_come_bare(host, base):
    target = presets.target(CHAT, "key", environ={"OLLAMA_HOST": host})
    request = CHAT.request(Call([HI], "m"), target)
    assert request.url == f"{base}/api/chat"
    assert request.headers == {"Authorization": "Bearer key"}


def test_the_key_of_a_service_of_the_net_is_not_sent_where_no_scheme_says_how():
    for address in ("api.openai.com/v1", "localhost:8000/v1"):
        with pytest.raises(ConfigurationError, match=f"{address}.*https://"):
            presets.target(presets.provider("openai"), "key", address)


def test_parameters_get_the_apis_names_and_places_and_unknown_ones_pass():
    tools = [{"type": "function", "function": {"name": "f"}}]
    made = ask(
        max_tokens=9, temperature=0.5, top_p=0.9, seed=7, stop="END", num_ctx=4096, tools=tools,
        think="low", keep_alive="5m", x_future=1, options={"seed": 8, "mirostat": 1},
    ).json  # fmt: skip
    assert made["options"] == {
        "num_predict": 9, "temperature": 0.5, "top_p": 0.9, "seed": 8, "stop": ["END"],
        "num_ctx": 4096, "mirostat": 1,
    }  # fmt: skip
    assert made["tools"] == tools and made["think"] == "low"
    assert made["keep_alive"] == "5m" and made["x_future"] == 1
    assert not {"max_tokens", "temperature", "seed", "stop"} & set(made)


def test_structured_output():
    schema = {"type": "object"}
    asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert ask(response_format=asked).json["format"] == schema
    assert ask(response_format={"type": "json_object"}).json["format"] == "json"
    assert "format" not in ask(response_format={"type": "text"}).json
    assert ask(format="json").json["format"] == "json"


def test_text_stands_apart_from_images():
    content = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": PNG},
    ]
    assert sent({"role": "developer", "content": "Two."}, {"role": "user", "content": content}) == [
        {"role": "system", "content": "Two."},
        {"role": "user", "content": "See", "images": ["iVBORw0=", "iVBORw0="]},
    ]


def test_tool_calls_have_objects_and_results_the_tools_name():
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    assert sent(
        HI,
        {"role": "assistant", "content": "", "tool_calls": calls, "thinking": "Hm"},
        {"role": "tool", "tool_call_id": "t", "content": "r"},
        {"role": "tool", "tool_name": "g", "content": "s"},
    )[1:] == [
        {"role": "assistant", "content": "", "thinking": "Hm",
         "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "content": "r", "tool_name": "f"},
        {"role": "tool", "content": "s", "tool_name": "g"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"role": "user", "content": [{"type": "image_url", "image_url": "https://e.org/a.png"}]},
         r"messages\[1\].*data: URL"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, r"messages\[1\].*input_audio"),
        ({"role": "tool", "content": "x"}, r"messages\[1\].*tool_call_id"),
        ({"role": "tool", "tool_call_id": "t", "content": "x"}, r"messages\[1\].*'t'"),
        ({"role": "function", "name": "f", "content": "x"}, r"messages\[1\].*function"),
        ({"role": "model", "parts": []}, r"messages\[1\].*model"),
    ],
)  # fmt: skip
def test_a_message_that_the_api_cannot_take_is_named(message, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        sent(HI, message)


def test_a_question_wants_a_model():
    with pytest.raises(ConfigurationError, match="model="):
        ask(model=None)


@pytest.mark.parametrize("provider", [CHAT, GENERATE])
def test_a_body_of_the_apis_own_passes_untouched(provider):
    own = {"model": "y", "messages": [HI], "prompt": "p", "options": {"num_predict": 1}}
    assert ask((), own, provider=provider).json == {**own, "stream": True}


def test_generate_takes_one_prompt_and_a_system():
    content = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": PNG}]
    request = ask(
        [{"role": "system", "content": "One."}, {"role": "developer", "content": "Two."},
         {"role": "user", "content": content}],
        provider=GENERATE, max_tokens=9, raw=False, suffix="s",
    )  # fmt: skip
    assert request.url == "http://localhost:11434/api/generate"
    assert request.json == {
        "model": "m", "system": "One.\nTwo.", "prompt": "See", "images": ["iVBORw0="],
        "raw": False, "suffix": "s", "options": {"num_predict": 9}, "stream": True,
    }  # fmt: skip
    for more in ({"role": "assistant", "content": "x"}, HI):
        with pytest.raises(ConfigurationError, match=r"messages\[1\].*'ollama'"):
            ask([HI, more], provider=GENERATE)


# -- the lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "normal"),
    [("stop", "stop"), ("length", "length"), ("load", "stop"), ("unload", "stop"), (None, "stop")],
)
def test_done_reasons(decode, reason, normal):
    got = decode("ollama", [lines(line("x"), done(reason))])
    assert got.finished and got.decoder.model == "m:1"
    assert got.completion.finish_reason == normal
    assert got.completion.raw_finish_reason == reason


def test_without_done_there_is_no_verdict(decode):
    got = decode("ollama", [lines(line("x"))])
    assert not got.finished and got.failure is None and got.completion.text == "x"


def test_a_last_line_counts_without_its_line_feed_and_not_if_it_is_cut(decode):
    raw = lines(line("x"), done())
    assert decode("ollama", [raw[:-1]]).finished
    assert not decode("ollama", [raw[:-2]]).finished
    assert decode("ollama", [raw.replace(b"\n", b"\n\n")]).finished


def test_a_line_may_be_long(decode):
    long = "x" * 200_000
    assert decode("ollama", [lines(line(long), done())]).completion.text == long


def test_tool_calls_are_whole_and_get_ids_where_they_have_none(decode):
    calls = [
        {"function": {"index": 0, "name": "f", "arguments": {"a": "é"}}},
        {"id": "own", "function": {"name": "g", "arguments": {}}},
    ]
    completion = decode("ollama", [lines(line("", tool_calls=calls), done())]).completion
    first, second = completion.tool_calls
    assert first.id and (first.name, first.parsed()) == ("f", {"a": "é"})
    assert second == ToolCall("own", "g", "{}")
    assert completion.finish_reason == "tool_calls" and completion.raw_finish_reason == "stop"


def test_usage_counts_of_zero_are_left_out_by_the_server(decode):
    last = done(prompt_eval_count=9, eval_count=4, total_duration=1_000)
    usage = decode("ollama", [lines(line("x"), last)]).completion.usage
    assert usage[:5] == (9, 4, 0, 0, 13) and usage.raw["total_duration"] == 1_000
    cached = decode("ollama", [lines(line("x"), done(eval_count=4))]).completion.usage
    assert cached[:2] == (0, 4)


def test_generate_has_its_own_fields(decode):
    stream = lines(
        {"model": "m:1", "response": "", "thinking": "Hm", "done": False},
        {"model": "m:1", "response": "x", "done": False},
        {"model": "m:1", "response": "", "done": True, "done_reason": "stop", "context": [1]},
    )
    completion = decode("ollama_generate", [stream]).completion
    assert (completion.reasoning, completion.text) == ("Hm", "x")
    assert completion.finish_reason == "stop"


def test_a_plain_answer_means_the_same(decode):
    answer = json.dumps({**done("length"), "message": {"content": "Yes"}}).encode()
    got = decode("ollama", [answer], content_type="application/json")
    assert got.finished and got.completion.text == "Yes"
    assert got.completion.finish_reason == "length"


@pytest.mark.parametrize("end", [b"\n", b""])
def test_an_error_line_is_a_failure(decode, end):
    """E17, also as the last thing of a cut body."""
    got = decode("ollama", [lines(line("x")) + b'{"error": "model runner has stopped"}' + end])
    assert isinstance(got.failure, ServerError)
    assert got.failure.retryable and got.failure.in_stream
    assert got.failure.message == "model runner has stopped" and got.completion.text == "x"


@pytest.mark.parametrize(
    ("status", "answer", "kind", "again"),
    [
        (401, {"error": "unauthorized", "signin_url": "https://e.org"}, AuthenticationError, False),
        (404, {"error": "model 'm' not found"}, NotFoundError, False),
        (499, {"error": "cancelled"}, APIError, False),
        (500, {"error": "llama runner exited"}, ServerError, True),
        (503, {"error": "server busy, please try again.  maximum pending requests exceeded"},
         OverloadedError, True),
    ],
)  # fmt: skip
def test_errors(status, answer, kind, again):
    error = CHAT.error(status, {}, json.dumps(answer))
    assert type(error) is kind and error.retryable is again
    assert error.message == f"{status}: {answer['error']}"


# -- the next turn and the way on ----------------------------------------------------------------


def test_what_must_come_back_comes_back_in_the_next_request(decode):
    calls = [{"function": {"name": "f", "arguments": {"a": 1}}}]
    stream = lines(
        line("", thinking="H"), line("", thinking="m"), line("", tool_calls=calls), done()
    )
    completion = decode("ollama", [stream]).completion
    assert completion.provider_state == {"thinking": "Hm"}
    result = {"role": "tool", "tool_call_id": completion.tool_calls[0].id, "content": "r"}
    assert sent(HI, completion.to_message(), result)[1:] == [
        {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": calls},
        {"role": "tool", "content": "r", "tool_name": "f"},
    ]


@pytest.mark.parametrize("call", [Call([HI], "m"), Call(body={"model": "m", "messages": [HI]})])
def test_a_chat_may_be_gone_on_from(call):
    assert CHAT.profile("m").prefill == "unsure"
    onward = CHAT.continued(call, Completion("Once"), "prefill")
    said = {"role": "assistant", "content": "Once"}
    assert CHAT.request(onward, TARGET).json["messages"] == [HI, said]
    onward = CHAT.continued(call, Completion("Once"), "user_message")
    assert CHAT.request(onward, TARGET).json["messages"][:2] == [HI, said]


RAW = Call([{"role": "user", "content": "<s>Hi"}], "m", {"raw": True})


@pytest.mark.parametrize(
    "call", [RAW, Call(body={"model": "m", "prompt": "<s>Hi", "raw": True})]
)
def test_a_raw_prompt_is_gone_on_from_exactly(call):
    assert GENERATE.profile("m").exact and not GENERATE.profile("m").user_message
    onward = GENERATE.continued(call, Completion(" there"), "prefill")
    assert GENERATE.request(onward, TARGET).json["prompt"] == "<s>Hi there"


@pytest.mark.parametrize(
    ("call", "how"), [(Call([HI], "m"), "prefill"), (RAW, "user_message"), (RAW, "cursor")]
)
def test_a_prompt_that_is_not_rendered_can_not_be_gone_on_from(call, how):
    with pytest.raises(ConfigurationError):
        GENERATE.continued(call, Completion("x"), how)
