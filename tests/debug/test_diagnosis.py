"""Each rule is provoked on a real socket; on healthy streams none has anything to say."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest

from streamsafe import RetryPolicy, StreamSession, Timeouts
from streamsafe.debug import Recorder, Replay
from streamsafe.debug.debugger import StreamDebugger
from streamsafe.debug.diagnosis import RULES
from streamsafe.debug.finding import SEVERITIES
from streamsafe.debug.thresholds import Thresholds
from streamsafe.testing import (
    FaultServer,
    fin,
    heartbeats,
    on_connect,
    pause,
    raw,
    redirect,
    reply,
    rst,
    stall,
    stream,
)
from streamsafe.testing.answers import anthropic, gemini, ollama, openai_chat, responses

TEXT = "Die Flüsse eilen nicht, und doch kommen sie an. " * 3
EVENTS = openai_chat(TEXT, usage=(5, 30))
#: Without the two that a model may not have come to: finish and end mark.
UNFINISHED = openai_chat(TEXT)[:-2]
DONE = b"data: [DONE]\n\n"


@pytest.fixture
def found(run, debugger):
    """Streams once and gives the names of what is diagnosed."""

    def diagnose(**settings):
        run(**settings)
        return [finding.rule for finding in debugger.diagnose()]

    return diagnose


def evidence(debugger, rule):
    (finding,) = [one for one in debugger.diagnose() if one.rule == rule]
    return "\n".join(finding.evidence)


def single_newlines(events):
    return [event.replace(b"\n\n", b"\n") for event in events]


# -- healthy streams -------------------------------------------------------------------------------

HEALTHY = {
    "openai": ("openai_compatible", stream(EVENTS)),
    "one-by-one": ("openai_compatible", stream([[event, pause(0.001)] for event in EVENTS])),
    "with-heartbeats": (
        "openai_compatible",
        stream(EVENTS[:3], heartbeats(3, every=0.005), EVENTS[3:]),
    ),
    "charset": (
        "openai_compatible",
        stream(EVENTS, content_type="text/event-stream; charset=UTF-8"),
    ),
    "crlf": ("openai_compatible", stream([e.replace(b"\n", b"\r\n") for e in EVENTS])),
    "tools": ("openai_compatible", stream(openai_chat(tool_calls=[("f", {"a": [1, 2]})]))),
    "reasoning": ("openai_compatible", stream(openai_chat(TEXT, reasoning="Hm. Well."))),
    "short": ("openai_compatible", stream(openai_chat("Yes"))),
    "anthropic": ("anthropic", stream(anthropic(TEXT))),
    "gemini": ("gemini", stream(gemini(TEXT))),
    "responses": ("openai_responses", stream(responses(TEXT))),
    "ollama": ("ollama", stream(ollama(TEXT), content_type="application/x-ndjson")),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_on_a_healthy_stream_no_rule_fires(server, run, debugger, name):
    preset, exchange = HEALTHY[name]
    server.expect(exchange)
    ends = {"anthropic": "", "gemini": "/v1beta", "ollama": ""}
    timeline = run(preset=preset, base_url=server.url + ends.get(preset, "/v1"))
    assert timeline.verdict == "complete"
    assert debugger.diagnose() == []
    assert "Nothing wrong was found" in debugger.report()


def test_on_a_healthy_stream_that_was_left_no_rule_fires(server, run, debugger):
    server.expect(stream(EVENTS), stream(EVENTS))
    run(read=lambda answer: next(iter(answer)))
    assert debugger.diagnose() == []
    run(read=lambda answer: [chunk for chunk in answer if chunk.kind != "finish"])
    assert debugger.diagnose() == []


def test_over_tls_a_healthy_stream_is_healthy_and_its_handshake_is_shown(debugger, monkeypatch):
    with FaultServer(tls=True) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
        server.expect(stream(EVENTS))
        with session(server, debugger) as made:
            made.complete("Hi")
    assert debugger.diagnose() == []
    assert "TLS: TLSv1.3" in debugger.report()


def session(server, debugger, **settings):
    return StreamSession(
        "openai_compatible", base_url=f"{server.url}/v1", model="m", observers=(debugger,),
        resume="never", retry=RetryPolicy(max_retries=0), **settings,
    )  # fmt: skip


# -- the way there ---------------------------------------------------------------------------------


def test_a_name_without_an_address(debugger, found):
    assert found(base_url="http://no-such-host.invalid/v1") == ["dns"]


def test_a_refused_connection(found):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert found(base_url=f"http://127.0.0.1:{port}/v1") == ["refused"]


def test_a_certificate_that_nobody_trusts(debugger, found):
    with FaultServer(tls=True) as server:
        assert found(base_url=f"{server.url}/v1") == ["certificate"]
        server.errors.clear()


def test_a_port_that_speaks_no_tls(server, found):
    server.expect(on_connect(raw_text()))
    rules = found(base_url=server.url.replace("http:", "https:") + "/v1")
    assert rules == ["certificate"]


def raw_text():
    return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"


def test_a_proxy_that_is_not_there(server, found, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    assert found(base_url="https://example.invalid/v1") == ["proxy"]


@pytest.mark.parametrize("exchange", [stream(UNFINISHED, then=rst()), raw(rst())])
def test_a_reset(server, found, exchange):
    server.expect(exchange)
    assert found() == ["reset"]


def test_a_connection_that_is_closed_in_the_middle(server, found):
    server.expect(stream(UNFINISHED, then=fin()))
    assert found() == ["closed"]


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Ty"])
def test_a_connection_that_is_closed_without_an_answer(server, found, sent):
    server.expect(raw(sent, fin()))
    assert found() == ["no-answer"]


def test_what_is_no_http(server, debugger, found):
    server.expect(raw(b"SSH-2.0-OpenSSH_9.2\r\n", fin()))
    assert found() == ["not-http"]
    assert evidence(debugger, "not-http").endswith("answers is not HTTP: SSH-2.0-OpenSSH_9.2")


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_tls_connection_that_ends_inside_the_answer(debugger, monkeypatch, framing):
    with FaultServer(tls=True) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
        server.expect(stream(UNFINISHED, then=fin(), framing=framing))
        with session(server, debugger) as made, pytest.raises(Exception):
            made.complete("Hi")
    assert "tls-truncation" in [finding.rule for finding in debugger.diagnose()]
    assert "TLSv1.3" in evidence(debugger, "tls-truncation")


def test_a_recording_of_a_stream_that_was_left_accuses_nobody(server, debugger, found, tmp_path):
    where = tmp_path / "left.jsonl"
    server.expect(stream(EVENTS[:3], b"data: {", stall()))
    with Recorder(where) as recorder:
        found(transport=recorder, read=lambda answer: next(iter(answer)))
    assert debugger.diagnose() == []
    assert found(transport=Replay(where)) == ["recording-ends"]


# -- what the api says -----------------------------------------------------------------------------


def test_a_rate_limit_is_told_with_what_the_headers_say(server, debugger, found):
    headers = {
        "Retry-After": "7", "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s", "X-Other": "no",
    }  # fmt: skip
    error = {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}
    server.expect(reply(429, json=error, headers=headers))
    assert found() == ["rate-limit"]
    seen = evidence(debugger, "rate-limit")
    assert "retry-after: 7" in seen and "x-ratelimit-remaining-requests: 0" in seen
    assert "x-ratelimit-reset-requests: 6s" in seen and "wait 7.00 s" in seen
    assert "X-Other" not in seen and "x-other" not in seen


@pytest.mark.parametrize(
    "status, error, rule",
    [
        (429, {"message": "You exceeded your quota", "code": "insufficient_quota"}, "quota"),
        (400, {"message": "too long", "code": "context_length_exceeded"}, "context-length"),
        (401, {"message": "Incorrect API key", "code": "invalid_api_key"}, "authentication"),
        (403, {"message": "no access to the project"}, "permission"),
        (404, {"message": "no such model", "code": "model_not_found"}, "not-found"),
        (405, {"message": "Method Not Allowed"}, "not-found"),
        (413, {"message": "Maximum content size"}, "too-large"),
        (422, {"message": "temperature: too hot"}, "bad-request"),
        (502, {"message": "Bad gateway"}, "gateway"),
        (524, {"message": "A timeout occurred"}, "gateway"),
        (503, {"message": "overloaded"}, "overloaded"),
        (500, {"message": "oops"}, "server-error"),
    ],
)
def test_a_refusal_of_the_api(server, debugger, found, status, error, rule):
    server.expect(reply(status, json={"error": error}))
    assert found() == [rule]
    assert f"HTTP {status}" in evidence(debugger, rule)
    assert error["message"] in evidence(debugger, rule)


@pytest.mark.parametrize(
    "status, body, rule",
    [
        (403, "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>", "firewall"),
        (413, "<html><title>413 Request Entity Too Large</title>", "too-large"),
        (503, "<html><body><h1>503 Service Unavailable</h1>No server is available", "gateway"),
        (503, "upstream connect error or disconnect/reset before headers", "gateway"),
    ],
)
def test_what_a_proxy_says_in_the_servers_place(server, debugger, found, status, body, rule):
    server.expect(reply(status, body, headers={"Server": "nginx/1.22.1"}))
    assert found() == [rule]
    assert evidence(debugger, rule).count(str(status)) <= 2


@pytest.mark.parametrize("times", [1, 6], ids=["to-a-page", "in-a-circle"])
def test_a_redirect(server, debugger, found, times):
    server.expect(*[redirect("/v1/chat/completions", 302 if times == 1 else 307)] * times)
    assert found() == ["redirect"]
    assert "asked: POST http://" in evidence(debugger, "redirect")


@pytest.mark.parametrize(
    "reason, rule",
    [("length", "cut-by-length"), ("content_filter", "filtered")],
)
def test_a_verdict_that_is_not_the_whole_answer_is_explained(server, debugger, found, reason, rule):
    server.expect(stream(openai_chat(TEXT, finish_reason=reason)))
    assert found() == [rule]
    assert [finding.severity for finding in debugger.diagnose()] == ["note"]
    assert reason in evidence(debugger, rule)


def test_an_error_inside_the_stream_is_told_by_what_it_says(server, debugger, found):
    server.expect(stream(openai_chat(TEXT, error="the engine died")))
    assert found() == ["server-error", "error-in-stream"]
    assert "inside the stream" in evidence(debugger, "server-error")


# -- the body --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["text/html", "text/event-stream", "text/plain"])
def test_a_web_page_in_place_of_the_stream(server, debugger, found, content_type):
    page = "<!doctype html><title>Sign in</title>"
    server.expect(reply(200, page, content_type=content_type))
    assert found() == ["html-page"]
    assert "Sign in" in evidence(debugger, "html-page")


def test_a_json_error_with_status_200(server, debugger, found):
    server.expect(reply(200, json={"error": {"message": "the backend is away"}}))
    assert found() == ["server-error", "json-error-200"]
    assert "backend is away" in evidence(debugger, "json-error-200")


def test_an_answer_that_was_not_streamed(server, found):
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    server.expect(reply(200, json={"object": "chat.completion", "choices": [choice]}))
    assert found() == ["not-streamed"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", None])
def test_a_wrong_content_type(server, found, content_type):
    server.expect(stream(EVENTS, content_type=content_type))
    assert found() == ["content-type"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_stream(server, debugger, found, encoding):
    server.expect(stream(EVENTS, encoding=encoding))
    assert found() == ["compressed"]
    assert encoding in evidence(debugger, "compressed")


def test_a_body_that_only_the_end_of_the_connection_ends(server, found):
    server.expect(stream(EVENTS, framing="close"))
    assert found() == ["close-delimited"]


def test_a_stream_whose_length_was_known(server, found):
    server.expect(stream(EVENTS, framing="length"))
    assert found() == ["declared-length"]


def test_a_missing_end_mark(server, found):
    server.expect(stream(EVENTS[:-1]))
    assert found() == ["no-done"]


def test_an_end_mark_without_a_finish_reason(server, found):
    server.expect(stream(UNFINISHED, DONE))
    assert found() == ["no-finish"]


def test_a_body_that_ends_before_the_answer(server, found):
    server.expect(stream(UNFINISHED), stream())
    assert found() == ["ended-early"]
    assert found() == ["ended-early"]


@pytest.mark.parametrize("then", [None, fin()], ids=["properly", "cut"])
def test_a_cut_inside_an_event(server, found, then):
    server.expect(stream(UNFINISHED[:5], UNFINISHED[5][:40], then=then))
    assert found() == ["cut-in-event"]


def test_a_cut_inside_a_character(server, debugger, found):
    event = 'data: {"choices":[{"delta":{"content":"Flüsse'.encode()
    cut = event[: event.index("ü".encode()) + 1]
    server.expect(stream(UNFINISHED[:5], cut))
    assert found() == ["cut-in-utf8"]
    assert "1 more byte" in evidence(debugger, "cut-in-utf8")


def test_events_that_no_blank_line_separates(server, found):
    server.expect(stream(single_newlines(EVENTS)))
    assert found() == ["single-newline"]


def test_lines_that_end_with_a_carriage_return_alone(server, found):
    server.expect(stream([event.replace(b"\n", b"\r") for event in EVENTS]))
    assert found() == ["cr-only"]


def test_events_that_all_come_twice(server, debugger, found):
    server.expect(stream([[event, event] for event in UNFINISHED], EVENTS[-3:]))
    assert found() == ["doubled"]
    assert "each sent twice" in evidence(debugger, "doubled")


def test_bytes_that_are_no_utf8(server, debugger, found):
    server.expect(stream([event.decode().encode("latin-1") for event in EVENTS]))
    assert found() == ["not-utf8"]
    assert "0xfc" in evidence(debugger, "not-utf8")


def test_an_answer_without_a_body_is_not_blamed_for_its_framing(server, found):
    server.expect(reply(204))
    assert found() == ["ended-early"]


def test_a_byte_order_mark(server, found):
    server.expect(stream(b"\xef\xbb\xbf" + EVENTS[0], EVENTS[1:]))
    assert found() == ["bom"]


def test_json_that_is_none(server, debugger, found):
    server.expect(stream(EVENTS[:3], b'data: {"choices": [oops]}\n\n', EVENTS[3:]))
    assert found() == ["bad-json"]


def test_json_that_is_none_and_was_skipped(server, debugger, run):
    server.expect(stream(EVENTS[:3], b'data: {"choices": [oops]}\n\n', EVENTS[3:]))
    with session(server, debugger) as made:
        made.complete("Hi", on_malformed="skip")
    assert [finding.rule for finding in debugger.diagnose()] == ["bad-json"]
    assert "skipped" in evidence(debugger, "bad-json")


# -- time ------------------------------------------------------------------------------------------


def quick(**seconds):
    debugger = StreamDebugger(thresholds=Thresholds(**seconds))
    return debugger, {"observers": (debugger,)}


def diagnosed(debugger):
    return [finding.rule for finding in debugger.diagnose()]


def test_an_answer_that_comes_all_at_once(server, run):
    debugger, settings = quick(buffered=0.2)
    server.expect(stream(b"".join(EVENTS), first=pause(0.25), headers={"Via": "1.1 squid"}))
    with session_with(server, settings) as made:
        made.complete("Hi")
    assert diagnosed(debugger) == ["buffered"]
    assert "via: 1.1 squid" in evidence(debugger, "buffered")


def session_with(server, settings):
    return StreamSession(
        "openai_compatible", base_url=f"{server.url}/v1", model="m",
        retry=RetryPolicy(max_retries=0), resume="never", **settings,
    )  # fmt: skip


def test_an_answer_that_comes_in_full_buffers(server):
    debugger, settings = quick()
    body = b"".join(openai_chat(TEXT * 40))
    pages = [[body[at : at + 4096], pause(0.12)] for at in range(0, 5 * 4096, 4096)]
    server.expect(stream(pages, body[5 * 4096 :]))
    with session_with(server, settings) as made:
        made.complete("Hi")
    assert diagnosed(debugger) == ["full-buffers"]


def test_a_slow_first_token(server):
    debugger, settings = quick(first_token=0.1)
    server.expect(stream(EVENTS[0], pause(0.15), [[event, pause(0.002)] for event in EVENTS[1:]]))
    with session_with(server, settings) as made:
        made.complete("Hi")
    assert diagnosed(debugger) == ["slow-first-token"]


def test_a_program_that_is_slower_than_the_server(server):
    debugger, settings = quick(held=0.1)
    server.expect(stream([[event, pause(0.001)] for event in EVENTS]))
    with session_with(server, settings) as made:
        for _ in made.stream("Hi"):
            time.sleep(0.01)
    assert diagnosed(debugger) == ["slow-consumer"]
    shares = debugger._case(None).figures.shares
    assert shares.consumer > shares.server


@pytest.mark.parametrize("begun", [0, 3], ids=["before-the-first", "in-the-middle"])
def test_heartbeats_and_nothing_else(server, debugger, found, begun):
    server.expect(stream(EVENTS[:begun], heartbeats(every=0.02)))
    # Under load the answer itself may take a while to begin.
    timeouts = Timeouts(first_token=5 if begun else 0.6, stall=0.4)
    assert found(timeouts=timeouts) == ["heartbeats-only"]
    assert "heartbeats" in evidence(debugger, "heartbeats-only")


@pytest.mark.parametrize(
    "clock, exchange",
    [
        ("first_token", stream(first=stall())),
        ("inactivity", stream(EVENTS[:3], then=stall())),
        ("total", stream(EVENTS[:3], then=stall())),
    ],
)
def test_a_clock_that_ran_out_is_named(server, debugger, found, clock, exchange):
    server.expect(exchange)
    assert found(timeouts=Timeouts(**{clock: 0.1})) == [f"clock-{clock}"]
    assert f"Timeouts({clock}=0.1)" in evidence(debugger, f"clock-{clock}")


def test_the_stall_clock_is_named_where_what_came_was_no_heartbeat(server, found):
    role = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":null}]}\n\n'
    server.expect(stream(EVENTS[:3], heartbeats(every=0.02, data=role)))
    assert found(timeouts=Timeouts(stall=0.15)) == ["clock-stall"]


def test_the_connect_clock_is_named(found):
    with FaultServer(tls=True) as server:
        server.expect(on_connect(stall()))
        rules = found(base_url=f"{server.url}/v1", timeouts=Timeouts(connect=0.1))
    assert rules == ["clock-connect"]


def test_what_says_more_of_one_attempt_hides_nothing_of_another(server, found):
    server.expect(stream(EVENTS[:3], heartbeats(every=0.02)), stream(first=stall()))
    timeouts = Timeouts(first_token=0.6, stall=0.4)
    retry = RetryPolicy(max_retries=1, base=0.001)
    rules = found(timeouts=timeouts, retry=retry, resume="restart")
    # What ended the stream comes first.
    assert rules == ["clock-first_token", "heartbeats-only"]


def test_retries_that_an_outer_layer_multiplies(server, debugger, found):
    server.always(reply(500))
    assert found() == found() == ["server-error"]
    assert found() == ["server-error", "outer-retries"]
    assert "3 streams" in evidence(debugger, "outer-retries")
    # Another question that fails is none of theirs.
    assert found(prompt="Something else") == ["server-error"]


# -- the table -------------------------------------------------------------------------------------


def test_the_table_is_sound():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule.severity in SEVERITIES
        assert (rule.of_try is None) != (rule.of_case is None)
        assert rule.title and rule.cause.endswith(".") and rule.remedy.endswith(".")
        assert set(rule.hides) <= set(names), rule.name


def test_every_rule_is_provoked_by_a_test():
    here = os.path.dirname(__file__)
    tests = ""
    for name in ("test_diagnosis.py", "test_diagnosis_with_made_up_times.py"):
        with open(os.path.join(here, name), encoding="utf-8") as file:
            tests += file.read()
    clocks = {f"clock-{clock}" for clock in ("first_token", "inactivity", "total")}  # in one test
    missing = {rule.name for rule in RULES if f'"{rule.name}"' not in tests} - clocks
    assert not missing


def test_the_page_tells_every_rule_and_no_other():
    page = (Path(__file__).parents[2] / "docs" / "debugging.rst").read_text("utf-8")
    told = re.findall(r"^- ``([\w-]+)`` \((\w+)\): (.+)$", page, re.M)
    assert told == [(rule.name, rule.severity, rule.title) for rule in RULES]
