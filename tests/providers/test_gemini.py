"""Google Gemini: the request by its fields, with and without ``alt=sse``, and at Vertex AI; what
the chunks mean; and the way on."""

import json

import pytest

from streamsafe.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from streamsafe.models import Call, Completion
from streamsafe.providers import presets
from streamsafe.providers.gemini import Gemini

PROVIDER = presets.provider("gemini")
TARGET = presets.target(PROVIDER, "key", environ={})
HI = {"role": "user", "content": "Hi"}
HELLO = {"role": "user", "parts": [{"text": "Hi"}]}
PNG = "data:image/png;base64,iVBORw0="
URL = "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent"


def ask(messages=(HI,), body=None, extra=None, model="m", target=TARGET, **parameters):
    return PROVIDER.request(Call(messages, model, parameters, body, extra), target)


def contents(*messages):
    return ask(messages).json["contents"]


def body(*payloads):
    """An event stream of these payloads, in the framing of the API."""
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(payload).encode() for payload in payloads)


def chunk(*parts, finish=None, index=None, **more):
    candidate = {}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    if finish:
        candidate["finishReason"] = finish
    if index is not None:
        candidate["index"] = index
    return {"candidates": [candidate], "modelVersion": "m-1", "responseId": "r1", **more}


def text(piece, **more):
    return chunk({"text": piece}, **more)


# -- the request ---------------------------------------------------------------------------------


def test_a_prompt_is_asked_with_url_headers_and_body():
    request = ask()
    assert request.method == "POST"
    assert request.url == f"{URL}?alt=sse"
    assert request.headers == {"x-goog-api-key": "key"}
    assert request.json == {"contents": [HELLO]}


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://host", "http://host/v1beta/models/m:streamGenerateContent?alt=sse"),
        ("http://host/v1alpha/", "http://host/v1alpha/models/m:streamGenerateContent?alt=sse"),
        ("http://host?key=k", "http://host/v1beta/models/m:streamGenerateContent?key=k&alt=sse"),
        ("http://host?alt=json", "http://host/v1beta/models/m:streamGenerateContent?alt=json"),
    ],
)
def test_the_address_of_ones_own(base_url, url):
    assert ask(target=presets.target(PROVIDER, "key", base_url, environ={})).url == url


def test_without_alt_sse_by_the_presets_framing():
    plain = Gemini(presets.PRESETS["gemini"]._replace(framing="json"))
    assert plain.request(Call([HI], "m"), TARGET).url == URL


@pytest.mark.parametrize("model", ["models/m", "tunedModels/t"])
def test_a_model_may_be_named_with_its_collection(model):
    assert ask(model=model).url == URL.replace("models/m", model) + "?alt=sse"


@pytest.mark.parametrize("end", ["", "/publishers/google"])
def test_vertex_by_its_address_and_a_token(end):
    vertex = presets.provider("vertex")
    base = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1"
    request = vertex.request(
        Call([HI], "gemini-2.5-pro"), presets.target(vertex, "ya29.token", base + end, environ={})
    )
    assert request.url == (
        f"{base}/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    )
    assert request.headers == {"Authorization": "Bearer ya29.token"}
    with pytest.raises(ConfigurationError, match="base_url"):
        presets.target(vertex, "t", environ={})


@pytest.mark.parametrize(("model", "path"), [
    ("publishers/google/models/m", "publishers/google/models/m"),
    ("models/m", "publishers/google/models/m"), ("endpoints/7", "endpoints/7"),
])  # fmt: skip
def test_vertex_takes_the_name_of_any_collection(model, path):
    vertex, base = presets.provider("vertex"), "http://localhost/v1/projects/p/locations/l"
    target = presets.target(vertex, "t", f"{base}/publishers/google", environ={})
    request = vertex.request(Call([HI], model), target)
    assert request.url == f"{base}/{path}:streamGenerateContent?alt=sse"


def test_system_messages_stand_apart_and_equal_neighbours_are_one_turn():
    request = ask(
        [
            {"role": "system", "content": "One."},
            HI,
            {"role": "user", "content": "there"},
            {"role": "assistant", "content": "Yes"},
            {"role": "developer", "content": "Two."},
            HI,
        ]
    )
    assert request.json["systemInstruction"] == {"parts": [{"text": "One."}, {"text": "Two."}]}
    assert request.json["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}, {"text": "there"}]},
        {"role": "model", "parts": [{"text": "Yes"}]},
        HELLO,
    ]


def test_images_and_sound_go_as_data_or_by_url():
    content = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": "https://example.org/a.jpg?x=1"},
        {"type": "image_url", "image_url": "gs://bucket/thing"},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
        {"inlineData": {"mimeType": "x/y", "data": "z"}},
    ]
    assert contents({"role": "user", "content": content})[0]["parts"] == [
        {"text": "See"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0="}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.org/a.jpg?x=1"}},
        {"fileData": {"fileUri": "gs://bucket/thing"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "UklG"}},
        content[-1],
    ]


def test_tool_calls_and_results_with_the_names_that_the_api_wants():
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "function": {"name": "g", "arguments": ""}},
    ]
    made = contents(
        HI,
        {"role": "assistant", "content": "I look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": '{"deg": 7}'},
        {"role": "tool", "tool_call_id": "b", "content": "fine"},
    )
    assert made[1:] == [
        {"role": "model", "parts": [
            {"text": "I look."},
            {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}},
            {"functionCall": {"id": "b", "name": "g", "args": {}}},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "a", "name": "f", "response": {"deg": 7}}},
            {"functionResponse": {"id": "b", "name": "g", "response": {"result": "fine"}}},
        ]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        ({"role": "user", "content": ""}, r"messages\[1\]: content is empty"),
        ({"role": "user", "content": [{"type": "video_url"}]}, r"messages\[1\].*video_url"),
        ({"role": "user", "content": [{"type": "image_url"}]}, r"messages\[1\].*image"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "data:x,y"}]}, "base64"),
        ({"role": "tool", "content": "x"}, r"messages\[1\].*tool_call_id"),
        ({"role": "tool", "tool_call_id": "t", "content": "x"}, r"messages\[1\].*'t'"),
        ({"role": "function", "name": "f", "content": "x"}, r"messages\[1\].*function"),
        ({"role": "system", "content": [{"type": "image_url"}]}, r"messages\[1\].*only text"),
        ({"type": "item"}, r"messages\[1\].*role None"),
    ],
)
def test_a_message_that_the_api_cannot_take_is_named(message, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        contents(HI, message)


def test_a_question_wants_a_model_and_a_message():
    with pytest.raises(ConfigurationError, match="model="):
        ask(model=None)
    with pytest.raises(ConfigurationError, match="user message"):
        contents({"role": "system", "content": "s"})


def test_parameters_get_the_apis_names_and_places_and_unknown_ones_pass():
    made = ask(
        max_tokens=9, temperature=0.5, top_p=0.9, top_k=4, seed=7, stop="END", n=2,
        thinkingConfig={"includeThoughts": True}, safetySettings=[], x_future=1,
        generationConfig={"temperature": 0},
    ).json  # fmt: skip
    assert made["generationConfig"] == {
        "maxOutputTokens": 9, "temperature": 0, "topP": 0.9, "topK": 4, "seed": 7,
        "stopSequences": ["END"], "candidateCount": 2,
        "thinkingConfig": {"includeThoughts": True},
    }  # fmt: skip
    assert made["safetySettings"] == [] and made["x_future"] == 1
    assert "stream" not in made and "model" not in made


def test_tools_are_one_tool_and_the_apis_own_pass():
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    search = {"googleSearch": {}}
    made = ask(tools=[{"type": "function", "function": function}, search]).json
    assert made["tools"] == [
        {"functionDeclarations": [
            {"name": "f", "description": "d", "parameters": {"type": "object"}}
        ]},
        search,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "f"}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_tool_choice(choice, made):
    assert ask(tool_choice=choice).json["toolConfig"] == {"functionCallingConfig": made}


def test_structured_output():
    schema = {"type": "object"}
    asked = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert ask(response_format=asked).json["generationConfig"] == {
        "responseMimeType": "application/json", "responseJsonSchema": schema
    }  # fmt: skip
    made = ask(response_format={"type": "json_object"}).json
    assert made["generationConfig"] == {"responseMimeType": "application/json"}
    assert "generationConfig" not in ask(response_format={"type": "text"}).json


def test_a_body_of_the_apis_own_passes_untouched():
    own = {"contents": [HELLO], "generationConfig": {"maxOutputTokens": 1}, "x": 1}
    assert ask((), own).json == own
    assert ask((), {**own, "model": "y"}, model=None).url == f"{URL}?alt=sse".replace("/m:", "/y:")


def test_arguments_in_pieces_are_not_asked_for():
    config = {"functionCallingConfig": {"streamFunctionCallArguments": True}}
    with pytest.raises(ConfigurationError, match="streamFunctionCallArguments"):
        ask(toolConfig=config)


# -- the chunks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "normal"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        *[(reason, "content_filter") for reason in (
            "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
            "MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED", "IMAGE_SAFETY",
            "IMAGE_RECITATION",
        )],
        ("OF_THE_FUTURE", "stop"),
    ],
)  # fmt: skip
def test_finish_reasons(decode, reason, normal):
    got = decode("gemini", [body(text("x"), chunk(finish=reason))])
    assert got.finished
    assert got.completion.finish_reason == normal
    assert got.completion.raw_finish_reason == reason


@pytest.mark.parametrize(
    "reason",
    [
        "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS", "OTHER", "NO_IMAGE",
    ],
)  # fmt: skip
def test_mishaps_of_the_model_are_failures_that_another_try_may_mend(decode, reason):
    got = decode("gemini", [body(text("x"), chunk(finish=reason))])
    assert isinstance(got.failure, APIError) and got.failure.retryable
    assert reason in got.failure.message and got.decoder.failed_reason == reason
    assert not got.finished and got.completion.text == "x"


def test_an_unspecified_reason_is_none(decode):
    got = decode("gemini", [body(text("x"), chunk(finish="FINISH_REASON_UNSPECIFIED"))])
    assert not got.finished and got.failure is None


@pytest.mark.parametrize(
    "reason",
    ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR",
     "JAILBREAK"],
)  # fmt: skip
def test_a_prompt_that_was_blocked_is_answered_by_its_reason(decode, reason):
    feedback = {"blockReason": reason, "safetyRatings": []}
    got = decode("gemini", [body({"promptFeedback": feedback, "usageMetadata": {}})])
    assert got.finished
    assert got.completion.finish_reason == "content_filter"
    assert got.completion.raw_finish_reason == reason and got.completion.text == ""


def test_feedback_without_a_block_is_no_end(decode):
    assert not decode("gemini", [body({"promptFeedback": {"safetyRatings": []}})]).finished


def test_parts_content_and_candidates_may_be_missing(decode):
    odd = [{}, {"candidates": []}, {"candidates": None}, {"candidates": [{}]},
           {"candidates": [{"content": {"role": "model"}}]}]  # fmt: skip
    got = decode("gemini", [body(*odd, text("x"), chunk(finish="STOP"))])
    assert got.finished and got.completion.text == "x"
    assert got.decoder.id == "r1" and got.decoder.model == "m-1"


def test_candidates_come_together_or_apart(decode):
    call = Call([HI], "m", {"n": 2})
    both = {"candidates": [*text("a")["candidates"], *text("b", index=1)["candidates"]]}
    stream = [both, chunk(finish="STOP"), chunk(finish="MAX_TOKENS", index=1)]
    got = decode("gemini", [body(*stream)], call)
    assert got.finished
    assert [(c.text, c.finish_reason) for c in got.completion.choices] == [
        ("a", "stop"), ("b", "length")
    ]  # fmt: skip
    assert not decode("gemini", [body(*stream[:2])], call).finished
    # Fewer than were asked for are all that there are, once the body is over.
    assert decode("gemini", [body(text("a"), chunk(finish="STOP"))], call).finished


def test_a_call_is_one_though_the_api_says_stop_and_gets_an_id_where_it_has_none(decode):
    calls = [
        {"functionCall": {"name": "f", "args": {"a": "é"}}},
        {"functionCall": {"id": "own", "name": "g"}},
    ]
    completion = decode("gemini", [body(chunk(*calls, finish="STOP"))]).completion
    first, second = completion.tool_calls
    assert completion.finish_reason == "tool_calls"
    assert first.id and first.parsed() == {"a": "é"}
    assert (second.id, second.arguments) == ("own", "{}")


def test_usage_is_cumulative_and_thoughts_are_part_of_the_output(decode):
    first = {"promptTokenCount": 9, "totalTokenCount": 9, "cachedContentTokenCount": 4}
    last = {"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 3,
            "toolUsePromptTokenCount": 2, "totalTokenCount": 19,
            "cachedContentTokenCount": None}  # fmt: skip
    stream = body(text("x", usageMetadata=first), chunk(finish="STOP", usageMetadata=last))
    usage = decode("gemini", [stream]).completion.usage
    assert usage[:6] == (11, 8, 3, 4, 19, False)


def test_thoughts_and_citations(decode):
    cited = {"uri": "https://example.org", "startIndex": 0}
    found = {"web": {"uri": "https://example.org"}}
    first = text("x")
    first["candidates"][0]["citationMetadata"] = {"citationSources": [cited]}
    last = chunk(finish="STOP")
    last["candidates"][0]["citationMetadata"] = {"citationSources": [cited]}
    last["candidates"][0]["groundingMetadata"] = {"groundingChunks": [found]}
    completion = decode(
        "gemini", [body(chunk({"text": "Hm", "thought": True}), first, last)]
    ).completion
    assert (completion.reasoning, completion.text) == ("Hm", "x")
    assert completion.citations == (cited, found)


def test_the_array_means_the_same_however_it_is_cut(decode):
    payloads = [text("One "), text("two"), chunk(finish="STOP")]
    array = json.dumps(payloads, indent=1).encode()
    for size in (1, 7, len(array)):
        pieces = [array[at : at + size] for at in range(0, len(array), size)]
        got = decode("gemini", pieces, content_type="application/json", framing="json")
        assert got.finished and got.completion.text == "One two"
    assert not decode("gemini", [array[:-60]], content_type="application/json").finished


def test_one_plain_answer_means_the_same(decode):
    answer = json.dumps(text("Yes", finish="STOP")).encode()
    got = decode("gemini", [answer], content_type="application/json")
    assert got.finished and got.completion.text == "Yes"


# -- errors --------------------------------------------------------------------------------------

DOWN = {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE", "details": []}}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"data: " + json.dumps(DOWN).encode() + b"\r\n\r\n", id="E14"),
        pytest.param(json.dumps(DOWN, indent=2).encode() + b"\n\n", id="E15"),
        pytest.param(json.dumps(DOWN, indent=2).encode(), id="E15-unfinished"),
        pytest.param(json.dumps([DOWN], indent=2).encode() + b"\r\n", id="E15-array"),
    ],
)
def test_errors_inside_the_stream(decode, raw):
    stream = body(text("x")) + raw
    for pieces in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        got = decode("gemini", pieces)
        assert isinstance(got.failure, OverloadedError), got.failure
        assert got.failure.retryable and got.failure.in_stream and got.failure.code == "503"
        assert got.completion.text == "x" and not got.finished


@pytest.mark.parametrize("answer", [DOWN, [DOWN], [text("x"), DOWN]])
def test_errors_in_an_array_or_in_place_of_one(decode, answer):
    raw = json.dumps(answer).encode()
    got = decode("gemini", [raw], content_type="application/json")
    assert isinstance(got.failure, OverloadedError) and not got.finished


def answered(status, name, message="m", details=(), array=False):
    said = {"error": {"code": status, "message": message, "status": name, "details": details}}
    return PROVIDER.error(status, {}, json.dumps([said] if array else said))


DELAY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
PER_DAY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize(
    ("status", "name", "kind", "again"),
    [
        (400, "INVALID_ARGUMENT", BadRequestError, False),
        (400, "FAILED_PRECONDITION", BadRequestError, False),
        (403, "PERMISSION_DENIED", PermissionDeniedError, False),
        (404, "NOT_FOUND", NotFoundError, False),
        (429, "RESOURCE_EXHAUSTED", RateLimitError, True),
        (500, "INTERNAL", ServerError, True),
        (503, "UNAVAILABLE", OverloadedError, True),
        (504, "DEADLINE_EXCEEDED", ServerError, True),
    ],
)
def test_errors_by_status_bare_or_in_an_array(status, name, kind, again, array):
    error = answered(status, name, array=array)
    assert type(error) is kind and error.retryable is again and error.message == f"{status}: m"


def test_a_wrong_key_is_a_400_here():
    error = answered(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
    assert type(error) is AuthenticationError and not error.retryable


def test_a_delay_is_in_the_body_and_a_days_quota_is_not_waited_for():
    error = answered(429, "RESOURCE_EXHAUSTED", details=[DELAY])
    assert error.retryable and error.retry_after == 37
    daily = answered(429, "RESOURCE_EXHAUSTED", details=[DELAY, PER_DAY])
    assert type(daily) is QuotaExceededError and not daily.retryable
    empty = answered(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")
    assert type(empty) is QuotaExceededError


# -- the next turn -------------------------------------------------------------------------------


def test_what_must_come_back_comes_back_on_the_same_parts(decode):
    call = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s1"}
    stream = body(
        chunk({"text": "H", "thought": True}),
        chunk({"text": "m", "thought": True}),
        text("I "),
        text("look."),
        chunk(call),
        chunk({"text": "", "thoughtSignature": "s2"}, finish="STOP"),
    )
    completion = decode("gemini", [stream]).completion
    kept = [
        {"text": "Hm", "thought": True},
        {"text": "I look."},
        call,
        {"text": "", "thoughtSignature": "s2"},
    ]
    assert completion.provider_state["parts"] == kept
    result = {"role": "tool", "tool_call_id": completion.tool_calls[0].id, "content": "r"}
    made = contents(HI, completion.to_message(), result)
    assert made[1] == {"role": "model", "parts": kept}
    # An id that was made here is not the API's to see.
    assert made[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"result": "r"}}}]


def test_the_message_of_an_answer_in_two_attempts_has_the_text_of_both(decode):
    thought = {"text": "Hm", "thought": True}
    stream = body(chunk(thought), text("second."), chunk(finish="STOP"))
    message = decode("gemini", [stream]).decoder.message(Completion("First, second."))
    assert message["parts"] == [thought, {"text": "First, second."}]


# -- the way on ----------------------------------------------------------------------------------


def test_a_continuation_is_the_same_request_with_the_token(decode):
    last = chunk(finish="CONTINUATION")
    last["candidates"][0]["continuationToken"] = "tok"
    got = decode("gemini", [body(text("One "), last)])
    assert got.finished and got.completion.finish_reason is None
    call = Call([HI], "m", {"seed": 1}, extra=got.decoder.continuation)
    made = PROVIDER.request(call, TARGET).json
    assert made == {"contents": [HELLO], "generationConfig": {"seed": 1},
                    "continuationToken": "tok"}  # fmt: skip
    rest = decode("gemini", [body(text("two"), chunk(finish="STOP"))], call)
    assert rest.decoder.message(Completion("One two"))["parts"] == [{"text": "One two"}]


def test_a_continuation_without_a_token_was_cut_off(decode):
    got = decode("gemini", [body(text("One "), chunk(finish="CONTINUATION"))])
    assert got.finished and got.completion.finish_reason == "length"


def test_an_empty_answer_is_asked_for_again_once(decode):
    got = decode("gemini", [body(chunk(finish="STOP"))])
    assert got.decoder.continuation == {"empty": True}
    again = Call([HI], "m", extra=got.decoder.continuation)
    assert PROVIDER.request(again, TARGET).json == {"contents": [HELLO]}
    second = decode("gemini", [body(chunk(finish="STOP"))], again)
    assert second.finished and second.decoder.continuation is None
    assert second.completion.finish_reason == "stop"


@pytest.mark.parametrize(
    ("model", "prefill"),
    [
        ("gemini-2.0-flash", "yes"),
        ("gemini-2.5-flash-lite", "yes"),
        ("gemini-3-pro", "yes"),
        ("gemini-3.1-pro-preview", "yes"),
        ("gemini-3.5-flash", "yes"),
        ("gemini-3.5-flash-lite", "no"),
        ("gemini-3.6-flash", "no"),
        ("gemini-4-pro", "no"),
        ("gemma-3", "unsure"),
        (None, "unsure"),
    ],
)
def test_prefill_depends_on_the_model(model, prefill):
    profile = PROVIDER.profile(model)
    assert profile.prefill == prefill and profile.exact is (prefill == "yes")


@pytest.mark.parametrize("call", [Call([HI], "gemini-3-pro"), Call(body={
    "model": "gemini-3-pro", "contents": [HELLO]})])  # fmt: skip
def test_the_text_goes_as_the_models_turn_last_or_with_a_request_behind_it(call):
    said = {"role": "model", "parts": [{"text": "Once"}]}
    onward = PROVIDER.continued(call, Completion("Once"), "prefill")
    assert PROVIDER.request(onward, TARGET).json == {"contents": [HELLO, said]}
    onward = PROVIDER.continued(call, Completion("Once"), "user_message")
    made = PROVIDER.request(onward, TARGET).json["contents"]
    assert made[:2] == [HELLO, said]
    assert made[2]["role"] == "user" and "Continue" in made[2]["parts"][0]["text"]


def test_that_nothing_more_comes_is_an_answer_behind_a_text(decode):
    onward = PROVIDER.continued(Call([HI], "gemini-3-pro"), Completion("Once"), "prefill")
    got = decode("gemini", [body(chunk(finish="STOP"))], onward)
    assert got.finished and got.decoder.continuation is None


@pytest.mark.parametrize(
    ("model", "said", "how"),
    [("gemini-3.6-flash", "Once", "prefill"), ("gemini-3-pro", "", "prefill"),
     ("gemini-3-pro", "Once", "cursor")],
)  # fmt: skip
def test_there_is_no_way_on_where_the_api_has_none(model, said, how):
    with pytest.raises(ConfigurationError):
        PROVIDER.continued(Call([HI], model), Completion(said), how)
