"""The Journal protocol: what a stream tells it, and what can be asked of it.

Here live the protocol and the values that journals give out. A stream tells, on its reading
thread: ``begin`` (or ``claim``) once, ``append`` for every network read *before* the program is
handed the chunks, ``attempt`` when one has ended, ``end`` at last. Everything else may be asked
from any thread and process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Protocol

from streamsafe.models import Attempt, Call, Chunk, Completion

#: The statuses of ``list``: how a stream ended, or "streaming" (its process lives) or
#: "interrupted" (it has gone without an end; ``session.resume`` goes on with it).
STATUSES = ("streaming", "interrupted", "complete", "failed", "cancelled")


class StreamInfo(NamedTuple):
    """One line of ``list``. Times are seconds since the epoch; ``chunks`` and ``bytes`` count all
    that was written; ``owner`` names the process that writes it, or wrote it last and died;
    ``note`` is what the journal has to say of its own work: of a time when it was away."""

    stream_id: str
    status: str
    provider: str
    model: Optional[str]
    created: float
    updated: float
    chunks: int
    bytes: int
    error: Optional[str] = None
    owner: Optional[str] = None
    note: Optional[str] = None


class Saved(NamedTuple):
    """All that is needed to go on with a stream.

    ``chunks`` are those since the last "restart". ``state`` is the cursor that the provider kept
    (``Completion.provider_state``); ``attempts`` are how many have ended, ``records`` their
    records. ``completion`` is that of a stream that has ended, else None.
    """

    stream_id: str
    status: str
    call: Call
    provider: str
    settings: Mapping[str, Any]
    chunks: tuple[Chunk, ...]
    attempts: int
    state: Mapping[str, Any]
    records: tuple[Attempt, ...] = ()
    completion: Optional[Completion] = None


class Retention(NamedTuple):
    """What a journal need not keep; None = no limit. Streams that are being written stay.

    ``older_than``: seconds since the last write. ``keep``: how many of the latest streams.
    ``max_bytes``: of chunks, over all streams, of which the oldest go first.
    """

    older_than: Optional[float] = None
    keep: Optional[int] = None
    max_bytes: Optional[int] = None

    def lets_go(self, infos: Sequence[StreamInfo], now: float) -> list[str]:
        """The ids of those that need not be kept, of all streams, the latest first."""
        gone, total = [], 0
        for place, info in enumerate(infos):
            total += info.bytes
            over = (
                (self.older_than is not None and now - info.updated > self.older_than)
                or (self.keep is not None and place >= self.keep)
                or (self.max_bytes is not None and total > self.max_bytes)
            )
            if over and info.status != "streaming":
                gone.append(info.stream_id)
        return gone


class Journal(Protocol):
    """An append-only record of streams, shared by threads and processes.

    A stream has one writer at a time: who began or claimed it, until it ends or releases it. All
    methods raise StorageError where the store fails.
    """

    def begin(
        self,
        stream_id: str,
        *,
        call: Call,
        provider: str,
        settings: Mapping[str, Any],
        secrets: Sequence[str] = (),
    ) -> None:
        """A stream begins. Credentials in the call and settings are written as ***, and the
        ``secrets`` wherever they stand. Raises ResumeError if there is a stream of this name,
        ConfigurationError for a call that is no JSON."""

    def claim(self, stream_id: str, *, secrets: Sequence[str] = ()) -> None:
        """Take over a stream whose process has gone, or that failed or was cancelled. ResumeError
        while that process lives, for a complete stream and for an unknown id."""

    def release(self, stream_id: str) -> None:
        """Give up writing without an end: others may claim it. Harmless if it is not held."""

    def append(
        self, stream_id: str, chunks: Sequence[Chunk], *, state: Optional[Mapping[str, Any]] = None
    ) -> int:
        """Write the chunks of one network read, all or none; durable when it returns. ``state``:
        the cursor after them, None or empty if there is none. Returns the last chunk's number: a
        stream's chunks are counted from 1. Raises ResumeError if the stream is not held."""

    def attempt(
        self, stream_id: str, attempt: Attempt, *, state: Optional[Mapping[str, Any]] = None
    ) -> None:
        """An attempt has ended. Raises ResumeError if the stream is not held."""

    def end(
        self, stream_id: str, completion: Completion, status: str, error: Optional[str] = None
    ) -> None:
        """The stream has ended: "complete", "failed" or "cancelled". Raises ResumeError if the
        stream is not held."""

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
        """(number, chunk) behind the number ``after``. What a later "restart" made void is passed
        over, the "restart" itself is given.

        With ``follow`` also those still to come, until the stream has ended. ``timeout``: seconds
        without a chunk after which it stops, also in an interrupted stream, which somebody may
        go on with; None = until the stream ends or is interrupted. ResumeError for an unknown id.
        """

    def info(self, stream_id: str) -> StreamInfo:
        """Status, times and sizes of one stream. ResumeError for an unknown id."""

    def list(self, status: Optional[str] = None) -> list[StreamInfo]:
        """The streams, the latest first; those of one status."""

    def transcript(self, stream_id: str) -> str:
        """The text of the first choice so far, since the last "restart"."""

    def purge(
        self,
        *,
        older_than: Optional[float] = None,
        keep: Optional[int] = None,
        max_bytes: Optional[int] = None,
    ) -> int:
        """Delete what need not be kept (see Retention); how many streams went."""

    def close(self) -> None:
        """Let go of the store; it is opened again at the next use."""
