"""OpenAI Chat Completions and its compatibles: the request by its fields, what the chunks mean, and
the way on; how the servers differ is data, and tested as such."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.engine.accumulator import Accumulator
from streamsafe.errors import (
    APIError,
    BadRequestError,
    ConfigurationError,
    ContextLengthError,
    OverloadedError,
    RateLimitError,
    ServerError,
)
from streamsafe.models import Call, Completion, ServerSentEvent, ToolCall
from streamsafe.providers import presets

HI = {"role": "user", "content": "Hi"}
USAGE = {"include_usage": True}


def target(preset, base_url=None, key="key"):
    return presets.target(presets.provider(preset), key, base_url, environ={})


def ask(preset="openai", messages=(HI,), body=None, model="m", base_url=None, **parameters):
    provider = presets.provider(preset)
    return provider.request(Call(messages, model, parameters, body), target(preset, base_url))


def sent(*messages, preset="openai"):
    return ask(preset, messages).json["messages"]


def body(*payloads, done=True):
    """An event stream of these payloads."""
    lines = [json.dumps(payload) for payload in payloads] + ["[DONE]"] * done
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def chunk(delta=None, finish=None, index=0, **more):
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice],
            **more}  # fmt: skip


def text(piece, **more):
    return chunk({"content": piece}, **more)


def note(**fields):
    """A choice without delta, as Azure's asynchronous filter sends it."""
    choice = {"index": 0, "finish_reason": None, "content_filter_offsets": {}, **fields}
    return {"id": "", "model": "", "object": "", "created": 0, "choices": [choice]}


# -- the request ---------------------------------------------------------------------------------


def test_a_prompt_is_asked_with_url_headers_and_body():
    request = ask()
    assert request.method == "POST"
    assert request.url == "https://api.openai.com/v1/chat/completions"
    assert request.headers == {"Authorization": "Bearer key"}
    assert request.json == {
        "model": "m",
        "messages": [HI],
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
    }


@pytest.mark.parametrize(
    ("preset", "url", "options"),
    [
        ("deepseek", "https://api.deepseek.com/chat/completions", None),
        ("mistral", "https://api.mistral.ai/v1/chat/completions", None),
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions", None),
        ("groq", "https://api.groq.com/openai/v1/chat/completions", None),
        ("together", "https://api.together.ai/v1/chat/completions", None),
        ("vllm", "http://localhost:8000/v1/chat/completions", USAGE),
        ("llamacpp", "http://localhost:8080/v1/chat/completions", USAGE),
        ("lmstudio", "http://localhost:1234/v1/chat/completions", USAGE),
        ("tgi", "http://localhost:3000/v1/chat/completions", USAGE),
        ("ollama_openai", "http://localhost:11434/v1/chat/completions", USAGE),
    ],
)
def test_each_compatible_has_its_address_and_asks_for_usage_where_that_must_be_asked(
    preset, url, options
):
    request = ask(preset)
    assert request.url == url
    assert request.json.get("stream_options") == options
    assert request.headers == {"Authorization": "Bearer key"}


def test_a_local_server_wants_neither_key_nor_model():
    for preset in ("vllm", "llamacpp", "lmstudio", "tgi"):
        provider = presets.provider(preset)
        request = provider.request(Call([HI]), presets.target(provider, environ={}))
        assert "Authorization" not in request.headers and "model" not in request.json


def test_a_question_to_a_service_wants_a_model_and_a_key():
    with pytest.raises(ConfigurationError, match="model="):
        ask(model=None)
    with pytest.raises(ConfigurationError, match="GROQ_API_KEY"):
        presets.target(presets.provider("groq"), environ={})


def test_any_server_of_the_kind_is_asked_at_its_address_and_a_query_stays_behind():
    assert ask("openai_compatible", base_url="http://host/v1/").url == (
        "http://host/v1/chat/completions"
    )
    assert ask(base_url="http://host/v1?team=a").url == "http://host/v1/chat/completions?team=a"
    with pytest.raises(ConfigurationError, match="base_url"):
        ask("openai_compatible")


def test_parameters_of_one_meaning_keep_their_name_and_unknown_ones_pass():
    given = {
        "max_tokens": 9, "temperature": 0.5, "stop": ["END"], "seed": 7, "x_future": {"a": 1},
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }  # fmt: skip
    made = ask(**given).json
    assert {name: made[name] for name in given} == given


@pytest.mark.parametrize(
    ("preset", "model", "name"),
    [
        ("openai", "gpt-4o-mini", "max_tokens"),
        ("openai", "o3-mini", "max_completion_tokens"),
        ("openai", "gpt-5.2", "max_completion_tokens"),
        ("openai", "ft:o4-mini:acme", "max_completion_tokens"),
        ("azure", "gpt-5", "max_completion_tokens"),
        ("openrouter", "openai/gpt-5", "max_tokens"),
        ("mistral", "mistral-small", "max_tokens"),
    ],
)
def test_the_bound_has_the_name_that_the_model_takes(preset, model, name):
    base_url = "https://n.openai.azure.com" if preset == "azure" else None
    made = ask(preset, model=model, base_url=base_url, max_tokens=9).json
    assert made[name] == 9
    assert len([given for given in made if given.startswith("max_")]) == 1


def test_mistral_has_its_own_name_for_the_seed():
    made = ask("mistral", seed=7, max_completion_tokens=9, safe_prompt=True).json
    assert made["random_seed"] == 7 and made["max_tokens"] == 9 and made["safe_prompt"] is True
    assert "seed" not in made


def test_the_callers_stream_options_go_before_the_presets_and_none_leaves_them_out():
    made = ask(stream_options={"include_usage": False, "x": 1}).json
    assert made["stream_options"] == {
        "include_usage": False, "include_obfuscation": False, "x": 1
    }  # fmt: skip
    assert "stream_options" not in ask(stream_options=None).json


def test_a_body_of_the_apis_own_passes_untouched():
    own = {"model": "y", "messages": [{"role": "user", "content": "Hi", "x": 1}], "max_tokens": 1}
    assert ask(messages=(), body=own).json == {**own, "stream": True}
    assert "stream" not in own
    assert ask("mistral", (), {**own, "seed": 1}).json["seed"] == 1


def test_images_go_by_url_and_as_data():
    content = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": "data:image/png;base64,iVBORw0="},
        "and say",
    ]
    assert sent({"role": "user", "content": content})[0]["content"] == [
        *content[:2],
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}},
        {"type": "text", "text": "and say"},
    ]


def test_messages_go_as_they_are_but_for_what_other_apis_added():
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be kind."},
        HI,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "t", "content": "one"},
    ]
    assert sent(*messages) == messages
    gemini = {"role": "assistant", "content": "Yes", "parts": [{"text": "Yes"}]}
    assert sent(HI, gemini)[1] == {"role": "assistant", "content": "Yes"}


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"role": "model", "parts": [{"text": "x"}]}, r"messages\[1\].*model"),
        ({"type": "function_call_output", "output": "x"}, r"messages\[1\].*role None"),
        ({"role": "tool", "content": "x"}, r"messages\[1\].*tool_call_id"),
        ({"role": "user", "content": [{"type": "image", "source": {}}]}, r"messages\[1\].*image"),
        ({"role": "assistant", "content": [{"type": "tool_use"}]}, r"messages\[1\].*tool_use"),
        ({"role": "user", "content": [{"text": "x"}]}, r"messages\[1\]"),
        ({"role": "user", "content": [{"type": "image_url"}]}, r"messages\[1\].*image"),
    ],
)
def test_a_message_that_the_api_cannot_take_is_named(message, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        sent(HI, message)


# -- the chunks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "normal"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("of_the_future", "stop"),
    ],
)
def test_finish_reasons(decode, reason, normal):
    got = decode("openai", [body(text("x"), chunk(finish=reason))])
    assert got.finished
    assert got.completion.finish_reason == normal
    assert got.completion.raw_finish_reason == reason


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("error", ServerError),
        ("abort", ServerError),
        ("aborted", ServerError),
        ("network_error", ServerError),
        ("insufficient_system_resource", OverloadedError),
    ],
)
def test_finish_reasons_that_are_failures(decode, reason, kind):
    got = decode("deepseek", [body(text("x"), chunk(finish=reason))])
    assert isinstance(got.failure, kind)
    assert got.failure.retryable and got.failure.in_stream
    assert got.completion.text == "x" and got.completion.finish_reason is None
    assert got.decoder.failed_reason == reason


def test_a_failures_reason_may_stand_beside_its_error(decode):
    """E6."""
    raw = {"error": {"code": 502, "message": "m"}, "choices": [{"finish_reason": "error"}]}
    got = decode("openrouter", [b"data: " + json.dumps(raw).encode() + b"\n\n"])
    assert (got.decoder.failed_reason, got.failure.message) == ("error", "m")


def test_the_end_mark_is_neither_needed_nor_enough(decode):
    assert decode("openai", [body(text("x"), chunk(finish="stop"), done=False)]).finished
    got = decode("openai", [body(text("x"))])
    assert not got.finished and got.failure is None


def test_what_comes_behind_the_finish_resets_nothing(decode):
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.1}
    late = chunk({"role": "assistant", "content": ""}, usage=usage)
    completion = decode("openrouter", [body(text("x"), chunk(finish="length"), late)]).completion
    assert completion.finish_reason == "length"
    assert completion.usage.total_tokens == 7 and completion.usage.raw["cost"] == 0.1


def test_all_choices_must_have_finished_even_those_not_seen_yet(decode):
    call = Call([HI], "m", {"n": 2})
    first = [text("a"), chunk(finish="stop")]
    second = [text("b", index=1), chunk(finish="length", index=1)]
    assert not decode("openai", [body(*first, done=False)], call).finished
    assert not decode("openai", [body(*first, second[0], done=False)], call).finished
    got = decode("openai", [body(first[0], second[0], first[1], second[1])], call)
    assert got.finished
    assert [(c.text, c.finish_reason) for c in got.completion.choices] == [
        ("a", "stop"), ("b", "length")
    ]  # fmt: skip


@pytest.mark.parametrize("blank", ["\n\n", ""])
def test_a_server_that_does_not_know_n_ends_with_its_mark(decode, blank):
    call = Call([HI], "m", {"n": 2})
    one = body(text("a"), chunk(finish="stop"), done=False)
    assert decode("llamacpp", [one + f"data: [DONE]{blank}".encode()], call).finished
    assert not decode("llamacpp", [body(text("a"), done=True)], call).finished


def test_a_choice_that_is_only_text_is_seen_too(decode):
    call = Call([HI], "m", {"n": 2})
    said = text("b", index=1), text("a"), text("a"), chunk(finish="stop", index=1)
    assert not decode("vllm", [body(*said)], call).finished


def test_id_and_model_may_come_behind_the_first_chunk(decode):
    nameless = {**text("a"), "id": "", "model": ""}
    got = decode("openai", [body(nameless, text("b"), text("c"), done=False)])
    assert (got.completion.id, got.completion.model) == ("c1", "m-1")


def test_a_plain_answer_has_all_choices_there_are(decode):
    answer = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}
    assert decode("openai", [json.dumps(answer).encode()], Call([HI], "m", {"n": 2})).finished


def test_several_choices_in_one_chunk(decode):
    packed = chunk({"content": "a"}, "stop")
    packed["choices"].append({"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"})
    body_call = Call(body={"n": 2, "messages": [HI]})
    got = decode("vllm", [body(packed)], body_call)
    assert got.finished
    assert [choice.text for choice in got.completion.choices] == ["a", "b"]


def test_text_and_finish_may_share_a_chunk_and_null_is_nothing(decode):
    odd = [
        chunk({"role": "assistant", "content": None}),
        {"id": "c1", "choices": []},
        {"id": "c1", "choices": [{"index": 0, "delta": None, "finish_reason": ""}]},
        {"id": "c1", "choices": None},
        text("x", finish="stop"),
    ]
    got = decode("tgi", [body(*odd)])
    assert got.completion.text == "x" and got.finished


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_has_two_names_and_counts_once(decode, name):
    stream = body(chunk({name: "Hm", "content": None}), text("x"), chunk(finish="stop"))
    assert decode("vllm", [stream]).completion.reasoning == "Hm"
    both = body(chunk({"reasoning": "Hm", "reasoning_content": "Hm"}), chunk(finish="stop"))
    assert decode("vllm", [both]).completion.reasoning == "Hm"


def test_a_refusal_is_one_though_the_api_says_stop(decode):
    refused = chunk({"refusal": "No."})
    completion = decode("openai", [body(refused, chunk(finish="stop"))]).completion
    assert (completion.refusal, completion.finish_reason) == ("No.", "refusal")


def test_a_named_tool_choice_ends_with_stop_and_is_a_tool_call(decode):
    call = {"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}
    completion = decode(
        "vllm", [body(chunk({"tool_calls": [call]}), chunk(finish="stop"))]
    ).completion
    assert completion.finish_reason == "tool_calls" and completion.raw_finish_reason == "stop"


def test_citations_of_all_forms(decode):
    web = {"type": "url_citation", "url": "https://example.org"}
    reference = {"type": "reference", "reference_ids": [1]}
    stream = body(
        chunk({"annotations": [web]}), chunk({"content": [reference]}), chunk(finish="stop")
    )
    assert decode("mistral", [stream]).completion.citations == (web, reference)


def test_text_and_lists_mix_in_one_stream(decode):
    stream = body(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "H"}]}]}),
        chunk({"content": [{"type": "thinking", "thinking": "m"}]}),
        chunk({"content": [{"type": "text", "text": "One"}, " two"]}),
        text(" three"),
        chunk(finish="stop"),
    )
    completion = decode("mistral", [stream]).completion
    assert (completion.reasoning, completion.text) == ("Hm", "One two three")


@pytest.mark.parametrize(
    ("preset", "frames"),
    [
        ("openai", [chunk(finish="stop", usage=None),
                    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}]),
        ("mistral", [chunk(finish="stop", usage={"prompt_tokens": 3, "completion_tokens": 4})]),
        ("groq", [chunk(finish="stop", x_groq={"usage": {"prompt_tokens": 3,
                                                         "completion_tokens": 4}})]),
        ("vllm", [text("y", usage={"prompt_tokens": 3, "completion_tokens": 1}),
                  chunk(finish="stop", usage={"prompt_tokens": 3, "completion_tokens": 4})]),
        ("together", [chunk(finish="eos", usage={"prompt_tokens": 3, "completion_tokens": 4}),
                      chunk(usage=None)]),
    ],
)  # fmt: skip
def test_usage_wherever_it_stands_is_never_summed_and_null_never_erases(decode, preset, frames):
    usage = decode(preset, [body(text("x"), *frames)]).completion.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 4, 7)


def test_details_of_usage(decode):
    raw = {
        "prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }  # fmt: skip
    usage = decode("openai", [body(chunk(finish="stop"), {"choices": [], "usage": raw})])
    assert usage.completion.usage[:6] == (10, 7, 5, 6, 17, False)
    cached = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}
    usage = decode("deepseek", [body(chunk(finish="stop", usage=cached))]).completion.usage
    assert usage.cached_tokens == 8


def test_the_first_id_and_model_that_say_something_count(decode):
    empty = {"id": "", "model": "", "object": "", "created": 0, "choices": [],
             "prompt_filter_results": []}  # fmt: skip
    decoder = decode("azure", [body(empty, text("x"), note(), chunk(finish="stop"))]).decoder
    assert (decoder.id, decoder.model) == ("c1", "m-1")


def test_a_plain_answer_means_the_same(decode):
    answer = {
        "id": "c1",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Yes",
                    "reasoning_content": "Hm",
                    "tool_calls": [
                        {"id": "t", "type": "function",
                         "function": {"name": "f", "arguments": "{}"}},
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }  # fmt: skip
    got = decode("openai", [json.dumps(answer).encode()], content_type="application/json")
    assert got.finished
    completion = got.completion
    assert (completion.text, completion.reasoning) == ("Yes", "Hm")
    assert completion.tool_calls == (ToolCall("t", "f", "{}"),)
    assert completion.usage.total_tokens == 3


@given(st.integers(1, 4), st.integers(0, 6))
def test_halves_of_characters_wait_for_each_other(before, after):
    """JSON lets a server cut a pair of surrogates in two; neither half can be printed."""
    pieces = ["a"] * before + ["b\ud83d", "\ude00c"] + ["d"] * after
    decoder, made = presets.provider("openai").decoder(Call()), Accumulator()
    payloads = [chunk({"role": "assistant"}), *(text(piece) for piece in pieces)]
    for payload in [*payloads, chunk(finish="stop")]:
        for one in decoder.feed([ServerSentEvent("message", json.dumps(payload))]):
            one.text.encode()
            made.add(one)
    assert made.completion().text == "a" * before + "b😀c" + "d" * after


def test_a_half_without_its_other_half_is_kept_as_it_is(decode):
    stream = body(text("a\ud83d"), text("b"), text("c\ud83d"), chunk(finish="stop"))
    got = decode("openai", [stream])
    assert got.completion.text == "a\ud83db" + "c\ud83d"
    cut = decode("openai", [body(text("a\ud83d"), done=False)])
    assert cut.completion.text == "a\ud83d"


def test_halves_in_arguments_and_reasoning(decode):
    def call(piece):
        return chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})

    stream = body(
        chunk({"reasoning": "\ud83d"}), chunk({"reasoning": "\ude00"}),
        call('{"a": "\ud83d'), call('\ude00"}'), chunk(finish="tool_calls"),
    )  # fmt: skip
    completion = decode("vllm", [stream]).completion
    assert completion.reasoning == "😀"
    assert completion.tool_calls[0].parsed() == {"a": "😀"}


# -- Azure's filters -----------------------------------------------------------------------------

HIT = {"violence": {"filtered": True, "severity": "high"}, "hate": {"filtered": False}}
CLEAR = {"violence": {"filtered": False, "severity": "safe"}, "x": {"error": {"code": "e"}}}


def test_a_block_in_the_default_mode_keeps_what_was_shown(decode):
    blocked = chunk(finish="content_filter")
    blocked["choices"][0]["content_filter_results"] = HIT
    got = decode("azure", [body(text("Some"), blocked)])
    assert got.finished
    assert got.completion.text == "Some" and got.completion.finish_reason == "content_filter"
    assert len([c for c in got.chunks if c.kind == "finish"]) == 1


@pytest.mark.parametrize(
    "late",
    [note(finish_reason="content_filter"), note(content_filter_results=HIT)],
)
def test_a_filter_that_strikes_behind_the_finish_is_the_verdict(decode, late):
    got = decode("azure", [body(text("Some"), chunk(finish="stop"), note(), late)])
    assert got.finished and got.completion.finish_reason == "content_filter"
    assert got.completion.raw_finish_reason == "content_filter"


def test_a_filter_that_strikes_before_the_finish_is_the_verdict_too(decode):
    stream = body(text("Some"), note(content_filter_results=HIT), chunk(finish="stop"))
    assert decode("azure", [stream]).completion.finish_reason == "content_filter"


def test_notes_of_the_filter_are_no_answer_and_no_verdict(decode):
    clear = note(content_filter_results=CLEAR)
    got = decode("azure", [body(clear, text("Some"), clear, chunk(finish="stop"), clear)])
    assert got.finished and got.completion.finish_reason == "stop"
    assert len(got.completion.choices) == 1
    assert not decode("azure", [body(clear)]).finished


# -- errors inside the stream --------------------------------------------------------------------


def failing(decode, preset, raw):
    got = decode(preset, [body(chunk({"role": "assistant"}), text("x"), done=False) + raw])
    assert got.completion.text == "x" and got.completion.finish_reason is None
    assert isinstance(got.failure, APIError) and got.failure.in_stream
    assert not got.finished
    return got.failure


@pytest.mark.parametrize(
    ("preset", "raw", "kind", "again"),
    [
        pytest.param("openai", 'data: {"error":{"message":"m","type":"server_error","param":null,'
                     '"code":null}}\n\n', ServerError, True, id="E1"),
        pytest.param("together", 'data: {"id":"x","error":{"message":"m","type":"invalid_request'
                     '_error","code":"invalid_prompt"}}\n\n', BadRequestError, False, id="E1-bad"),
        pytest.param("vllm", 'data: {"error":{"message":"m","type":"InternalServerError","param":'
                     'null,"code":500}}\n\ndata: [DONE]\n\n', ServerError, True, id="E2"),
        pytest.param("vllm", 'data: {"error":{"message":"m","type":"BadRequestError","code":400}}'
                     '\n\ndata: [DONE]\n\n', BadRequestError, False, id="E2-bad"),
        pytest.param("vllm", 'data: {"object":"error","message":"m","type":"BadRequestError",'
                     '"code":400}\n\n', BadRequestError, False, id="E2-flat"),
        pytest.param("llamacpp", 'data: {"error":{"code":500,"message":"m","type":"server_error"}}'
                     '\n\n', ServerError, True, id="E3"),
        pytest.param("llamacpp", 'data: {"error":{"code":400,"message":"m","type":"exceed_context_'
                     'size_error","n_prompt_tokens":9,"n_ctx":8}}\n\n',
                     ContextLengthError, False, id="E3-context"),
        pytest.param("llamacpp", 'error: {"code":503,"message":"m","type":"unavailable_error"}\n\n',
                     OverloadedError, True, id="E4"),
        pytest.param("tgi", 'data:{"error":{"message":"m","http_status_code":422}}\n\n'
                     'data:[DONE]\n\n', BadRequestError, False, id="E5"),
        pytest.param("tgi", 'data:{"error":"m","error_type":"overloaded"}\n\n',
                     OverloadedError, True, id="E5-native"),
        pytest.param("openrouter", 'data: {"id":"g","error":{"code":"server_error","message":"m"},'
                     '"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n',
                     ServerError, True, id="E6"),
        pytest.param("openrouter", 'data: {"error":{"code":502,"message":"m","metadata":{"raw":"r",'
                     '"provider_name":"P"}},"choices":[]}\n\n', ServerError, True, id="E6-number"),
        pytest.param("openrouter", 'data: {"choices":[{"index":0,"delta":{},"finish_reason":'
                     '"error","error":{"code":429,"message":"m"}}]}\n\n',
                     RateLimitError, True, id="E6-choice"),
        pytest.param("lmstudio", 'event: error\ndata: {"error":{"message":"m"},"message":"m"}\n\n',
                     ServerError, True, id="E11"),
        pytest.param("lmstudio", 'event: error\ndata: {"error":{"message":"m: exceeds the context '
                     'length"}}\n\n', ContextLengthError, False, id="E11-context"),
        pytest.param("groq", 'event: error\ndata: {"error":{"message":"m","type":"invalid_request_'
                     'error","code":"tool_use_failed","failed_generation":"g","status_code":400}}'
                     '\n\n', BadRequestError, True, id="E12"),
        pytest.param("groq", 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
                     '"x_groq":{"id":"r","error":"m"}}\n\ndata: [DONE]\n\n',
                     ServerError, True, id="E13"),
    ],
)  # fmt: skip
def test_errors_inside_the_stream(decode, preset, raw, kind, again):
    error = failing(decode, preset, raw.encode())
    assert type(error) is kind and error.retryable is again
    assert "m" in error.message


def test_an_error_behind_the_finish_is_a_failure(decode):
    late = {"error": {"message": "m", "type": "server_error"}}
    got = decode("openai", [body(text("x"), chunk(finish="stop"), late)])
    assert isinstance(got.failure, ServerError) and not got.finished


def test_an_upstreams_own_words_are_in_the_message(decode):
    error = failing(
        decode,
        "openrouter",
        b'data: {"error":{"code":502,"message":"Provider returned error","metadata":'
        b'{"raw":"no GPU","provider_name":"P"}}}\n\n',
    )
    assert error.message == "Provider returned error (P: no GPU)"
    assert error.code == "502"


def test_silence_in_place_of_an_error_is_no_verdict(decode):
    """E18: all that Ollama leaves of an error is a chunk without a model, and the end."""
    empty = {"id": "c1", "model": "", "choices": []}
    got = decode("ollama_openai", [body(text("x"), empty, done=False)])
    assert not got.finished and got.failure is None


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "m", "type": "server_error"}},
        {"object": "error", "message": "m"},
        {"detail": "m"},
        {"choices": None},
        ["x"],
    ],
)
def test_a_document_that_is_no_answer_is_a_failure(decode, answer):
    """E19, and whatever else a gateway puts in a stream's place."""
    got = decode("openai", [json.dumps(answer).encode()], content_type="application/json")
    assert isinstance(got.failure, APIError) and got.failure.in_stream
    assert not got.finished


def test_a_document_without_a_choice_is_no_whole_answer(decode):
    got = decode("openai", [b'{"choices": []}'], content_type="application/json")
    assert not got.finished


# -- the next turn -------------------------------------------------------------------------------


def next_turn(preset, completion, *results):
    """What the answer is in the next request."""
    return sent(HI, completion.to_message(), *results, preset=preset)[1]


def test_an_answer_with_tool_calls_goes_into_the_next_request(decode):
    call = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"a": 1}'}}
    completion = decode(
        "openai",
        [body(text("I look."), chunk({"tool_calls": [call]}), chunk({"tool_calls": [more]}),
              chunk(finish="tool_calls"))],
    ).completion  # fmt: skip
    result = {"role": "tool", "tool_call_id": "t", "content": "r"}
    assert next_turn("openai", completion, result) == {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        ],
    }


def test_the_legacy_function_call_goes_back_as_one(decode):
    stream = body(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk(finish="function_call"),
    )
    completion = decode("openai", [stream]).completion
    assert completion.tool_calls == (ToolCall("", "f", "{}"),)
    said = next_turn("openai", completion, {"role": "function", "name": "f", "content": "r"})
    assert said["function_call"] == {"name": "f", "arguments": "{}"} and "tool_calls" not in said


def test_openrouters_reasoning_goes_back_whole_and_unchanged(decode):
    def detail(**fields):
        return chunk({"reasoning_details": [{"format": "f", "index": 0, **fields}]})

    secret = {"type": "reasoning.encrypted", "data": "s3", "id": "e", "format": "f", "index": 1}
    stream = body(
        detail(type="reasoning.text", text="H"),
        detail(type="reasoning.text", text="m"),
        detail(type="reasoning.text", text="", signature="sig"),
        chunk({"reasoning_details": [secret]}),
        text("Yes"),
        chunk(finish="stop"),
    )
    completion = decode("openrouter", [stream]).completion
    whole = {"format": "f", "index": 0, "type": "reasoning.text", "text": "Hm", "signature": "sig"}
    assert completion.reasoning == "Hm"
    assert completion.provider_state["reasoning_details"] == [whole, secret]
    assert next_turn("openrouter", completion)["reasoning_details"] == [whole, secret]


def test_mistrals_thoughts_are_a_part_of_the_content(decode):
    def thinking(said, **fields):
        part = {"type": "thinking", "thinking": [{"type": "text", "text": said}], **fields}
        return chunk({"content": [part]})

    stream = body(thinking("H"), thinking("m", signature="s", closed=True), text("Yes"),
                  chunk(finish="stop"))  # fmt: skip
    said = next_turn("mistral", decode("mistral", [stream]).completion)
    assert said["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "signature": "s",
         "closed": True},
        {"type": "text", "text": "Yes"},
    ]  # fmt: skip


def test_deepseeks_reasoning_goes_back_with_tool_calls_and_not_without(decode):
    thought = chunk({"reasoning_content": "Hm", "content": None})
    call = {"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}
    called = body(thought, chunk({"tool_calls": [call]}), chunk(finish="tool_calls"))
    said = next_turn("deepseek", decode("deepseek", [called]).completion)
    assert said["reasoning_content"] == "Hm"
    plain = decode("deepseek", [body(thought, text("x"), chunk(finish="stop"))]).completion
    assert next_turn("deepseek", plain) == {"role": "assistant", "content": "x"}


# -- the way on ----------------------------------------------------------------------------------


def onward(preset, said="Once upon", how="prefill", call=None, base_url=None, **facts):
    provider = presets.provider(preset)
    call = provider.continued(call or Call([HI], "m"), Completion(said, **facts), how)
    return provider.request(call, target(preset, base_url))


@pytest.mark.parametrize(
    ("preset", "prefill", "flags"),
    [
        ("openai", "no", ()),
        ("together", "no", ()),
        ("deepseek", "yes", ("exact",)),
        ("mistral", "yes", ("echoes",)),
        ("vllm", "yes", ("exact",)),
        ("llamacpp", "yes", ("exact",)),
        ("tgi", "yes", ("strips",)),
        ("openrouter", "unsure", ()),
        ("groq", "unsure", ()),
        ("lmstudio", "unsure", ()),
        ("ollama_openai", "unsure", ()),
        ("openai_compatible", "unsure", ()),
    ],
)
def test_profiles(preset, prefill, flags):
    profile = presets.provider(preset).profile("m")
    assert profile.prefill == prefill and profile.user_message and not profile.cursor
    assert tuple(n for n in ("exact", "echoes", "strips") if getattr(profile, n)) == flags


@pytest.mark.parametrize(
    ("model", "prefill"),
    [
        ("anthropic/claude-3.5-sonnet", "unsure"),
        ("anthropic/claude-sonnet-4.5", "unsure"),
        ("anthropic/claude-opus-4.6", "no"),
        ("anthropic/claude-sonnet-5", "no"),
        ("google/gemini-3.1-pro", "unsure"),
        ("google/gemini-3.5-flash-lite", "no"),
        ("google/gemini-3.6-flash", "no"),
        ("openai/gpt-4o", "no"),
        ("openai/gpt-oss-120b", "unsure"),
        ("mistralai/mistral-large", "unsure"),
    ],
)
def test_through_a_router_the_model_decides(model, prefill):
    assert presets.provider("openrouter").profile(model).prefill == prefill


@pytest.mark.parametrize(
    ("preset", "message", "more"),
    [
        ("mistral", {"prefix": True}, {}),
        ("deepseek", {"prefix": True}, {}),
        ("vllm", {}, {"continue_final_message": True, "add_generation_prompt": False}),
        ("llamacpp", {}, {}),
        ("tgi", {}, {}),
        ("openrouter", {}, {}),
    ],
)
def test_a_prefill_is_the_last_message_in_the_servers_own_form(preset, message, more):
    made = onward(preset).json
    assert made["messages"] == [HI, {"role": "assistant", "content": "Once upon", **message}]
    assert {name: made[name] for name in more} == more
    bare = onward(preset, call=Call(body={"model": "m", "messages": [HI]})).json
    assert bare["messages"] == made["messages"]
    assert {name: bare[name] for name in more} == more


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, "https://api.deepseek.com/beta/chat/completions"),
        ("https://api.deepseek.com/v1", "https://api.deepseek.com/beta/chat/completions"),
        ("http://proxy/deepseek", "http://proxy/deepseek/beta/chat/completions"),
    ],
)
def test_deepseeks_prefix_api_stands_at_a_path_of_its_own(base_url, url):
    """Of the address that the program gave: the key goes nowhere else."""
    assert onward("deepseek", base_url=base_url).url == url


def test_deepseek_gets_the_reasoning_before_the_prefix():
    message = onward("deepseek", reasoning="Hm").json["messages"][1]
    assert message == {
        "role": "assistant", "content": "Once upon", "prefix": True, "reasoning_content": "Hm"
    }  # fmt: skip


def test_a_beginning_of_the_programs_own_and_the_text_are_one_message():
    call = Call([HI, {"role": "assistant", "content": "Once "}], "m")
    assert onward("llamacpp", "upon", call=call).json["messages"][1:] == [
        {"role": "assistant", "content": "Once upon"}
    ]
    # Mistral gives the beginning back with the text.
    call = Call([HI, {"role": "assistant", "content": "Once ", "prefix": True}], "m")
    assert onward("mistral", "Once upon", call=call).json["messages"][1:] == [
        {"role": "assistant", "content": "Once upon", "prefix": True}
    ]


@pytest.mark.parametrize("preset", ["openai", "together", "mistral", "vllm"])
def test_a_request_to_go_on_stands_behind_the_text(preset):
    for call in (Call([HI], "m"), Call(body={"model": "m", "messages": [HI]})):
        messages = onward(preset, how="user_message", call=call).json["messages"]
        assert messages[:2] == [HI, {"role": "assistant", "content": "Once upon"}]
        assert messages[2]["role"] == "user" and "Continue" in messages[2]["content"]


@pytest.mark.parametrize(
    ("preset", "said", "how"),
    [("openai", "Once", "prefill"), ("openai", "Once", "cursor"), ("vllm", " \n", "prefill")],
)
def test_there_is_no_way_on_where_the_api_has_none(preset, said, how):
    with pytest.raises(ConfigurationError):
        onward(preset, said, how)


def test_half_a_character_is_not_sent_back():
    assert onward("vllm", "Once\ufffd").json["messages"][1]["content"] == "Once"
    assert onward("vllm", "Once\ud83d").json["messages"][1]["content"] == "Once"


def test_a_body_without_messages_can_not_be_gone_on_from():
    with pytest.raises(ConfigurationError, match="messages"):
        onward("vllm", call=Call(body={"model": "m"}))
