"""The pytest plugin, as a suite elsewhere would use it; and the face it stands behind."""

from __future__ import annotations

import os
import subprocess
import sys

import streamsafe.testing

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


def test_its_fixtures_serve_a_suite_and_check_it(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "streamsafe.testing.plugin",
         "-p", "no:cacheprovider", "-W", "error", str(tmp_path)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
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
