"""record, replay and report, one behind the other, as somebody at a terminal uses them."""

from __future__ import annotations

import json
import os

import pytest

from streamsafe import StreamSession
from streamsafe.cli import main
from streamsafe.debug import Recorder
from streamsafe.testing import (
    FaultServer,
    anthropic,
    gemini,
    openai_chat,
    pause,
    reply,
    responses,
    rst,
    stream,
)

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT, usage=(3, 9))


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def record(run):
    """Records one chat over these exchanges into a.jsonl."""

    def one(*exchanges, provider="openai", path="/v1", options=()):
        with FaultServer() as server:
            server.expect(*exchanges)
            found = run("record", "-o", "a.jsonl", "-p", provider, "-m", "m", "--base-url",
                        server.url + path, *options, "Tell me of rivers")  # fmt: skip
            server.assert_nothing_more()
            return found

    return one


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("OPENAI", "ANTHROPIC", "GEMINI"):
        monkeypatch.setenv(f"{name}_API_KEY", "sk-planted-0123456789")


def test_record_shows_the_answer_and_leaves_a_cassette_without_the_key(run, record):
    code, out, _ = record(stream(EVENTS))
    assert (code, out) == (0, TEXT + "\n")
    with open("a.jsonl", encoding="utf-8") as file:
        text = file.read()
    assert "Rivers" in text and "Tell me of rivers" in text and "planted" not in text


def test_the_texts_of_the_request_are_left_out_if_asked(record):
    record(stream(EVENTS), options=["--mask-bodies"])
    with open("a.jsonl", encoding="utf-8") as file:
        assert "Tell me of rivers" not in file.read()


def test_a_recording_that_could_not_be_written_is_a_failure(run):
    if not os.path.exists("/dev/full"):
        pytest.skip("no full disk here")
    with FaultServer() as server:
        server.expect(stream(EVENTS))
        code, out, err = run("record", "-o", "/dev/full", "-m", "m", "--base-url", server.url, "Hi")
    assert (code, out) == (1, TEXT + "\n") and "not all is written" in err


# -- replay ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "path", "events"),
    [
        ("openai", "/v1", EVENTS),
        ("openai_responses", "/v1", responses(TEXT)),
        ("anthropic", "", anthropic(TEXT)),
        ("gemini", "", gemini(TEXT)),
    ],
)
def test_replay_prints_the_answer_of_any_api(run, record, provider, path, events):
    record(stream(events), provider=provider, path=path)
    assert run("replay", "--fast", "a.jsonl")[:2] == (0, TEXT + "\n")


def test_replay_goes_through_the_same_faults_and_keeps_the_times(run, record):
    record(reply(503), stream(EVENTS[:3], then=rst()), stream(EVENTS[:4], pause(0.3), EVENTS[4:]),
           options=["--resume", "restart"])  # fmt: skip
    code, out, err = run("replay", "--fast", "a.jsonl")
    assert (code, out) == (0, TEXT + "\n") and "3 attempts" in err
    code, out, _ = run("replay", "--json", "--speed", "2", "a.jsonl")
    last = json.loads(out.splitlines()[-1])["completion"]
    assert last["text"] == TEXT


def test_the_exit_code_is_the_verdict_of_the_first_that_was_not_well(run, record):
    record(stream(EVENTS[:3], then=rst()))
    code, out, err = run("replay", "--fast", "a.jsonl")
    assert (code, out) == (5, "Rivers do\n") and "ConnectionDroppedError" in err


def test_served_it_is_what_another_client_gets(run, record, visited):
    record(stream(EVENTS))
    texts = []

    def visit(url):
        with StreamSession("openai", base_url=url + "/v1", model="m") as session:
            texts.extend(session.complete("Hi").text for _ in range(2))

    code, out, _ = visited("replay", "--fast", "--serve", "--port", "0", "a.jsonl", visit=visit)
    assert code == 0 and texts == [TEXT, TEXT]
    assert [line.split()[1:] for line in out.splitlines()[1:]] == [
        ["#1", "POST", "/v1/chat/completions", "200"],
        ["#2", "POST", "/v1/chat/completions", "200"],
    ]


def test_what_is_no_cassette_or_no_answer_is_a_usage_error(run, tmp_path):
    (tmp_path / "x.jsonl").write_text("{}")
    assert run("replay", "x.jsonl")[0] == run("report", "x.jsonl")[0] == 2
    assert run("replay", "--speed", "0", "x.jsonl")[0] == 2
    with FaultServer() as server, Recorder("plain.jsonl") as recorder:
        server.expect(stream(b"retry: 1\ndata: 1\n\n"), reply(204))
        list(StreamSession(transport=recorder).events(server.url + "/feed", retry=1))
    code, _, err = run("replay", "plain.jsonl")
    assert code == 2 and "streamsafe replay --serve" in err


# -- report ----------------------------------------------------------------------------------------


def test_a_report_of_a_healthy_recording(run, record):
    record(stream(EVENTS))
    code, out, _ = run("report", "a.jsonl")
    assert code == 0
    assert "COMPLETE" in out and "Nothing wrong was found" in out and "connecting to 127." in out


def test_a_report_has_the_times_and_the_cause(run, record):
    record(stream(EVENTS[:4], pause(0.3), then=rst()))
    code, out, _ = run("report", "a.jsonl")
    assert code == 1 and "The connection was reset" in out
    found = json.loads(run("report", "--format", "json", "a.jsonl")[1])
    assert found["verdict"] == "failed" and found["duration"] >= 0.3
    assert [one["rule"] for one in found["diagnosis"]] == ["reset"]


def test_warnings_alone_have_a_code_of_their_own(run, record):
    record(stream(EVENTS, encoding="gzip"))
    assert run("report", "a.jsonl")[0] == 6


def test_a_page_is_written_where_the_name_says_so(run, record, tmp_path):
    record(stream(EVENTS))
    code, out, err = run("report", "a.jsonl", "-o", "page.html")
    assert (code, out, err) == (0, "", "page.html\n")
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    assert run("report", "a.jsonl", "-o", "nowhere/page.html")[0] == 2
    assert run("report", "a.jsonl", "-o", "./a.jsonl")[0] == 2  # it is not written over
    assert run("report", "a.jsonl")[0] == 0


def test_of_several_streams_one_is_told_and_the_others_named(run):
    with FaultServer() as server, Recorder("a.jsonl") as recorder:
        server.expect(stream(EVENTS[:3], then=rst()), stream(openai_chat("Two")))
        with StreamSession("openai", base_url=server.url, model="m", transport=recorder,
                           retry=0, resume="never") as session:  # fmt: skip
            with pytest.raises(Exception, match="reset"):
                session.complete("One?")
            session.complete("Two?")
    code, out, err = run("report", "a.jsonl")
    assert code == 0 and "3 characters" in out and "stream 2 of 2" in err
    assert run("report", "a.jsonl", "--stream", "1")[0] == 1
    code, _, err = run("report", "a.jsonl", "--stream", "3")
    assert code == 2 and "holds 2 stream(s), no number 3" in err
