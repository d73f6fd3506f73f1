"""The tutorial's files, put together as its reader would, are a suite that passes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamsafe.testing import FaultServer, openai_chat, stream

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.rst"
_FILE = re.compile(r"^\.\. file: (\S+)\n\n\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)", re.M)


def run(folder, *options, **environment):
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "streamsafe.testing.plugin",
         "-p", "no:cacheprovider", "-W", "error", "--import-mode=importlib", *options, str(folder)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": paths,
             **environment},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_the_tutorial_is_a_suite_that_passes(tmp_path):
    files: dict[str, str] = {}
    for name, code in _FILE.findall(PAGE.read_text("utf-8") + "\n"):
        plain = re.sub(r"^ {4}", "", code, flags=re.M).rstrip()
        files[name] = f"{files.get(name, '')}{plain}\n\n\n"
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    tests = len(re.findall(r"^def test_", files["test_summary.py"], re.M))
    with FaultServer() as server:  # what the reader records from is the real API
        server.always(stream(openai_chat("All rivers arrive.")))
        recorded = run(tmp_path, "--streamsafe-record", "-k", "really_sends",
                       OPENAI_BASE_URL=f"{server.url}/v1", OPENAI_API_KEY="sk-x")  # fmt: skip
    assert "1 passed" in recorded.stdout, recorded.stdout + recorded.stderr
    done = run(tmp_path)
    # One of them has a case for each end, one for each seed.
    assert f"{tests - 2 + 2 + 5} passed" in done.stdout, done.stdout + done.stderr
