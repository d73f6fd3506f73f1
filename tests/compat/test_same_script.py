"""The same script prints the same, by the vendor's SDK and with its one import changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from streamsafe.testing import FaultServer, reply

SCRIPTS = sorted(path.stem for path in (Path(__file__).parent / "scripts").glob("*.py"))

#: What an answer in one piece is asked for with, since it is streamed behind the scenes.
STREAMING = ("stream", "stream_options")

SOON = {"retry-after-ms": "1"}


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name.endswith("_errors")])
def test_every_status_is_the_error_that_a_program_catches(
    name: str, server: FaultServer, printed: Callable[..., str]
) -> None:
    shown = printed(name, ours=True)
    assert shown.count("slower 429") == 2  # streamed, and in one piece
    assert "No, 400" in shown and "No, 500" in shown and "out of luck" in shown


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_and_asks_what_it_does_with_the_sdk(
    name: str, server: FaultServer, printed: Callable[..., str]
) -> None:
    pytest.importorskip(name.partition("_")[0])
    theirs = printed(name)
    asked = [facts(request) for request in server.requests]
    assert printed(name, ours=True) == theirs
    assert [facts(request) for request in server.requests[len(asked) :]] == asked


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCRIPTS if not name.endswith("_errors")])
def test_a_busy_server_is_asked_again_by_both(
    name: str, server: FaultServer, printed: Callable[..., str]
) -> None:
    pytest.importorskip(name.partition("_")[0])
    whole = printed(name, ours=True)
    for ours in (False, True):
        server.expect(reply(429, headers=SOON), reply(503, headers=SOON))
        assert printed(name, ours=ours) == whole


def facts(request: Any) -> Any:
    """What a server goes by. Anthropic takes a key in either header."""
    keys = [request.headers.get(name) for name in ("api-key", "x-api-key", "authorization")]
    others = [request.headers.get(name) for name in ("openai-organization", "x-team")]
    body = {name: value for name, value in request.json.items() if name not in STREAMING}
    key = "".join(filter(None, keys)).removeprefix("Bearer ")
    return request.path, key, others, body
