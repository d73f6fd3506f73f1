"""THE loop on real sockets: verdicts, retries, restarts, fallbacks, and what is on the record."""

import pytest
import requests

from streamsafe import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectError,
    ConnectionDroppedError,
    ContextLengthError,
    IncompleteStreamError,
    LimitExceededError,
    Limits,
    MalformedStreamError,
    NotFoundError,
    Outcome,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    RetryBudget,
    RetryPolicy,
    ServerError,
    StreamingError,
    StreamSession,
    StreamTimeoutError,
    Timeouts,
)
from streamsafe.testing import FaultServer, fin, on_connect, raw, reply, rst, stall, stream
from streamsafe.testing.answers import openai_chat

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT)
QUICK = RetryPolicy(base=0.001, cap=0.002)
BROKEN = b'data: {"choices":[{"index":0,"delta":{"cont\n\n'


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


def session(server, **settings):
    settings = {"retry": QUICK, "model": "m", "resume": "never", **settings}
    return StreamSession("openai_compatible", base_url=f"{server.url}/v1", **settings)


def read(stream):
    """All chunks up to the end, and the error it ended in, or None."""
    chunks = []
    try:
        for chunk in stream:
            chunks.append(chunk)
    except StreamingError as error:
        return chunks, error
    return chunks, None


def text_of(chunks):
    text = ""
    for chunk in chunks:
        text = "" if chunk.kind == "restart" else text + chunk.text
    return text


# -- the verdict ---------------------------------------------------------------------------------


def test_a_whole_answer_is_complete_and_its_chunks_are_its_text(server):
    server.expect(stream(EVENTS))
    answer = session(server).stream("Hi")
    chunks, error = read(answer)
    assert error is None
    assert text_of(chunks) == answer.completion.text == TEXT
    completion = answer.completion
    assert (completion.outcome, completion.finish_reason) == (Outcome.COMPLETE, "stop")
    assert (answer.status, len(answer.attempts)) == ("complete", 1)
    assert completion.attempts[0].outcome == "complete"
    assert server.requests[0].json["stream"] is True


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("inside", [False, True], ids=["at-a-border", "inside-an-event"])
def test_the_end_of_the_body_without_a_finish_is_never_a_success(server, framing, inside):
    body = [*EVENTS[:4], EVENTS[4][:40]] if inside else EVENTS[:4]
    server.expect(stream(body, framing=framing))
    answer = session(server).stream("Hi")
    chunks, error = read(answer)
    assert isinstance(error, IncompleteStreamError)
    assert error.partial.text == text_of(chunks) == "Rivers do not"
    assert (error.partial.outcome, answer.status) == (Outcome.FAILED, "failed")
    assert error.stream_id == answer.stream_id and len(error.attempts) == 1


@pytest.mark.parametrize("end", [fin(), rst()], ids=["fin", "rst"])
def test_a_cut_body_is_a_dropped_connection_with_all_that_came(server, end):
    server.expect(stream(EVENTS[:4], then=end))
    chunks, error = read(session(server).stream("Hi"))
    assert isinstance(error, (ConnectionDroppedError, IncompleteStreamError))
    assert error.partial.text == text_of(chunks) == "Rivers do not"


@pytest.mark.parametrize("end", [fin(), rst(), stall()], ids=["fin", "rst", "stall"])
def test_after_the_finish_neither_a_cut_nor_silence_is_an_error(server, end):
    finished = EVENTS[:-1] if EVENTS[-1].startswith(b"data: [DONE]") else EVENTS
    server.expect(stream(b"".join(finished), then=end))  # at once: no gap to trip a clock
    answer = session(server, timeouts=Timeouts(inactivity=0.2)).stream("Hi")
    assert answer.until_done().text == TEXT
    assert answer.completion.outcome is Outcome.COMPLETE


def test_an_end_mark_without_a_finish_is_no_success(server):
    server.expect(stream(EVENTS[:4], b"data: [DONE]\n\n"))
    assert isinstance(read(session(server).stream("Hi"))[1], IncompleteStreamError)


def test_truncated_and_filtered_answers_do_not_raise(server):
    server.expect(
        stream(openai_chat(TEXT, finish_reason="length")),
        stream(openai_chat(TEXT, finish_reason="content_filter")),
    )
    asking = session(server)
    assert asking.complete("Hi").outcome is Outcome.TRUNCATED
    assert asking.complete("Hi").outcome is Outcome.FILTERED


def test_ten_answers_in_a_row_use_one_connection_and_one_post_each(server):
    server.always(stream(EVENTS))
    asking = session(server)
    for _ in range(10):
        assert asking.complete("Hi").text == TEXT
    assert server.connections == 1
    assert [request.method for request in server.requests] == ["POST"] * 10


# -- what is not mended ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": {"message": "bad key", "code": "invalid_api_key"}}, AuthenticationError),
        (400, {"error": {"message": "bad", "type": "invalid_request_error"}}, BadRequestError),
        (404, {"error": {"message": "no model", "code": "model_not_found"}}, NotFoundError),
        (400, {"error": {"code": "context_length_exceeded"}}, ContextLengthError),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, QuotaExceededError),
        (429, {"error": {"message": "pay", "type": "insufficient_quota"}}, QuotaExceededError),
    ],
)
def test_what_waiting_does_not_mend_is_asked_exactly_once(server, status, body, kind):
    server.expect(reply(status, json=body, headers={"x-request-id": "req_7"}))
    chunks, error = read(session(server).stream("Hi"))
    assert type(error) is kind and chunks == []
    assert (error.status, error.request_id, error.body) == (status, "req_7", body)
    assert not error.retryable and not error.will_retry
    assert error.attempts[0].status == status


def test_a_key_that_the_server_echoes_is_masked(server):
    key = "sk-very-secret-0123456789"
    body = {"error": {"message": f"Incorrect API key provided: {key}", "details": [{"key": key}]}}
    server.expect(reply(401, json=body, headers={"x-echo": key}))
    error = read(session(server, api_key=key).stream("Hi"))[1]
    assert key not in f"{error}{error.body}{error.headers}{error.attempts}{vars(error)}"
    assert "***" in str(error)
    assert server.requests[0].headers["authorization"] == f"Bearer {key}"


def test_credentials_in_the_address_and_the_headers_are_masked_where_the_server_echoes_them(server):
    password, token = "tr0ub4dor-and-three", "gateway-token-0123456789"
    query = "subscription-0123456789"
    address = server.url.replace("//", f"//me:{password}@") + f"/v1?api-key={query}&region=north"
    server.expect(reply(401, json={"error": {"message": f"no: {password} {token} {query} north"}}))
    headers = {"X-Gateway-Auth": f"Bearer {token}"}
    with StreamSession(
        "openai_compatible", base_url=address, model="m", headers=headers
    ) as asking:
        error = read(asking.stream("Hi"))[1]
    assert server.requests[0].headers["x-gateway-auth"] == f"Bearer {token}"
    shown = f"{error}{error.body}{error.attempts}{vars(error)}"
    assert password not in shown and token not in shown and query not in shown
    assert str(error).startswith("401: no: *** *** *** north")


@pytest.mark.parametrize("port", ["99999", "[::1"])
def test_an_address_that_can_not_be_read_is_shown_without_its_password(port):
    with StreamSession(
        "openai_compatible", base_url=f"http://me:secret@host:{port}/v1", api_key="k", model="m"
    ) as asking, pytest.raises(ConfigurationError, match="Failed to parse") as caught:
        asking.complete("Hi")
    assert "secret" not in str(caught.value)


def test_what_a_hook_of_the_programs_own_raises_is_a_failure_and_no_cancelling(server):
    def hook(response, **_):
        raise ZeroDivisionError("mine")

    http = requests.Session()
    http.hooks["response"].append(hook)
    server.expect(stream(openai_chat("Hi")))
    answer = session(server, http=http).stream("Hi")
    with pytest.raises(ZeroDivisionError):
        list(answer)
    assert (answer.status, answer.completion.outcome) == ("failed", Outcome.FAILED)


def test_a_long_retry_after_is_raised_at_once_and_carried(server):
    server.expect(reply(429, headers={"Retry-After": "3600"}))
    error = read(session(server).stream("Hi"))[1]
    assert isinstance(error, RateLimitError) and error.retry_after == 3600
    assert error.given_up.endswith("3600 s, more than RetryPolicy.max_retry_after=60")
    assert str(error).endswith(f"; given up: {error.given_up}]")


def test_an_error_says_why_there_was_no_other_try(server):
    begun = openai_chat("Hi there, you")[:3]
    server.expect(stream(begun, fin()), reply(500), reply(500), reply(401))
    assert "resume='auto'" in read(session(server, resume="auto").stream("Hi"))[1].given_up
    exhausted = read(session(server, retry=QUICK.replace(max_retries=1)).stream("Hi"))[1]
    assert [attempt.error.given_up for attempt in exhausted.attempts] == [
        "", "no progress with RetryPolicy(max_retries=1)"
    ]  # fmt: skip
    # Where another try would not help there is nothing to explain.
    assert read(session(server).stream("Hi"))[1].given_up == ""


def test_html_in_place_of_a_stream_shows_its_start(server):
    server.expect(reply(200, "<html><title>Log in</title>"))
    error = read(session(server).stream("Hi"))[1]
    assert isinstance(error, MalformedStreamError) and "Log in" in str(error)


def test_a_plain_json_answer_is_delivered_as_one_chunk(server):
    answer = {
        "id": "c1", "model": "m1",
        "choices": [{"index": 0, "message": {"content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12},
    }  # fmt: skip
    server.expect(reply(200, json=answer))
    chunks, error = read(session(server).stream("Hi"))
    assert error is None
    assert [chunk.kind for chunk in chunks] == ["text", "finish", "usage"]
    assert text_of(chunks) == TEXT


def test_a_json_error_under_200_is_the_apis_error(server):
    server.expect(reply(200, json={"error": {"message": "bad key", "code": "invalid_api_key"}}))
    error = read(session(server).stream("Hi"))[1]
    assert isinstance(error, AuthenticationError) and error.in_stream


def test_json_that_is_nested_too_deeply_is_an_error_like_any_other(server):
    server.expect(reply(200, b"[" * 200_000, content_type="application/json"))
    error = read(session(server).stream("Hi", resume="never", retry=0))[1]
    assert isinstance(error, IncompleteStreamError) and "no JSON" in str(error)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_never_turns_the_post_into_a_get(server, status):
    server.expect(reply(status, headers={"Location": "/elsewhere"}))
    error = read(session(server).stream("Hi"))[1]
    assert error is not None and "redirect" in str(error)


# -- what is mended --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_failures_that_pass_are_retried_until_the_answer_comes(server, status):
    server.expect(reply(status), stream(EVENTS))
    answer = session(server).stream("Hi")
    assert answer.until_done().text == TEXT
    assert [attempt.status for attempt in answer.attempts] == [status, 200]


@pytest.mark.parametrize(
    ("status", "kind"), [(529, OverloadedError), (503, OverloadedError), (500, ServerError)]
)
def test_what_does_not_pass_is_raised_with_all_attempts_on_it(server, status, kind):
    server.expect(*[reply(status)] * 4)
    error = read(session(server).stream("Hi"))[1]
    assert isinstance(error, kind)
    assert [attempt.number for attempt in error.attempts] == [1, 2, 3, 4]
    assert all(attempt.error is not None for attempt in error.attempts)


def test_resets_before_and_after_the_headers_are_retried(server):
    server.expect(on_connect(rst()), raw(rst()), stream(then=rst()), stream(EVENTS))
    assert session(server).complete("Hi").text == TEXT


def test_a_refused_connection_is_retried_then_raised(server):
    url = server.url
    server.stop()
    asking = StreamSession("openai_compatible", base_url=f"{url}/v1", retry=QUICK, model="m")
    error = read(asking.stream("Hi"))[1]
    assert isinstance(error, ConnectError) and len(error.attempts) == 4
    assert not any(attempt.sent for attempt in error.attempts)
    server.start()


def test_an_error_as_the_first_event_is_retried(server):
    server.expect(stream(b'data: {"error": {"message": "oops"}}\n\n'), stream(EVENTS))
    assert session(server).complete("Hi").text == TEXT


def test_an_error_after_text_is_raised_with_the_partial(server):
    server.expect(stream(openai_chat("Rivers do", error="boom"), b"data: [DONE]\n\n"))
    error = read(session(server).stream("Hi"))[1]
    assert isinstance(error, ServerError) and error.in_stream and "boom" in str(error)
    assert error.partial.text == "Rivers do"


def test_the_wait_that_the_server_asks_for_is_waited_for(server):
    server.expect(reply(429, headers={"Retry-After": "1"}), stream(EVENTS))
    slept = []

    class Clock(FakeWaits):
        def sleep(self, seconds, wake):
            slept.append(seconds)
            return False

    assert session(server, clock=Clock()).complete("Hi").text == TEXT
    assert slept == [1.0]


class FakeWaits:
    """The machine's clock, but for the waits."""

    def __init__(self):
        from streamsafe.engine.timing import SystemClock

        self.now, self.wall = SystemClock.now, SystemClock.wall


def test_x_should_retry_goes_before_the_table(server):
    server.expect(
        reply(400, headers={"x-should-retry": "true"}), stream(EVENTS),
        reply(503, headers={"x-should-retry": "false"}),
    )  # fmt: skip
    asking = session(server)
    assert asking.complete("Hi").text == TEXT
    assert isinstance(read(asking.stream("Hi"))[1], OverloadedError)


def test_a_budget_that_is_used_up_stops_retries(server):
    server.expect(reply(503), reply(503), reply(503))
    asking = session(server, retry=QUICK.replace(budget=RetryBudget(tokens=1)))
    assert len(read(asking.stream("Hi"))[1].attempts) == 2
    assert len(read(asking.stream("Hi"))[1].attempts) == 1


def test_no_retry_goes_past_the_total(server):
    server.expect(reply(503, headers={"Retry-After": "30"}))
    error = read(session(server).stream("Hi", timeouts=5))[1]
    assert isinstance(error, OverloadedError) and len(error.attempts) == 1


# -- restart ---------------------------------------------------------------------------------------


def test_restart_goes_on_without_a_lost_or_doubled_token(server):
    server.expect(
        stream(EVENTS[:3], then=rst()), stream(EVENTS[:5], BROKEN), stream(EVENTS[:2], then=fin()),
        stream(EVENTS),
    )  # fmt: skip
    answer = session(server, resume="restart").stream("Hi")
    chunks, error = read(answer)
    assert error is None
    assert text_of(chunks) == answer.completion.text == TEXT
    assert all(chunk.kind != "restart" for chunk in chunks)
    assert [seam.how for seam in answer.completion.seams] == ["restart"] * 2
    assert answer.completion.usage_total.output_tokens > answer.completion.usage.output_tokens


def test_a_different_answer_is_told_by_one_restart_and_had_whole(server):
    other = "Rivers do flow."
    server.expect(stream(EVENTS[:5], then=rst()), stream(openai_chat(other)))
    answer = session(server, resume="restart").stream("Hi")
    chunks, error = read(answer)
    assert error is None and [c.kind for c in chunks].count("restart") == 1
    assert text_of(chunks) == answer.completion.text == other


def test_progress_sets_the_count_of_failures_back(server):
    cuts = [stream(EVENTS[:count], then=rst()) for count in (2, 3, 4, 5, 6, 7)]
    server.expect(*cuts, stream(EVENTS))
    assert session(server, resume="restart").complete("Hi").text == TEXT


def test_a_server_that_always_breaks_at_one_place_is_given_up(server):
    server.expect(*[stream(EVENTS[:4], then=rst())] * 4)
    error = read(session(server, resume="restart").stream("Hi"))[1]
    assert len(error.attempts) == 4  # one with progress, three retries without
    assert error.partial.text == "Rivers do not"


# -- malformed events and limits -------------------------------------------------------------------


def test_a_malformed_event_is_a_broken_stream(server):
    server.expect(stream(EVENTS[:4], BROKEN, EVENTS[4:]))
    error = read(session(server).stream("Hi"))[1]
    assert isinstance(error, MalformedStreamError) and error.partial.text == "Rivers do not"


def test_a_malformed_event_is_passed_over_if_asked_for_and_told(server):
    server.expect(stream(EVENTS[:4], BROKEN, EVENTS[4:]))
    told = []
    answer = session(server).stream("Hi", on_malformed="skip", on_error=told.append)
    assert answer.until_done().text == TEXT
    assert [type(error) for error in told] == [MalformedStreamError]
    assert answer.completion.malformed == 1


def test_limits_name_themselves(server):
    server.expect(stream(EVENTS), stream(b"data: " + b"x" * 5000 + b"\n\n"))
    error = read(session(server, limits=Limits(max_text_chars=10)).stream("Hi"))[1]
    assert isinstance(error, LimitExceededError) and error.limit == "max_text_chars"
    error = read(session(server, limits=Limits(max_event_bytes=1000)).stream("Hi"))[1]
    assert isinstance(error, LimitExceededError) and (error.limit, error.setting) == (
        "max_event_bytes", 1000,
    )  # fmt: skip


def test_an_error_body_is_read_up_to_its_limit(server):
    server.expect(reply(400, "x" * 100_000))
    error = read(session(server, limits=Limits(max_error_body=1000)).stream("Hi"))[1]
    assert len(error.body) == 1000


# -- fallbacks -------------------------------------------------------------------------------------


def test_a_fallback_answers_what_the_first_could_not(server):
    with FaultServer() as other:
        server.expect(reply(401))
        other.expect(stream(openai_chat("From the other.", model="m2")))
        second = session(other, model="m2")
        answer = session(server).stream("Hi", fallbacks=[second])
        assert answer.until_done().text == "From the other."
        assert answer.completion.model == "m2"
        assert other.requests[0].json["model"] == "m2"
        other.assert_nothing_more()


def test_a_fallback_session_brings_its_own_defaults(server):
    with FaultServer() as other:
        server.expect(reply(401))
        other.expect(stream(openai_chat("Here.")))
        first, second = session(server, reasoning_effort="low"), session(other, max_tokens=7)
        first.complete("Hi", fallbacks=[second], temperature=0.5, seed=None)
        body = other.requests[0].json
        assert (body["max_tokens"], body["temperature"]) == (7, 0.5)
        assert "reasoning_effort" not in body and "seed" not in body


def test_a_fallback_is_not_asked_after_the_first_token(server):
    server.expect(stream(EVENTS[:4], then=rst()))
    error = read(session(server).stream("Hi", fallbacks=[session(server)]))[1]
    assert error.partial.text == "Rivers do not"


def test_a_fallback_of_the_wrong_kind_is_named(server):
    with pytest.raises(ConfigurationError, match="fallbacks"):
        session(server).stream("Hi", fallbacks=["groq"])
    third = StreamSession("anthropic", base_url=server.url, api_key="k", model="claude")
    with pytest.raises(ConfigurationError, match="Anthropic wants a user message"):
        session(server).stream([{"role": "system", "content": "Hi"}], fallbacks=[third])


# -- clocks ----------------------------------------------------------------------------------------


def test_a_model_that_does_not_begin_trips_first_token(server):
    server.expect(stream(first=stall()))
    error = read(session(server, retry=0, timeouts=Timeouts(first_token=0.2)).stream("Hi"))[1]
    assert isinstance(error, StreamTimeoutError) and isinstance(error, TimeoutError)
    assert (error.clock, error.limit) == ("first_token", 0.2)
    assert 0.2 <= error.elapsed < 0.45
