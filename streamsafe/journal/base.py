"""The Journal protocol: what a stream tells it, and what can be asked of it.

Here live the protocol and the values that journals give out. A stream tells, on its reading
thread: ``begin`` once, ``append`` for every network read *before* the program is handed the chunks,
``attempt`` when one has ended, ``end`` at last. Everything else may be asked from any thread and
process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Protocol

from streamsafe.models import Attempt, Call, Chunk, Completion

#: The statuses of ``list``: how a stream ended, or "streaming" (its process lives) or
#: "interrupted" (it has gone without an end; ``session.resume`` goes on with it).
STATUSES = ("streaming", "interrupted", "complete", "failed", "cancelled")


class StreamInfo(NamedTuple):
    """One line of ``list``. Times are seconds since the epoch; ``chunks`` counts all written."""

    stream_id: str
    status: str
    provider: str
    model: Optional[str]
    created: float
    updated: float
    chunks: int
    bytes: int
    error: Optional[str] = None


class Saved(NamedTuple):
    """All that is needed to go on with a stream.

    ``chunks`` are those since the last "restart". ``state`` is the cursor that the provider kept
    (``Completion.provider_state``); ``attempts`` are how many were made.
    """

    stream_id: str
    status: str
    call: Call
    provider: str
    settings: Mapping[str, Any]
    chunks: tuple[Chunk, ...]
    attempts: int
    state: Mapping[str, Any]


class Journal(Protocol):
    """An append-only record of streams, shared by threads and processes."""

    def begin(
        self, stream_id: str, *, call: Call, provider: str, settings: Mapping[str, Any]
    ) -> None:
        """A stream begins. Raises ResumeError if there is one of this name."""

    def claim(self, stream_id: str) -> None:
        """Take over a stream whose process has gone. ResumeError while that one lives."""

    def append(
        self, stream_id: str, chunks: Sequence[Chunk], *, state: Optional[Mapping[str, Any]] = None
    ) -> int:
        """Write the chunks of one network read; durable when it returns. The last one's number:
        a stream's chunks are counted from 1. Raises StorageError."""

    def attempt(self, stream_id: str, attempt: Attempt, *, state: Mapping[str, Any]) -> None:
        """An attempt has ended."""

    def end(
        self, stream_id: str, completion: Completion, status: str, error: Optional[str]
    ) -> None:
        """The stream has ended: "complete", "failed" or "cancelled"."""

    def load(self, stream_id: str) -> Saved:
        """What is written of a stream. ResumeError for an unknown id."""

    def read(
        self,
        stream_id: str,
        after: int = 0,
        *,
        follow: bool = False,
        timeout: Optional[float] = None,
    ) -> Iterator[tuple[int, Chunk]]:
        """(number, chunk) behind the number ``after``; with ``follow`` also those still to come,
        until the stream ends, or nothing came for ``timeout`` seconds (None = no limit)."""

    def list(self, status: Optional[str] = None) -> list[StreamInfo]:
        """The streams, the latest first; those of one status."""

    def transcript(self, stream_id: str) -> str:
        """The text so far, since the last "restart"."""

    def close(self) -> None:
        """Let go of the store; it is opened again at the next use."""
