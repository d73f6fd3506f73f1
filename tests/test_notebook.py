"""Streams in notebooks: cells are executed by a real kernel."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamsafe import ConfigurationError, StreamSession
from streamsafe.monitor import StreamMonitor
from streamsafe.notebook import live, show
from streamsafe.testing import FaultServer, openai_chat, rst, stream

SETUP = """
from streamsafe import RetryPolicy, StreamSession
from streamsafe.notebook import show
from streamsafe.testing import FaultServer, openai_chat, reply, rst, stall, stream
server = FaultServer().start()
session = StreamSession("vllm", base_url=server.url + "/v1", model="m", retry=RetryPolicy(base=0))
"""

#: What is executed behind it, each cell by the name that its test asks for.
CELLS = {
    "shown": """
server.expect(stream(openai_chat("# A *story*", usage=(1, 3))))
show(session.stream("Hi"))
""",
    "painted": """
from threading import Event
from IPython.display import DisplayHandle
from streamsafe.testing import wait
painted, seen = [], Event()
update = DisplayHandle.update
def note(handle, data, **options):
    painted.append(data["text/plain"])
    if "attempt 2, after ConnectionDroppedError" in painted[-1]:
        seen.set()
    update(handle, data, **options)
DisplayHandle.update = note
begun, rest = openai_chat("The fox"), openai_chat(" fox")
server.expect(stream(begun[:2], then=rst()), stream(begun[0], wait(seen), rest[1:]))
show(session.stream("Hi"), every=0.01)
DisplayHandle.update = update
print(painted.index("The") < painted.index("The fox"), painted[-1])
""",
    "stopped": """
import os, signal, threading, time
server.expect(stream(openai_chat("The quick fox")[:3], then=stall()))
story = session.stream("Hi")
def press():
    while story.completion.text != "The quick":
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press).start()
try:
    show(story)
except KeyboardInterrupt:
    print("stopped", server.requests[-1].client_gone.wait(5), story.completion.text)
""",
    "reports": """
from IPython.display import display
from streamsafe.debug import StreamDebugger
debugger = StreamDebugger()
server.expect(reply(503), stream(openai_chat("A <b>story</b>")))
display(session.complete("Hi", observers=[debugger]), debugger)
""",
    "live": """
from threading import Event
from streamsafe.monitor import StreamMonitor
from streamsafe.notebook import live
monitor = StreamMonitor()
view = live(monitor, every=0.01)
server.expect(stream(openai_chat("A story")))
session.complete("Hi", observers=[monitor])
view.stop()
print(view)
""",
    "end": "server.stop()",
}

#: Executes a notebook in place.
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=60).execute()
nbformat.write(notebook, sys.argv[1])
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each cell has shown, all of them executed by one kernel."""
    for needed in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(needed)
    cells = {"setup": SETUP, **CELLS}
    path = tmp_path_factory.mktemp("notebook") / "test.ipynb"
    path.write_text(json.dumps({
        "cells": [
            {"cell_type": "code", "id": name, "source": code, "metadata": {}, "outputs": [],
             "execution_count": None}
            for name, code in cells.items()
        ],
        "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
    }))  # fmt: skip
    return executed(path)


def executed(path: Path) -> dict[str, Any]:
    """The outputs of a notebook's cells, by their ids."""
    command = [sys.executable, "-c", EXECUTE, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert ran.returncode == 0, ran.stderr
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return {cell["id"]: cell["outputs"] for cell in cells if cell["cell_type"] == "code"}


def text_of(data: Any) -> str:
    return "".join(data)  # a notebook's file has lists of lines


@pytest.mark.slow
def test_a_stream_is_shown_as_markdown_with_its_verdict(outputs: dict[str, Any]) -> None:
    text, line = (output["data"] for output in outputs["shown"])
    assert text_of(text["text/markdown"]) == "# A *story*"
    assert text_of(line["text/plain"]).startswith("complete · stop · gpt-test · 3 tokens")
    assert "complete" in text_of(line["text/html"])


@pytest.mark.slow
def test_it_is_painted_while_it_grows_and_says_what_goes_on(outputs: dict[str, Any]) -> None:
    printed = text_of(outputs["painted"][-1]["text"])
    assert printed.startswith("True complete · stop")
    assert "2 attempts" in printed


@pytest.mark.slow
def test_the_stop_button_ends_the_stream_and_keeps_what_came(outputs: dict[str, Any]) -> None:
    text, line, printed = outputs["stopped"]
    assert text_of(printed["text"]) == "stopped True The quick\n"
    assert text_of(text["data"]["text/markdown"]) == "The quick"
    assert text_of(line["data"]["text/plain"]).startswith("cancelled")


@pytest.mark.slow
def test_completions_and_debuggers_show_themselves(outputs: dict[str, Any]) -> None:
    completion, debugger = (text_of(o["data"]["text/html"]) for o in outputs["reports"])
    assert "A &lt;b&gt;story&lt;/b&gt;" in completion
    assert "503" in debugger


@pytest.mark.slow
def test_a_monitor_is_shown_live_while_streams_run(outputs: dict[str, Any]) -> None:
    shown, printed = outputs["live"]
    assert "100 %" in text_of(shown["data"]["text/html"])
    assert text_of(printed["text"]) == "stopped\n"


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path) -> None:
    for needed in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(needed)
    path = tmp_path / "notebook.ipynb"
    shutil.copy(Path(__file__).parents[1] / "examples" / "notebook.ipynb", path)
    shown = executed(path)
    assert "and yet they arrive." in text_of(shown["live"][0]["data"]["text/markdown"])
    assert "2 attempts" in text_of(shown["live"][1]["data"]["text/plain"])
    assert "text/html" in shown["report"][0]["data"]


def test_an_answer_that_begins_anew_is_printed_on_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with FaultServer() as server:
        server.expect(stream(openai_chat("The quick fox")[:4], then=rst()))
        server.expect(stream(openai_chat("A slow fox")))
        with StreamSession(
            "openai_compatible", base_url=f"{server.url}/v1", model="m", retry=1, resume="restart"
        ) as session:
            show(session.stream("Hi"))
    assert capsys.readouterr().out == "The quick fox\n\nA slow fox\n"


def test_outside_of_a_notebook_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with FaultServer() as server:
        server.expect(stream(openai_chat("The quick fox")))
        url = f"{server.url}/v1"
        with StreamSession("openai_compatible", base_url=url, model="m") as session:
            show(session.stream("Hi"))
            with pytest.raises(ConfigurationError, match="every=0"):
                show(session.stream("Hi"), every=0)
            with pytest.raises(ConfigurationError, match="show.str.: expected a Stream"):
                show("Hi")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="streamsafe top"):
        live(StreamMonitor())
    assert capsys.readouterr().out == "The quick fox\n"
