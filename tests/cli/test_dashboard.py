"""The dashboard's command: what it listens on, who may look, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from streamsafe.cli import main
from streamsafe.cli.traffic import Traffic
from streamsafe.monitor import StreamMonitor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends the command with SIGINT")


@pytest.fixture
def where(tmp_path):
    path = str(tmp_path / "monitor.db")
    StreamMonitor(share=path).close()
    return path


@pytest.fixture
def command():
    """``command(*arguments)`` -> the running command and the address that it tells."""
    running = []

    def start(*arguments, **environ):
        process = subprocess.Popen(
            [sys.executable, "-m", "streamsafe", "dashboard", "--port", "0", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **environ},
        )  # fmt: skip
        running.append(process)
        line = process.stdout.readline()
        return process, re.search(r"http://\S+", line).group()

    yield start
    for process in running:
        process.kill()
        process.communicate()


def end(process):
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def get(url, **headers):
    asked = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def test_it_shows_a_store_and_ends_cleanly_under_a_browser_that_watches(command, where):
    process, url = command(where)
    assert url.startswith("http://127.0.0.1:") and "token" not in url
    assert json.loads(get(url + "snapshot")[1])["totals"]["total_streams"] == 0
    with urllib.request.urlopen(url + "live", timeout=30) as live:
        assert live.readline() == b"retry: 2000\n"
        assert end(process) == (0, "")


def test_on_localhost_only_its_own_names_are_answered_to(command, where):
    _, url = command(where)
    assert get(url, Host="evil.example")[0] == 403
    assert get(url, Host="localhost")[0] == 200


def test_elsewhere_a_token_is_made_and_asked_for(command, where):
    _, url = command(where, "--host", "0.0.0.0")
    address, _, token = url.partition("?token=")
    assert len(token) > 16
    assert get(address + "snapshot")[0] == 401
    assert get(address + "snapshot", Authorization=f"Bearer {token}")[0] == 200


def test_a_token_can_be_given_where_other_users_do_not_see_it(command, where):
    _, url = command(where, STREAMSAFE_DASHBOARD_TOKEN="mine")
    assert url.endswith("/?token=mine")
    assert get(url.split("?")[0])[0] == 401


def test_the_demo_streams(command):
    process, url = command("--demo")
    while not json.loads(get(url + "snapshot")[1])["totals"]["total_streams"]:
        assert process.poll() is None
    assert end(process) == (0, "")


def test_the_demos_streams_end_when_it_is_left():
    begun = threading.Event()
    with Traffic(workers=2) as traffic:
        traffic.monitor.add_listener(lambda event: begun.set())
        assert begun.wait(60)
    assert traffic.monitor.get_stats()["active_streams"] == 0


@pytest.mark.parametrize("arguments", [[], ["--demo", "monitor.db"]])
def test_a_store_or_the_demo_has_to_be_chosen(capsys, arguments):
    assert main(["dashboard", *arguments]) == 2
    assert "or --demo" in capsys.readouterr().err


def test_a_store_that_is_not_there_is_a_usage_error(capsys, tmp_path):
    assert main(["dashboard", str(tmp_path / "none.db")]) == 2
    assert "StreamMonitor(share" in capsys.readouterr().err


def test_a_port_that_is_taken_is_a_usage_error(capsys, where):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["dashboard", where, "--port", str(port)]) == 2
    assert "--port" in capsys.readouterr().err
