"""streamsafe doctor as a person and as a script meet it."""

from __future__ import annotations

import io
import json

import pytest

from streamsafe.cli import main
from streamsafe.testing import FaultServer, openai_chat, prose, reply, stream

EVENTS = openai_chat(prose(300), usage=(9, 50))


@pytest.fixture
def run(capsys):
    with FaultServer() as server:

        def command(exchange, *arguments):
            server.expect(exchange)
            code = main(["doctor", server.url + "/v1", "-m", "m", *arguments])
            captured = capsys.readouterr()
            return code, captured.out, captured.err

        command.server = server
        yield command
        server.assert_nothing_more()


def test_all_is_well(run):
    code, out, err = run(stream(EVENTS))
    assert (code, err) == (0, "")
    assert "openai_compatible / m" in out and "All is well." in out and prose(300)[:40] in out
    assert "\x1b[" not in out


def test_it_works_with_a_warning(run):
    code, out, _ = run(stream(EVENTS, encoding="gzip"))
    assert code == 6
    assert "The stream is compressed" in out and "do    Switch compression off" in out


def test_it_is_broken_and_what_was_not_seen_is_named(run):
    code, out, _ = run(reply(401))
    assert code == 1
    assert "Something is broken" in out and "not seen    buffering, heartbeats" in out


def test_json_is_for_programs(run):
    code, out, _ = run(stream(EVENTS, content_type="text/plain"), "--json")
    found = json.loads(out)
    assert (code, found["worst"], found["version"]) == (6, "warning", 1)
    rules = [finding["rule"] for one in found["checks"] for finding in one["findings"]]
    assert rules == ["content-type"] and found["answer"] == prose(300)


def test_headers_prompt_and_length_are_the_callers(run):
    run(stream(EVENTS), "-H", "X-Mine: 1", "--prompt", "Hi", "--max-tokens", "7")
    asked = run.server.requests[0]
    assert asked.headers["x-mine"] == "1" and asked.json["max_tokens"] == 7
    assert asked.json["messages"][0]["content"] == "Hi"


def test_the_report_is_written_as_a_page(run, tmp_path):
    page = tmp_path / "page.html"
    run(stream(EVENTS), "--report", str(page))
    assert page.read_text("utf-8").startswith("<!doctype html>")
    code, _, err = run(stream(EVENTS), "--report", str(tmp_path / "no" / "page.html"))
    assert code == 2 and "--report" in err


def test_a_plain_source(capsys):
    with FaultServer() as server:
        server.expect(stream(b"data: 1\n\n", b"data: 2\n\n"))
        assert main(["doctor", server.url, "--events", "2"]) == 0
        assert server.requests[0].method == "GET"
    assert main(["doctor", "openai", "--events", "2"]) == 2
    assert "wants the URL" in capsys.readouterr().err


def test_wrong_arguments_are_a_usage_error(capsys):
    assert main(["doctor", "openia"]) == 2
    assert main(["doctor", "http://127.0.0.1:1", "--events", "-1"]) == 2
    assert main(["doctor", "http://127.0.0.1:1", "--max-tokens", "0"]) == 2
    with pytest.raises(SystemExit):
        main(["doctor", "openai", "-H", "nonsense"])
    assert "expected NAME: VALUE" in capsys.readouterr().err


def test_where_there_are_no_symbols_the_steps_stand_apart_from_their_marks(run, monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", errors="replace")
    monkeypatch.setattr("sys.stdout", narrow)
    run(stream(EVENTS))
    narrow.flush()
    assert " + status      HTTP 200" in narrow.buffer.getvalue().decode("cp1252")


def test_an_answer_that_the_terminal_cannot_show_is_no_failure(run, monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", narrow)
    code, _, _ = run(stream(openai_chat("河 is a river.")))
    narrow.flush()
    assert code == 0 and "? is a river." in narrow.buffer.getvalue().decode("cp1252")
