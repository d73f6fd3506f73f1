"""The public API as a program's type checker sees it; checked by mypy, never run."""

from typing import Iterator, Optional

from streamsafe import (
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
    Timeouts,
)

session = StreamSession(
    "openai",
    api_key="k",
    model="m",
    timeouts=Timeouts(total=60),
    retry=RetryPolicy(max_retries=2, budget=RetryBudget()),
    limits=Limits(max_text_chars=1000),
    temperature=0.5,
)


def on_error(error: StreamingError) -> None:
    partial: Completion = error.partial
    print(partial.text, error.will_retry)


stream: Stream = session.stream("Hi", on_token=print, on_error=on_error, timeouts=5, max_tokens=10)
chunks: Iterator[Chunk] = iter(stream)
text: Iterator[str] = stream.text()
completion: Completion = stream.until_done()
outcome: Outcome = completion.outcome
handle: StreamHandle = session.submit("Hi")
result: Completion = handle.result(timeout=3)
finish: Optional[str] = result.finish_reason
for event in session.events("http://localhost"):
    found: ServerSentEvent = event
