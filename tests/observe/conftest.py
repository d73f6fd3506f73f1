"""A stream's life told by hand, on a clock that is turned by hand."""

from __future__ import annotations

import itertools
from typing import Any, Optional

import pytest

from streamsafe import errors, lifecycle
from streamsafe.models import Attempt, Chunk, Completion, Outcome, Request, Seam, Usage

EPOCH = 1_700_000_000.0


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "service: needs a server program, which the test starts")


class HandClock:
    """now() and wall() stand still until ``advance`` is called."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return EPOCH + self.at

    def advance(self, seconds: float) -> None:
        self.at += seconds


class Life:
    """Tells observers the records of one stream, in the order that streams keep."""

    ids = itertools.count(1)

    def __init__(self, clock: HandClock, *observers: Any, **named: Any) -> None:
        self.clock = clock
        self.observers = observers
        self.stream_id = named.get("stream_id") or f"stream-{next(self.ids)}"
        self.provider = named.get("provider", "openai")
        self.model = named.get("model", "gpt-4o-mini")
        self.attempts = 0
        self.text = ""

    def tell(self, kind: Any, *facts: Any) -> Life:
        record = kind(self.stream_id, self.clock.now(), *facts)
        for observer in self.observers:
            observer.observe(record)
        return self

    def start(self) -> Life:
        return self.tell(lifecycle.Started, self.clock.wall(), self.provider, self.model)

    def attempt(self, url: str = "https://api.example.com/v1/chat", body: Any = None) -> Life:
        self.attempts += 1
        request = Request("POST", url, {"authorization": "Bearer k"}, body or {"stream": True})
        return self.tell(lifecycle.AttemptStarted, self.attempts, request)

    def opened(self, status: int = 200) -> Life:
        return self.tell(lifecycle.Opened, self.attempts, status, {}, "req-1", False)

    def begin(self) -> Life:
        return self.start().attempt().opened()

    def read(
        self, *texts: str, after: float = 0.0, held: float = 0.0, beats: int = 0, size: int = 100
    ) -> Life:
        """A read after ``after`` seconds of waiting for the server and ``held`` of the program."""
        return self.chunks(
            [Chunk("text", text) for text in texts], after=after, held=held, beats=beats, size=size
        )

    def chunks(
        self,
        chunks: list[Chunk],
        *,
        after: float = 0.0,
        held: float = 0.0,
        beats: int = 0,
        size: int = 100,
    ) -> Life:
        self.clock.advance(after + held)
        self.text += "".join(chunk.text for chunk in chunks)
        data = b"x" * size
        return self.tell(lifecycle.Chunks, data, len(chunks), beats, chunks, after, held)

    def stalled(self, seconds: float = 10.0) -> Life:
        return self.tell(lifecycle.Stalled, seconds)

    def seam(self, at: int = 3) -> Life:
        return self.tell(lifecycle.Resumed, Seam(at, "prefill", 0.9, "dropped words", 2))

    def malformed(self) -> Life:
        return self.tell(lifecycle.Malformed, errors.MalformedStreamError("not JSON: {the answer"))

    def attempt_ended(self, outcome: str = "complete", **facts: Any) -> Life:
        facts.setdefault("provider", self.provider)
        facts.setdefault("model", self.model)
        record = Attempt(self.attempts, self.clock.wall(), 200, "req-1", outcome, **facts)
        return self.tell(lifecycle.AttemptEnded, record)

    def retry(self, error: Optional[BaseException] = None, delay: float = 0.5) -> Life:
        error = error or errors.ConnectionDroppedError("the connection broke")
        self.attempt_ended("failed", error=error)
        return self.tell(lifecycle.Retrying, self.attempts + 1, error, delay, "retryable")

    def completion(self, outcome: Outcome, **facts: Any) -> Completion:
        return Completion(
            self.text, outcome=outcome, model=self.model, stream_id=self.stream_id, **facts
        )

    def complete(
        self,
        outcome: Outcome = Outcome.COMPLETE,
        usage: Optional[Usage] = None,
        finish_reason: str = "stop",
    ) -> Life:
        self.attempt_ended(outcome.value, usage=usage)
        facts = {"usage": usage, "usage_total": usage, "finish_reason": finish_reason}
        return self.tell(lifecycle.Completed, self.completion(outcome, id="chat-1", **facts))

    def fail(self, error: Optional[BaseException] = None) -> Life:
        error = error or errors.ServerError("boom", status=500)
        self.attempt_ended("failed", error=error)
        return self.tell(lifecycle.Failed, error, self.completion(Outcome.FAILED))

    def cancel(self) -> Life:
        self.attempt_ended("cancelled")
        return self.tell(lifecycle.Cancelled, self.completion(Outcome.CANCELLED), "left")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def life(clock: HandClock) -> Any:
    """``life(*observers, stream_id=, provider=, model=)`` -> a Life that has not begun."""

    def make(*observers: Any, **named: Any) -> Life:
        return Life(clock, *observers, **named)

    return make
