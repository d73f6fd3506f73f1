"""The terminal's view of a shared store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from streamsafe import errors, lifecycle
from streamsafe.cli import main
from streamsafe.models import Attempt, Chunk, Completion, Outcome, Request
from streamsafe.monitor import StreamMonitor

pytest.importorskip("rich")


@pytest.fixture
def where(tmp_path):
    return str(tmp_path / "monitor.db")


@pytest.fixture
def monitor(where):
    made = StreamMonitor(share=where)
    yield made
    made.close()


def stream(monitor, stream_id, error=None, *, end=True, model="gpt-4o-mini"):
    """A short stream that answered, failed, or is under way."""
    request = Request("POST", "https://api.example.com/v1", {}, {"stream": True})
    outcome = Outcome.FAILED if error else Outcome.COMPLETE
    attempt = Attempt(1, 0.0, 200, "req-1", outcome.value, error=error)
    whole = Completion("Hi", outcome=outcome)
    records = [
        lifecycle.Started(stream_id, 1.0, 1.7e9, "openai", model),
        lifecycle.AttemptStarted(stream_id, 1.0, 1, request),
        lifecycle.Opened(stream_id, 1.0, 1, 200, {}, "req-1", False),
        lifecycle.Chunks(stream_id, 1.25, b"x" * 50, 1, 0, [Chunk("text", "Hi")], 0.25, 0.0),
    ]
    if end:
        records.append(lifecycle.AttemptEnded(stream_id, 3.0, attempt))
        records.append(
            lifecycle.Failed(stream_id, 3.0, error, whole)
            if error
            else lifecycle.Completed(stream_id, 3.0, whole)
        )
    for record in records:
        monitor.observe(record)
    monitor.publish()


def top(capsys, monkeypatch, where, *more, columns=140):
    monkeypatch.setenv("COLUMNS", str(columns))
    code = main(["top", where, "--once", *more])
    return code, capsys.readouterr().out


def test_once_prints_the_figures_the_streams_and_the_failures(capsys, monkeypatch, where, monitor):
    stream(monitor, "st-done")
    stream(monitor, "st-bad", errors.ServerError("boom", status=500))
    stream(monitor, "st-on", end=False)
    code, out = top(capsys, monkeypatch, where)
    assert code == 0
    words = " ".join(out.split())
    assert "active 1 success 50.0 %" in words
    assert "first token 251 ms / 251 ms" in words or "first token 250 ms / 250 ms" in words
    assert "st-on gpt-4o-mini" in words and "st-done" not in words
    assert "ServerError boom" in words
    assert "gpt-4o-mini 3 50.0 % 1" in words
    assert "\x1b" not in out


def test_what_a_server_sent_is_no_markup_and_no_order_to_the_terminal(
    capsys, monkeypatch, where, monitor
):
    error = errors.ServerError("a [red]b[/red] \x1b[2Jc", status=500)
    stream(monitor, "st-bad", error)
    _, out = top(capsys, monkeypatch, where)
    assert "a [red]b[/red]" in out and "\x1b" not in out


def test_a_narrow_terminal_shows_fewer_columns(capsys, monkeypatch, where, monitor):
    stream(monitor, "st-on", end=False)
    _, out = top(capsys, monkeypatch, where, columns=80)
    assert "st-on" in out and "retries" in out and "…" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_long_name_does_not_push_the_figures_out(capsys, monkeypatch, where, monitor):
    stream(monitor, "a", model="projects/p/locations/l/publishers/x/models/" + "m" * 200)
    _, out = top(capsys, monkeypatch, where, columns=80)
    (row,) = [line for line in out.splitlines() if "projects/" in line]
    assert "100 %" in row and "…" in row


def test_more_streams_than_fit_are_counted(capsys, monkeypatch, where, monitor):
    for number in range(20):
        stream(monitor, f"st-{number}", end=False)
    _, out = top(capsys, monkeypatch, where)
    assert "20 active" in out and "and 5 more" in out


@pytest.mark.parametrize("window", ["1m", "1h"])
def test_another_window_can_be_asked_for(capsys, monkeypatch, where, monitor, window):
    stream(monitor, "st-done")
    assert f"{window} of 1 process" in top(capsys, monkeypatch, where, "--window", window)[1]


def test_a_store_that_is_not_there_is_a_usage_error(capsys, where):
    assert main(["top", where, "--once"]) == 2
    assert "StreamMonitor(share" in capsys.readouterr().err


def test_a_store_that_fails_is_told(capsys, monkeypatch):
    pytest.importorskip("redis")
    code, out = top(capsys, monkeypatch, "redis://127.0.0.1:1/0")
    assert code == 0 and "the store fails" in out


def test_seconds_that_are_none_are_refused(capsys, where, monitor):
    assert main(["top", where, "--every", "0"]) == 2
    assert "seconds > 0" in capsys.readouterr().err


def test_without_rich_it_says_what_to_install(capsys, monkeypatch, where, monitor):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["top", where]) == 2
    assert "streamsafe[rich]" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_it_goes_on_until_ctrl_c(where, monitor):
    stream(monitor, "st-on", end=False)
    terminal, theirs = os.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "streamsafe", "top", where, "--every", "0.05"],
        stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while shown.count(b"active") < 9:  # several screens
        shown += os.read(terminal, 65536)
    running.send_signal(signal.SIGINT)
    with open(terminal, "rb", buffering=0) as rest:
        try:
            while rest.read(65536):
                pass
        except OSError:  # Linux's way of saying that the other end is closed
            pass
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and b"Traceback" not in err
