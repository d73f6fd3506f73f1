"""The package as it is installed: its face, its import, its metadata."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streamsafe

PUBLIC = [name for name in streamsafe.__all__ if not name.startswith("__")]

#: Prints what ``import streamsafe`` brought with it, beyond the libraries that it stands on.
WITNESS = """
import json, sys, threading
import requests, urllib3, sseclient
before, opened, started = set(sys.modules), [], []
watched = {"socket.__new__": opened, "_thread.start_new_thread": started}
sys.addaudithook(lambda event, args: watched.get(event, []).append(event))
import streamsafe
new = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
def foreign(name):
    file = getattr(sys.modules[name], "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file
print(json.dumps({
    "threads": threading.active_count(), "started": started, "sockets": opened, "new": new,
    "foreign": [name for name in new if name in sys.modules and foreign(name)],
}))
"""


def distribution() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution("streamsafe")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("streamsafe is not installed: this is its source")


def test_every_public_name_is_there_once() -> None:
    assert len(set(streamsafe.__all__)) == len(streamsafe.__all__)
    assert [name for name in streamsafe.__all__ if not hasattr(streamsafe, name)] == []


def test_the_face_shows_nothing_that_it_does_not_announce() -> None:
    shown = {
        name
        for name, value in vars(streamsafe).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert shown == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(streamsafe, name)
    assert inspect.getdoc(thing), name
    bare = [member for member, value in _methods(thing) if not inspect.getdoc(value)]
    assert bare == []


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_typed(name: str) -> None:
    untyped = []
    for member, function in [*_methods(getattr(streamsafe, name)), *_init(name)]:
        signature = inspect.signature(function)
        empty = [
            parameter.name
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
        ]
        if empty or signature.return_annotation is signature.empty:
            untyped.append((member, empty))
    assert untyped == []


def test_importing_it_starts_nothing_and_brings_nothing_else_in() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITNESS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert seen["started"] == [] and seen["threads"] == 1
    assert seen["sockets"] == []
    assert set(seen["foreign"]) <= {"streamsafe"}
    # Slow to import, and wanted by few programs; each is imported where it is used.
    assert {"asyncio", "dataclasses", "sqlite3", "argparse", "unittest"} & set(seen["new"]) == set()


def test_it_has_one_version() -> None:
    assert streamsafe.__version__ == distribution().version
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", streamsafe.__version__)


def test_the_changelog_tells_of_this_version() -> None:
    changelog = Path(__file__).parents[1] / "CHANGELOG.rst"
    assert re.search(rf"^{re.escape(streamsafe.__version__)} ", changelog.read_text("utf-8"), re.M)


def test_it_wants_nothing_but_these_three() -> None:
    wanted = [one for one in distribution().requires or [] if "extra ==" not in one]
    names = sorted(re.split(r"[<>=!~ ;]", one)[0] for one in wanted)
    assert names == ["requests", "sseclient-py", "urllib3"]


def test_it_says_that_it_is_typed_and_under_which_license() -> None:
    installed = distribution()
    files = [str(file) for file in installed.files or []]
    assert "streamsafe/py.typed" in files
    assert any(file.endswith("LICENSE") for file in files)
    said = installed.metadata.get_all("License-Expression") or installed.metadata.get_all("License")
    assert said == ["MIT"]
    assert [file for file in files if file.startswith(("tests", "docs", "examples"))] == []


def test_its_command_and_its_pytest_plugin_can_be_loaded() -> None:
    points = {(point.group, point.name): point for point in distribution().entry_points}
    assert callable(points["console_scripts", "streamsafe"].load())
    assert inspect.ismodule(points["pytest11", "streamsafe"].load())


def test_it_runs_as_a_module() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "streamsafe", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout.split()[-1]) == (0, streamsafe.__version__), run.stderr


def _methods(thing: Any) -> list[tuple[str, Any]]:
    """The public methods and properties that a class of ours brings itself."""
    if not inspect.isclass(thing):
        return []
    found = []
    for name, value in vars(thing).items():
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if not name.startswith("_") and inspect.isfunction(function):
            found.append((name, function))
    return found


def _init(name: str) -> list[tuple[str, Any]]:
    init = getattr(getattr(streamsafe, name), "__init__", None)
    ours = inspect.isfunction(init) and init.__module__.startswith("streamsafe")
    return [("__init__", init)] if ours else []
