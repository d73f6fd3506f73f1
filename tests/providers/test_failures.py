"""Failures through the whole of streamsafe: HTTP errors of every shape on a real socket, and errors
inside a stream: tried again where nothing was delivered, raised with the partial where some was."""

import gzip
import json

import pytest

from streamsafe import RetryPolicy, StreamSession
from streamsafe.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    MalformedStreamError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from streamsafe.testing import FakeTransport, FaultServer, reply, stream
from streamsafe.testing.answers import anthropic, cohere, gemini, ollama, openai_chat, responses

QUICK = RetryPolicy(max_retries=1, base=0.0)
PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>"
ANSWERS = {
    "anthropic": anthropic, "cohere": cohere, "gemini": gemini, "ollama": ollama,
    "openai_responses": responses,
}  # fmt: skip


def answer(preset, text="Yes"):
    """A whole answer of an API."""
    kind = "application/x-ndjson" if preset == "ollama" else "text/event-stream"
    return stream(ANSWERS.get(preset, openai_chat)(text), content_type=kind)


# -- HTTP errors on a socket ---------------------------------------------------------------------


def nested(message="m", **fields):
    return {"error": {"message": message, **fields}}


HTTP_ERRORS = {
    "openai-key": ("openai", 401, nested(type="invalid_request_error", code="invalid_api_key"),
                   AuthenticationError),
    "openai-quota": ("openai", 429, nested(type="insufficient_quota", code="insufficient_quota"),
                     QuotaExceededError),
    "openai-spend": ("openai", 429, nested(type="insufficient_quota",
                                           code="project_spend_limit_exceeded"),
                     QuotaExceededError),
    "openai-rate": ("openai", 429, nested(type="requests", code="rate_limit_exceeded"),
                    RateLimitError),
    "openai-slow": ("openai", 429, nested(code="slow_down"), RateLimitError),
    "openai-busy": ("openai", 503, nested(type="service_unavailable_error",
                                          code="server_is_overloaded"), OverloadedError),
    "openai-long": ("openai", 400, nested(type="invalid_request_error",
                                          code="context_length_exceeded"), ContextLengthError),
    "openai-policy": ("openai", 400, nested(code="content_policy_violation"), BadRequestError),
    "openai-model": ("openai", 404, nested(type="invalid_request_error", code="model_not_found"),
                     NotFoundError),
    "anthropic-busy": ("anthropic", 529, {"type": "error", "error": {
        "type": "overloaded_error", "message": "m"}, "request_id": "r"}, OverloadedError),
    "anthropic-capped": ("anthropic", 400, {"type": "error", "error": {
        "type": "invalid_request_error",
        "message": "m: You have reached your specified API usage limits."}}, QuotaExceededError),
    "anthropic-long": ("anthropic", 400, {"type": "error", "error": {
        "type": "invalid_request_error",
        "message": "m: prompt is too long: 9 tokens > 8 maximum"}}, ContextLengthError),
    "anthropic-bill": ("anthropic", 402, {"type": "error", "error": {
        "type": "billing_error", "message": "m"}}, QuotaExceededError),
    "anthropic-large": ("anthropic", 413, "<html><title>m</title></html>", BadRequestError),
    "gemini-array": ("gemini", 429, [{"error": {
        "code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}], RateLimitError),
    "gemini-argument": ("gemini", 400, {"error": {
        "code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}, BadRequestError),
    "mistral-flat": ("mistral", 429, {"object": "error", "message": "m", "type": "t",
                                      "param": None, "code": "3505"}, OverloadedError),
    "mistral-rate": ("mistral", 429, {"object": "error", "message": "m", "code": "1300"},
                     RateLimitError),
    "mistral-object": ("mistral", 400, {"object": "error", "message": {"detail": "m"}},
                       BadRequestError),
    "mistral-detail": ("mistral", 422, {"detail": [
        {"type": "missing", "loc": ["body", "model"], "msg": "m"}]}, BadRequestError),
    "mistral-plain": ("mistral", 401, {"detail": "m: Unauthorized"}, AuthenticationError),
    "mistral-id": ("mistral", 401, {"message": "m", "request_id": "r"}, AuthenticationError),
    "cohere": ("cohere", 404, {"message": "m", "id": "i"}, NotFoundError),
    "cohere-token": ("cohere", 498, {"message": "m"}, AuthenticationError),
    "ollama": ("ollama", 404, {"error": "m"}, NotFoundError),
    "ollama-busy": ("ollama", 503, {"error": "m: server busy"}, OverloadedError),
    "deepseek": ("deepseek", 402, nested("m: Insufficient Balance", code="invalid_request_error"),
                 QuotaExceededError),
    "openrouter": ("openrouter", 403, {"error": {"code": 403, "message": "m", "metadata": {
        "reasons": ["x"], "flagged_input": "y"}}, "user_id": "u"}, PermissionDeniedError),
    "openrouter-credit": ("openrouter", 402, {"error": {"code": 402, "message": "m"}},
                          QuotaExceededError),
    "groq-flex": ("groq", 498, nested(code="capacity_exceeded"), OverloadedError),
    "groq-tool": ("groq", 400, nested(type="invalid_request_error", code="tool_use_failed",
                                      failed_generation="g"), BadRequestError),
    "groq-large": ("groq", 413, nested("m: Request too large for model", type="tokens",
                                       code="rate_limit_exceeded"), RateLimitError),
    "groq-dependency": ("groq", 424, nested(), ServerError),
    "vllm": ("vllm", 400, nested("m: maximum context length is 8", type="BadRequestError",
                                 code=400), ContextLengthError),
    "vllm-flat": ("vllm", 404, {"object": "error", "message": "m", "type": "NotFoundError",
                                "code": 404}, NotFoundError),
    "llamacpp-long": ("llamacpp", 400, {"error": {
        "code": 400, "message": "m", "type": "exceed_context_size_error", "n_ctx": 8}},
        ContextLengthError),
    "llamacpp-loading": ("llamacpp", 503, {"error": {
        "code": 503, "message": "m: Loading model", "type": "unavailable_error"}},
        OverloadedError),
    "tgi-busy": ("tgi", 429, {"error": "m", "error_type": "overloaded"}, OverloadedError),
    "tgi-generation": ("tgi", 424, {"error": "m", "error_type": "generation"}, ServerError),
    "tgi-validation": ("tgi", 422, {"error": "m", "error_type": "validation"}, BadRequestError),
    "together": ("together", 500, {"id": "i", **nested(type="server_error")}, ServerError),
    "page": ("openai", 502, "<html><title>m</title></html>", ServerError),
    "cdn": ("openai", 524, "error code: 524 m", ServerError),
}  # fmt: skip

#: Those that another try may mend.
MENDABLE = {
    "openai-rate", "openai-slow", "openai-busy", "anthropic-busy", "gemini-array", "mistral-flat",
    "mistral-rate", "ollama-busy", "groq-flex", "groq-tool", "llamacpp-loading", "tgi-busy",
    "tgi-generation", "together", "page", "cdn",
}  # fmt: skip


@pytest.fixture(scope="module")
def server():
    with FaultServer() as running:
        yield running


def asking(server, preset):
    base = f"{server.url}/v1"
    if preset in ("anthropic", "gemini", "cohere", "ollama"):
        base = server.url
    return StreamSession(preset, api_key="key", base_url=base, model="m", retry=QUICK)


@pytest.mark.parametrize("name", HTTP_ERRORS)
def test_every_shape_of_an_http_error(server, name):
    preset, status, body, kind = HTTP_ERRORS[name]
    server.reset()
    shown = {"body": body} if isinstance(body, str) else {"json": body}
    server.expect(reply(status, headers={"x-request-id": "req"}, **shown))
    server.always(answer(preset))
    with asking(server, preset) as session:
        if name in MENDABLE:
            failures = []
            completion = session.complete("Hi", on_error=failures.append)
            assert completion.text == "Yes" and len(server.requests) == 2
            error = failures[0]
        else:
            with pytest.raises(kind) as caught:
                session.complete("Hi")
            error = caught.value
            assert len(server.requests) == 1
    assert type(error) is kind and error.status == status
    assert error.message.startswith(f"{status}: ") and "m" in error.message
    assert error.will_retry is (name in MENDABLE)


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (502, PAGE, "502: 502 Bad Gateway"),
        (500, "", "500: the answer has no body"),
        (500, "upstream connect error", "500: upstream connect error"),
        (500, "{", "500: {"),
        (500, b"\xff\xfe", "500: \ufffd\ufffd"),
        (400, json.dumps(["a", "b"]), '400: ["a", "b"]'),
        (400, json.dumps({"errors": [{"message": "first"}]}), "400: first"),
        (308, "", "308: redirected to nowhere"),
    ],
)
def test_bodies_that_are_no_error_objects(server, status, body, shown):
    server.reset()
    server.always(reply(status, body))
    with asking(server, "openai") as session, pytest.raises(APIError) as caught:
        session.complete("Hi", retry=0)
    assert caught.value.message.startswith(shown)


@pytest.mark.parametrize("framing", ["length", "close", "chunked"])
def test_an_error_may_be_compressed(server, framing):
    body = gzip.compress(json.dumps(nested("m", code="rate_limit_exceeded")).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    server.reset()
    server.always(reply(429, body, headers=headers, framing=framing))
    with asking(server, "openai") as session, pytest.raises(RateLimitError, match="429: m"):
        session.complete("Hi", retry=0)


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (json.dumps(nested(code="rate_limit_exceeded")), "application/json", RateLimitError),
        (json.dumps(nested(type="server_error")), "text/event-stream", ServerError),
        (json.dumps([nested(code="invalid_api_key")]), "application/json", AuthenticationError),
        (PAGE, "text/html", MalformedStreamError),
    ],
)
def test_errors_under_status_200(server, body, content_type, kind):
    """E19, and the pages of gateways."""
    server.reset()
    server.always(reply(200, body, content_type=content_type))
    with asking(server, "openai") as session, pytest.raises(kind) as caught:
        session.complete("Hi", retry=0)
    if isinstance(caught.value, APIError):
        assert caught.value.in_stream and caught.value.status == 200


# -- errors inside a stream ----------------------------------------------------------------------


def event(payload, name=""):
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(payload)}\n\n"


DONE = "data: [DONE]\n\n"
DOWN = {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}
FAILED = {"id": "r", "status": "failed", "error": {"code": "server_error", "message": "m"}}
CHOICE = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
FINISH = {"index": 0, "delta": {}, "finish_reason": "stop"}

#: By the numbers of the shapes: the preset, what is sent, whether another try may mend it.
IN_STREAM = {
    "E1": ("openai", event(nested(type="server_error", param=None, code=None)), True),
    "E1 bad": ("openai", event(nested(type="invalid_request_error", code="invalid_prompt")), False),
    "E2": ("vllm", event(nested(type="InternalServerError", code=500)) + DONE, True),
    "E2 bad": ("vllm", event(nested(type="BadRequestError", code=400)) + DONE, False),
    "E3": ("llamacpp", event({"error": {"code": 500, "message": "m"}}), True),
    "E4": ("llamacpp", 'error: {"code":503,"message":"m","type":"unavailable_error"}\n\n', True),
    "E5": ("tgi", event(nested(http_status_code=422)) + DONE, False),
    "E6": ("openrouter", event({**nested(code=502), "choices": [CHOICE]}), True),
    "E7": ("anthropic", event({"type": "error", "error": {
        "type": "overloaded_error", "message": "m"}, "request_id": "r"}, "error"), True),
    "E7 bad": ("anthropic", event({"type": "error", "error": {
        "type": "invalid_request_error", "message": "m"}}, "error"), False),
    "E8": ("openai_responses", event({"type": "error", "sequence_number": 1, "error": {
        "type": "t", "code": "server_is_overloaded", "message": "m"}}, "error"), True),
    "E9": ("openai_responses", event({"type": "error", "code": "credit_balance_exhausted",
                                      "message": "m", "sequence_number": 1}, "error"), False),
    "E10": ("openai_responses", event({"type": "response.failed", "response": FAILED},
                                      "response.failed"), True),
    "E11": ("lmstudio", event({**nested(), "message": "m"}, "error"), True),
    "E12": ("groq", event(nested(type="invalid_request_error", code="tool_use_failed",
                                 status_code=400), "error"), True),
    "E13": ("groq", event({"choices": [FINISH], "x_groq": {"error": "m"}}) + DONE, True),
    "E14": ("gemini", event(DOWN), True),
    "E15": ("gemini", json.dumps(DOWN, indent=2) + "\n\n", True),
    "E16": ("cohere", event({"type": "message-end", "delta": {
        "finish_reason": "ERROR", "error": "m"}}, "message-end"), True),
    "E17": ("ollama", '{"error": "m"}\n', True),
    "E18": ("ollama_openai", event({"id": "c", "model": "", "choices": []}), True),
}  # fmt: skip

#: What comes before the error where some of the answer does.
TEXT = {"anthropic": 4, "cohere": 3, "gemini": 1, "ollama": 1, "openai_responses": 5}


def broken(name, some):
    """The exchange of a shape, and whether it has ``some`` text before it."""
    preset, raw, _ = IN_STREAM[name]
    events = ANSWERS.get(preset, openai_chat)("Some words")
    kind = "application/x-ndjson" if preset == "ollama" else "text/event-stream"
    return stream(events[: TEXT.get(preset, 2)] if some else [], raw.encode(), content_type=kind)


def session_of(name, *exchanges):
    preset = IN_STREAM[name][0]
    transport = FakeTransport(*exchanges)
    session = StreamSession(preset, api_key="key", model="m", retry=QUICK, transport=transport)
    return session, transport


@pytest.mark.parametrize("name", IN_STREAM)
def test_before_any_word_an_error_is_mended_by_another_try_where_that_helps(name):
    preset, _, again = IN_STREAM[name]
    session, transport = session_of(name, broken(name, some=False), answer(preset))
    if again:
        assert session.complete("Hi").text == "Yes"
        transport.assert_nothing_more()
    else:
        with pytest.raises(APIError) as caught:
            session.complete("Hi")
        assert len(transport.requests) == 1 and not caught.value.retryable


@pytest.mark.parametrize("name", IN_STREAM)
def test_behind_some_words_an_error_is_raised_with_them(name):
    session, transport = session_of(name, broken(name, some=True))
    seen = []
    with pytest.raises(Exception) as caught:
        for chunk in session.stream("Hi", resume="never"):
            seen.append(chunk.text)
    error = caught.value
    assert "".join(seen) == error.partial.text != ""
    assert "Some words".startswith(error.partial.text)
    assert error.partial.finish_reason in (None, "error")  # which is how some say it
    if name != "E18":  # which says nothing at all
        assert isinstance(error, APIError) and error.in_stream and "m" in error.message
    transport.assert_nothing_more()
