"""The public API as a type checker sees it: mypy --strict must find nothing here.

It is never run. What is written down is what programs lean on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Optional

import requests

from streamsafe import (
    APIError,
    Attempt,
    Chunk,
    Completion,
    Limits,
    Outcome,
    RetryBudget,
    RetryPolicy,
    ServerSentEvent,
    Stream,
    StreamHandle,
    StreamingError,
    StreamSession,
    StreamTimeoutError,
    Timeouts,
    Usage,
)
from streamsafe.batch import Progress, Result
from streamsafe.lifecycle import Record


def sessions() -> StreamSession:
    StreamSession()
    StreamSession("anthropic", api_key="k", model="m", timeouts=30, retry=0, max_tokens=100)
    return StreamSession(
        "openai_compatible",
        base_url="http://localhost:8000/v1",
        timeouts=Timeouts(connect=5, first_token=None, total=60.0),
        retry=RetryPolicy(max_retries=5, budget=RetryBudget()),
        resume="restart",
        limits=Limits(max_event_bytes=1024),
        observers=[Watcher()],
        http=requests.Session(),
        temperature=0.2,
    )


class Watcher:
    def observe(self, record: Record) -> None:
        print(record.stream_id)


def streaming(session: StreamSession) -> Completion:
    stream: Stream = session.stream(
        [{"role": "user", "content": "Hi"}],
        model="m",
        on_token=print,
        on_error=failed,
        on_complete=completed,
        on_retry=retried,
        on_stall=stalled,
        timeouts=5,
        retry=RetryPolicy(jitter="equal"),
        resume="never",
        stream_id="mine",
        cancel=threading.Event(),
        max_tokens=5,
    )
    with stream:
        for chunk in stream:
            shown(chunk)
    stream.cancel("enough")
    stream.close()
    attempts: tuple[Attempt, ...] = stream.attempts
    status: str = stream.status
    pieces: Iterator[str] = stream.text()
    print(attempts, status, list(pieces), stream.stream_id)
    return stream.until_done()


def shown(chunk: Chunk) -> None:
    kind: str = chunk.kind
    text: str = chunk.text
    reasoning: str = chunk.reasoning
    usage: Optional[Usage] = chunk.usage
    finish: Optional[str] = chunk.finish_reason
    choice: int = chunk.index
    if chunk.tool_call is not None:
        arguments: str = chunk.tool_call.arguments
        print(arguments)
    print(kind, text, reasoning, usage, finish, choice, chunk.raw)


def completed(completion: Completion) -> None:
    text: str = completion.text
    outcome: Outcome = completion.outcome
    ttft: Optional[float] = completion.timings.ttft
    tokens: Optional[int] = completion.usage.output_tokens if completion.usage else None
    names: list[str] = [call.name for call in completion.tool_calls]
    print(text, outcome is Outcome.TRUNCATED, ttft, tokens, names, completion.complete)


def failed(error: StreamingError) -> None:
    partial: Completion = error.partial
    again: bool = error.will_retry
    hint: str = error.hint
    print(partial.text, again, hint, error.attempts, error.request_id, error.retryable)
    if isinstance(error, APIError):
        status: Optional[int] = error.status
        wait: Optional[float] = error.retry_after
        print(status, wait, error.code, error.in_stream)
    if isinstance(error, StreamTimeoutError):
        clock: str = error.clock
        limit: float = error.limit
        print(clock, limit, error.elapsed)


def retried(attempt: Attempt) -> None:
    number: int = attempt.number
    error: Optional[BaseException] = attempt.error
    print(number, error, attempt.waited)


def stalled(seconds: float) -> None:
    print(seconds + 1.0)


def in_the_background(session: StreamSession) -> Completion:
    handle: StreamHandle = session.submit("Hi")
    for chunk in handle:
        shown(chunk)
    done: bool = handle.done()
    handle.cancel()
    print(done)
    return handle.result(timeout=1.0)


def many(session: StreamSession) -> None:
    results = session.map(["Hi", {"id": "b", "prompt": "Ho"}], progress=shown_so_far, max_tokens=5)
    for result in results:
        one: Result = result
        answer: Completion = one.value()
        print(one.ok, one.index, one.id, answer.text, one.error, one.stream_id)
    results.close()


def shown_so_far(progress: Progress) -> None:
    done: int = progress.done
    total: Optional[int] = progress.total
    print(done, total)


def plain_events(session: StreamSession) -> None:
    for event in session.events("http://localhost/events", last_event_id="4"):
        one: ServerSentEvent = event
        name: str = one.event
        data: str = one.data
        print(name, data, one.id, one.retry)


def whole(session: StreamSession) -> str:
    with session:
        return session.complete("Hi", model="m").text


def wrong(session: StreamSession) -> None:
    session.stream("Hi", on_token=completed)  # type: ignore[arg-type]
    Timeouts(connect="5")  # type: ignore[arg-type]
    RetryPolicy(retries=3)  # type: ignore[call-arg]
