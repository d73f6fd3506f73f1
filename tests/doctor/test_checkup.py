"""One call against a server that does this or that; the steps say what was right and wrong."""

from __future__ import annotations

import pytest

from streamsafe import ConfigurationError
from streamsafe.doctor.checkup import Options, Target, examine, target_of
from streamsafe.testing import (
    FaultServer,
    ProxyServer,
    anthropic,
    fault,
    heartbeats,
    openai_chat,
    prose,
    reply,
    rst,
    stall,
    stream,
)

EVENTS = openai_chat(prose(300), usage=(9, 50))
QUICK = Options(timeout=0.4)


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


def states(checkup):
    return {one.name: one.state for one in checkup.checks}


def examined(server, *exchanges, options=QUICK, path="/v1", **target):
    server.expect(*exchanges)
    return examine(target_of(server.url + path, **target), options)


def test_of_a_healthy_server_every_step_is_well_and_says_what_was_seen(server):
    checkup = examined(server, stream(EVENTS))
    said = {one.name: one.said for one in checkup.checks}
    assert checkup.worst == "ok" and set(states(checkup).values()) == {"ok"}
    assert "HTTP 200" in said["status"] and said["headers"].startswith("text/event-stream; chunked")
    assert "finish reason stop, [DONE]" in said["finish"] and "50 tokens" in said["finish"]
    assert checkup.answer == prose(300)
    assert server.requests[0].json["max_tokens"] == 300


@pytest.mark.parametrize(
    ("exchange", "step", "rule"),
    [
        (reply(401, json={"error": {"message": "no"}}), "status", "authentication"),
        (fault("rate_limit", EVENTS), "status", "rate-limit"),
        (reply(200, "<html>"), "headers", "html-page"),
        (stream(EVENTS, encoding="gzip"), "headers", "compressed"),
        (stream(EVENTS, content_type="text/plain"), "headers", "content-type"),
        (fault("buffered", EVENTS), "buffering", "buffered"),
        (stream(EVENTS[:3], heartbeats(every=0.05)), "heartbeats", "heartbeats-only"),
        (stream(EVENTS[:3], then=stall()), "rhythm", "clock-inactivity"),
        (fault("malformed", EVENTS), "events", "bad-json"),
        (fault("error", EVENTS), "events", "error-in-stream"),
        (stream(EVENTS[:9], then=rst()), "finish", "reset"),
        (stream(EVENTS[:-1]), "finish", "no-done"),
        (fault("no_answer", EVENTS), "finish", "no-answer"),
    ],
)
def test_what_is_wrong_stands_at_its_step(server, exchange, step, rule):
    options = Options(timeout=0.5 if rule != "buffered" else 5.0)
    checkup = examined(server, exchange, options=options)
    found = {finding.rule: one.name for one in checkup.checks for finding in one.findings}
    assert found[rule] == step
    assert checkup.worst in ("error", "warning")
    server.reset()


def test_nothing_is_retried(server):
    examined(server, reply(503))
    assert len(server.requests) == 1


def test_the_api_is_told_by_the_url_or_by_the_preset(server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    for path, preset in (("/v1/messages", None), ("", "anthropic")):
        answer = stream(anthropic("Fine."))
        checkup = examined(server, answer, path=path, model="c", preset=preset)
        assert (checkup.answer, checkup.target.preset) == ("Fine.", "anthropic")


def test_without_a_call_nothing_is_sent(server):
    checkup = examined(server, options=Options(call=False))
    assert (checkup.worst, server.requests) == ("ok", ())
    assert [one.name for one in checkup.checks if one.state == "skipped"] == [
        "status", "headers", "buffering", "heartbeats", "rhythm", "events", "finish"
    ]  # fmt: skip


def test_without_a_call_no_key_is_needed_and_tls_is_looked_at(monkeypatch):
    with FaultServer(tls=True) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        checkup = examine(Target("openai", None), Options(call=False))
        said = {one.name: one.said for one in checkup.checks}
        assert checkup.worst == "ok" and said["TLS"].startswith("TLSv1")
        assert server.requests == ()
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        checkup = examine(Target("openai", None), Options(call=False))
        assert states(checkup)["TLS"] == "error"


def test_a_name_without_an_address_and_a_port_without_a_server_are_told_apart():
    assert states(examine(target_of("http://nowhere.invalid/v1")))["name"] == "error"
    assert states(examine(target_of("http://127.0.0.1:1/v1")))["connect"] == "error"


def test_a_proxy_of_the_environment_is_told(server, monkeypatch):
    with ProxyServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        server.expect(stream(EVENTS))
        checkup = examine(target_of(server.url + "/v1"))
    assert checkup.checks[0].said == f"through {proxy.url}" and checkup.worst == "ok"


def test_a_plain_source_is_read_for_some_events(server):
    server.expect(stream(b": beat\n\ndata: 1\n\n", b"data: 2\n\n", then=stall()))
    checkup = examine(Target(None, server.url), Options(events=2, timeout=5.0))
    assert checkup.worst == "ok" and states(checkup)["events"] == "ok"
    assert server.requests[0].method == "GET"


def test_what_is_neither_a_preset_nor_a_url_names_the_presets():
    with pytest.raises(ConfigurationError, match="neither a preset nor a URL.*openai, "):
        target_of("localhost:8000")


def test_a_key_that_is_missing_is_said_before_anything_is_asked():
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        examine(Target("openai", None, "m"))
