"""The command line as a script sees it: output, errors, exit codes."""

import io
import json
import subprocess
import sys

import pytest

from streamsafe import __version__
from streamsafe.cli import COMMANDS, main
from streamsafe.testing import FaultServer, reply, rst, stream
from streamsafe.testing.answers import openai_chat

TEXT = "Rivers do not hurry, and yet they arrive."


@pytest.fixture
def server(monkeypatch):
    with FaultServer() as running:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{running.url}/v1")
        yield running
        running.assert_nothing_more()


def run(capsys, *arguments):
    code = main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_without_a_command_the_help_is_shown(capsys):
    code, out, _ = run(capsys)
    assert code == 2
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert len(capsys.readouterr().out) > 200


def test_the_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert __version__ in capsys.readouterr().out


# -- chat ------------------------------------------------------------------------------------------


def test_chat_puts_the_text_on_stdout_and_the_rest_on_stderr(server, capsys):
    server.expect(reply(503, headers={"Retry-After": "0"}), stream(openai_chat(TEXT, usage=(3, 9))))
    code, out, err = run(capsys, "chat", "-m", "m1", "-s", "Be brief", "--max-tokens", "9", "Hi")
    assert (code, out) == (0, TEXT + "\n")
    assert "trying again" in err and "complete" in err and "9 tokens" in err
    body = server.requests[1].json
    assert body["messages"][0] == {"role": "system", "content": "Be brief"}
    assert (body["model"], body["max_tokens"]) == ("m1", 9)


def test_chat_reads_the_prompt_from_stdin(server, capsys, monkeypatch):
    server.expect(stream(openai_chat(TEXT)))
    monkeypatch.setattr(sys, "stdin", io.StringIO("From a pipe"))
    assert run(capsys, "chat", "-q", "-m", "m")[0] == 0
    assert server.requests[0].json["messages"][0]["content"] == "From a pipe"


@pytest.mark.parametrize(
    ("exchange", "code"),
    [
        (stream(openai_chat(TEXT, finish_reason="length")), 3),
        (stream(openai_chat(TEXT, finish_reason="content_filter")), 4),
        (stream(openai_chat(TEXT)[:4], then=rst()), 5),
        (reply(401), 1),
    ],
)
def test_the_exit_code_is_the_verdict(server, capsys, exchange, code):
    server.expect(exchange)
    assert run(capsys, "chat", "-m", "m", "Hi")[0] == code


def test_what_had_come_is_printed_before_the_error(server, capsys):
    server.expect(stream(openai_chat(TEXT)[:4], then=rst()))
    _, out, err = run(capsys, "chat", "-m", "m", "Hi")
    assert out == "Rivers do not\n" and "ConnectionDroppedError" in err


def test_json_lines_are_chunks_and_at_last_the_completion(server, capsys):
    server.expect(stream(openai_chat(TEXT, usage=(3, 9))))
    code, out, _ = run(capsys, "chat", "--json", "-m", "m", "Hi")
    lines = [json.loads(line) for line in out.splitlines()]
    assert "".join(line.get("text", "") for line in lines[:-1]) == TEXT
    last = lines[-1]["completion"]
    assert (last["text"], last["outcome"], last["usage"]["output_tokens"]) == (TEXT, "complete", 9)


def test_the_last_json_line_tells_the_error(server, capsys):
    server.expect(stream(openai_chat(TEXT)[:4], then=rst()))
    _, out, _ = run(capsys, "chat", "--json", "-m", "m", "Hi")
    last = json.loads(out.splitlines()[-1])
    assert last["error"]["type"] == "ConnectionDroppedError"
    assert last["completion"]["outcome"] == "failed"


HALF = b'data: {"choices":[{"index":0,"delta":{"content":"caf\xc3\xa9 \\ud83d"}}]}\n\n'


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_the_terminal_can_not_show_does_not_end_the_answer(server, monkeypatch, encoding):
    answer = stream(HALF, openai_chat(TEXT)[1:])
    server.expect(answer, answer)
    outs = []
    for as_json in ([], ["--json"]):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["chat", "-m", "m", *as_json, "Hi"]) == 0
        outs.append(out.buffer.getvalue().decode(encoding))
    assert outs[0] == ("café" if encoding == "utf-8" else "caf?") + f" ?{TEXT}\n"
    assert json.loads(outs[1].splitlines()[-1])["completion"]["text"] == f"café \ud83d{TEXT}"


@pytest.mark.parametrize(
    ("data", "said"), [(b"caf\xe9", "no text in utf-8"), (b" \n", "the prompt is empty")]
)
def test_standard_input_that_is_no_prompt_is_a_usage_error(capsys, monkeypatch, data, said):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    code, _, err = run(capsys, "chat", "-m", "m")
    assert code == 2 and said in err


def test_an_address_that_can_not_be_right_is_a_usage_error(capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    code, _, err = run(capsys, "chat", "--base-url", "http://", "-m", "m", "Hi")
    assert code == 2 and "No host" in err


def test_a_wrong_provider_is_a_usage_error(capsys):
    code, _, err = run(capsys, "chat", "-p", "openia", "Hi")
    assert code == 2 and "did you mean 'openai'" in err


# -- demo ------------------------------------------------------------------------------------------


def test_the_demo_shows_every_fault_and_proves_the_answer(capsys):
    code, out, _ = run(capsys, "demo", "--fast")
    assert code == 0
    for shown in ("RateLimitError", "ConnectionDroppedError", "StreamTimeoutError",
                  "MalformedStreamError", "complete", "each of them once"):  # fmt: skip
        assert shown in out
    assert "\x1b[" not in out  # no colours where nobody sees them


@pytest.mark.slow
def test_the_demo_goes_past_the_proxies_of_the_environment(monkeypatch, capsys):
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert run(capsys, "demo", "--fast")[0] == 0


@pytest.mark.parametrize("closed", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_an_output_that_is_closed_is_written_to_by_nobody(server, monkeypatch, closed):
    for name in closed:
        monkeypatch.setattr(sys, name, None)
    server.expect(reply(503, headers={"Retry-After": "0"}), stream(openai_chat(TEXT)))
    assert main(["chat", "-m", "m", "Hi"]) == 0
    for name in closed:
        getattr(sys, name).close()


def test_the_demo_does_without_either(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["demo", "--fast"]) == 0
    for name in ("stdout", "stderr"):
        getattr(sys, name).close()


def test_python_dash_m_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "streamsafe", "--version"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["streamsafe", __version__])


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m streamsafe demo --fast | head -3",
        shell=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
