"""What we show, we run: README, pages and examples, against a local server.

In a page, ``.. run`` before a block of Python has it run; the blocks of a page share their
names, like a notebook's. ``.. run: drop, busy`` has the server do that to the first requests
of the block. ``.. prints`` before a block of text behind it says what it prints.

An example is run as a program. ``# needs: flask`` names what must be installed for it, and each
line ``# prints: ...`` what must stand in its output.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import streamsafe
from streamsafe.testing import FaultServer, openai_chat, reply, rst, stall, stream
from streamsafe.testing.answers import content_type, for_path
from streamsafe.testing.script import Exchange

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SLOW = ("dask_batch.py",)  # starts processes, and each imports Dask

ANSWER = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(ANSWER, usage=(9, 12))
FAULTS = {
    "busy": reply(429, json={"error": {"message": "Slow down"}}, headers={"Retry-After": "0"}),
    "drop": stream(EVENTS[:5], then=rst()),
    "key": reply(401, json={"error": {"message": "Incorrect API key"}}),
    "page": reply(200, "<html>Welcome</html>"),
    "stall": stream(EVENTS[:5], then=stall()),
}

_BLOCK = re.compile(
    r"^(?:\.\. (?P<run>run)(?:: (?P<faults>[\w, ]+))?\n\n)?"
    r"\.\. code-block:: python\n\n(?P<code>(?: {4}.*\n|\n)+)"
    r"(?:\.\. prints\n\n\.\. code-block:: text\n\n(?P<prints>(?: {4}.*\n|\n)+))?",
    re.M,
)


class Block(NamedTuple):
    line: int
    code: str
    run: bool
    faults: list[str]
    prints: str


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of Python in a page."""
    text = page.read_text("utf-8") + "\n"
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        faults = [name.strip() for name in (found["faults"] or "").split(",") if name]
        prints = _dedented(found["prints"] or "")
        yield Block(line, _dedented(found["code"]), bool(found["run"]), faults, prints)


def _dedented(text: str) -> str:
    return re.sub(r"^ {4}", "", text, flags=re.M).rstrip() + "\n"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        running.handle(answered)
        yield running
        running.assert_nothing_more()


def answered(request: Any) -> Exchange:
    """A whole answer in the words of whichever API was asked."""
    events = for_path(request.path)(ANSWER, usage=(9, 12))
    return stream(events, content_type=content_type(events))


def environment(server: FaultServer) -> dict[str, str]:
    """The variables that lead the presets to the local server."""
    return {
        "OPENAI_API_KEY": "sk-local",
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "ANTHROPIC_API_KEY": "sk-local",
        "ANTHROPIC_BASE_URL": server.url,
        "OLLAMA_HOST": server.url,
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_runs(
    page: Path,
    server: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        # The empty lines before it have the traceback show the page's own line numbers.
        code = compile("\n" * block.line + block.code, str(page), "exec")
        if not block.run:
            continue
        server.expect(*(FAULTS[fault] for fault in block.faults))
        exec(code, names)
        printed = capsys.readouterr().out
        server.assert_nothing_more()
        if block.prints.strip():
            assert printed.strip() == block.prints.strip(), f"{page.name}:{block.line}"
    names.clear()  # and with them the sessions and their connections


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, marks=pytest.mark.slow if path.name in SLOW else (), id=path.name)
        for path in EXAMPLES
    ],
)
def test_an_example_runs(example: Path, server: FaultServer, tmp_path: Path) -> None:
    source = example.read_text("utf-8")
    for needed in re.findall(r"^# needs: (\S+)", source, re.M):
        pytest.importorskip(needed)
    run = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        env={**os.environ, **environment(server)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout, "an example shows something"
    missing = [
        line for line in re.findall(r"^# prints: (.+)", source, re.M) if line not in run.stdout
    ]
    assert missing == [], run.stdout


def test_what_the_docstrings_show_is_true() -> None:
    failed = []
    for info in pkgutil.walk_packages(streamsafe.__path__, "streamsafe."):
        if info.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(info.name)
        except ImportError:  # its extra is not installed
            continue
        # Looking for examples takes the most time, and few modules have any.
        if ">>>" in inspect.getsource(module) and doctest.testmod(module).failed:
            failed.append(info.name)
    assert failed == []
