"""The pytest plugin, as a suite elsewhere would use it; and the face it stands behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import streamsafe.testing
from streamsafe.testing import FaultServer, openai_chat, stream

SUITE = """
import urllib.request
from streamsafe.testing import reply

def ask(server):
    with urllib.request.urlopen(server.url) as answer:
        return answer.read()

def test_good(fault_server):
    fault_server.expect(reply(200, "fine"))
    assert ask(fault_server) == b"fine"

def test_tls(fault_server_tls):
    assert fault_server_tls.url.startswith("https://") and fault_server_tls.ca_file

def test_clock(streamsafe_clock):
    import threading
    streamsafe_clock.sleep(3600, threading.Event())
    assert streamsafe_clock.now() == 3600

def test_forgotten(fault_server):
    fault_server.expect(reply(200))

def test_forgiven(fault_server):
    fault_server.expect(reply(200))
    fault_server.reset()
"""


CASSETTES = """
import os
import pytest
from streamsafe import StreamSession

@pytest.fixture
def ask():
    def one(transport, prompt="Hi"):
        with StreamSession("openai", api_key="sk-planted-123456", model="m", transport=transport,
                           base_url=os.environ["URL"]) as session:
            return session.complete(prompt).text
    return one

def test_named(streamsafe_cassette, ask):
    assert ask(streamsafe_cassette("story")) == "Once."

@pytest.mark.parametrize("n", ["a/b"])
def test_nameless(streamsafe_cassette, ask, n):
    assert ask(streamsafe_cassette()) == "Once."

def test_twice(streamsafe_cassette, ask):
    transport = streamsafe_cassette("twice")
    assert ask(transport) == "Once."
    if os.environ.get("TWICE"):
        assert ask(transport) == "Once."
"""


def run(folder, *options, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "streamsafe.testing.plugin",
         "-p", "no:cacheprovider", "-W", "error", *options, str(folder)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_cassette_is_recorded_once_and_is_a_test_from_then_on(tmp_path):
    (tmp_path / "test_suite.py").write_text(CASSETTES)
    with FaultServer() as server:
        server.always(stream(openai_chat("Once.")))
        recorded = run(tmp_path, "--streamsafe-record", URL=server.url, TWICE="1")
    assert "3 passed" in recorded.stdout, recorded.stdout + recorded.stderr
    found = sorted(path.name for path in (tmp_path / "cassettes").iterdir())
    assert found == ["story.jsonl", "test_nameless_a_b_.jsonl", "twice.jsonl"]
    assert "planted" not in (tmp_path / "cassettes" / "story.jsonl").read_text()
    # The server is gone: from here on only the cassettes answer.
    assert "3 passed" in run(tmp_path, URL=server.url, TWICE="1").stdout
    once = run(tmp_path, URL=server.url).stdout
    assert "3 passed, 1 error" in once and "1 recorded exchange(s) were not asked for" in once
    (tmp_path / "cassettes" / "story.jsonl").unlink()
    assert "record it once with pytest --streamsafe-record" in run(tmp_path, URL=server.url).stdout


def test_its_fixtures_serve_a_suite_and_check_it(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    ran = run(tmp_path)
    assert "5 passed, 1 error" in ran.stdout, ran.stdout + ran.stderr
    assert "1 scripted exchange(s) were not asked for" in ran.stdout


def test_loading_it_loads_no_server():
    check = (
        "import sys, streamsafe.testing.plugin; print('streamsafe.testing.server' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == "False"


def test_every_name_of_the_face_is_there_and_public():
    for name in streamsafe.testing.__all__:
        found = getattr(streamsafe.testing, name)
        assert found.__doc__, name
        assert name in dir(streamsafe.testing)
    assert sorted(streamsafe.testing.__all__) == streamsafe.testing.__all__


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert not hasattr(streamsafe.testing, "Nonsense")
