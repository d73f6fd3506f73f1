"""Wherever an answer breaks off, a script prints what it prints with a whole one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from streamsafe import RetryPolicy
from streamsafe.testing import FaultServer, rst
from streamsafe.testing.request import RecordedRequest
from streamsafe.testing.script import Exchange

SCRIPTS = sorted(
    path.stem
    for path in (Path(__file__).parent / "scripts").glob("*.py")
    if not path.stem.endswith("_errors")
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "backoff", lambda *facts: 0.0)


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_broken_answer_looks_whole(
    name: str,
    step: int,
    server: FaultServer,
    answered: Callable[[RecordedRequest], Exchange],
    printed: Callable[..., str],
) -> None:
    whole = printed(name, ours=True)
    for cut in [*cuts(answered(server.requests[0]))][::step]:
        before = len(server.requests)
        server.handle(Breaking(answered, cut))
        shown = printed(name, ours=True, options='resume="restart", ')
        assert shown.replace("else", "test") == whole, f"cut at {cut}"
        assert len(server.requests) > before + 1
        if name in ("openai_chat_stream", "anthropic_text_stream"):
            assert len(set(re.findall(r"(?:cmpl-|msg_)(\w+)", shown))) == 1, "one answer, one id"


class Breaking:
    """Cuts the first answer behind so many steps; the second one has ids of its own."""

    def __init__(self, answered: Callable[[RecordedRequest], Exchange], cut: int) -> None:
        self._answered = answered
        self._cut = cut
        self._asked = 0

    def __call__(self, request: RecordedRequest) -> Exchange:
        exchange = self._answered(request)
        self._asked += 1
        if self._asked == 1:
            return exchange.replace(steps=(*exchange.steps[: self._cut], rst()))
        if self._asked == 2 and not request.path.endswith("/responses"):
            return exchange.replace(steps=tuple(map(otherwise, exchange.steps)))
        return exchange


def otherwise(step: object) -> object:
    """The step with another id in it."""
    if not isinstance(step, bytes):
        return step
    for id in (b"cmpl-test", b"msg_test"):
        step = step.replace(id, id[:-4] + b"else")
    return step


def cuts(exchange: Exchange) -> Iterator[int]:
    """Before each event, up to the one that ends the answer."""
    ends = (b'"finish_reason":"', b'"finish_reason": "', b"message_stop", b"response.completed")
    for place, step in enumerate(exchange.steps):
        yield place
        if any(end in step for end in ends):
            return
