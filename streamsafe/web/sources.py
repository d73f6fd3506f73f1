"""Sources: where the pieces of an answer come from, each with its number.

Here live the two ways. ``Live``: the stream is read by a thread of its own, through a bounded
queue, and what was handed out is gone. ``Kept``: the answer is read from its journal while it is
written there, by this process or another, so that it can be begun anywhere and any number of
times. How it is written for a browser is the formats' business.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Optional, Protocol, Union

from streamsafe.errors import ConfigurationError, ResumeError, StorageError, StreamingError
from streamsafe.handle import StreamHandle
from streamsafe.journal.base import Journal
from streamsafe.limits import Limits
from streamsafe.models import Chunk, Completion
from streamsafe.session import StreamSession
from streamsafe.stream import Stream
from streamsafe.web.fault import interrupted, recalled

#: A piece of the answer and its number, counted from 1; None where there was none for a while.
Piece = Optional[tuple[int, Chunk]]

#: What a program may relay: a stream of its own, or the name of one that a journal keeps.
Relayed = Union[Stream, StreamHandle, str]

#: Seconds that a stream whose name is known may take to be in its journal: the request that began
#: it may have been answered a moment before its thread is scheduled.
GRACE = 1.0

#: Seconds that a journal may be away: a restart, or another node that takes over, is shorter.
AWAY = 60.0

#: Seconds in which it is told what it has missed: that is tried each second.
LATE = 5.0

#: Seconds between two questions whether it is back.
AGAIN = 0.5

#: Why a stream is cancelled, in its records.
GONE = "the browser has gone"

#: Seconds between two looks whether it is there.
LOOK = 0.005


class Source(Protocol):
    """One answer, for one response."""

    stream_id: str

    def begin(self, after: int) -> Optional[str]:
        """Have the answer on its way; the model's name, if it is known. ResumeError if there is
        nothing to be read behind the number ``after``."""

    def pieces(self, after: int, every: float) -> Iterator[Piece]:
        """What comes behind the number ``after``, and None after ``every`` seconds without."""

    def verdict(self) -> Completion:
        """How it ended, or its error."""

    def leave(self) -> None:
        """Nobody reads any more. From any thread; harmless twice and after the end."""


def source_of(
    relayed: Relayed,
    session: Optional[StreamSession],
    journal: Optional[Journal],
    keep_running: bool,
) -> Source:
    """The source for what a program relays. ConfigurationError for what has none."""
    if isinstance(relayed, str):
        journal = journal or (session.journal if session is not None else None)
        if journal is None:
            raise ConfigurationError(
                f"relay({relayed!r}): a stream is known by its name to a journal alone",
                hint="pass journal=, or session= with a session that has one",
            )
        return Kept(relayed, journal, None, session, keep_running=True)
    if not isinstance(relayed, (Stream, StreamHandle)):
        raise ConfigurationError(
            f"relay({type(relayed).__name__}): expected a Stream, a StreamHandle or a stream's id"
        )
    stream = relayed.stream if isinstance(relayed, StreamHandle) else relayed
    if stream.journal is not None:
        return Kept(stream.stream_id, stream.journal, relayed, session, keep_running)
    if keep_running:
        raise ConfigurationError(
            "keep_running=True wants a journal: without one nobody can read on",
            hint="give the stream or its session journal=SQLiteJournal(path)",
        )
    return Live(relayed)


class Live:
    """A stream that nobody keeps."""

    def __init__(self, relayed: Union[Stream, StreamHandle]) -> None:
        self._relayed = relayed
        self._handle = relayed if isinstance(relayed, StreamHandle) else None
        self.stream_id = relayed.stream_id

    def begin(self, after: int) -> Optional[str]:
        """The thread reads. To ask again for what somebody has read a part of would be to pay for
        a second answer, which is another one."""
        if after:
            raise ResumeError(
                f"stream {self.stream_id!r} is in no journal: nobody can read on",
                hint="give the stream or its session journal=SQLiteJournal(path)",
            )
        relayed = self._relayed
        stream = relayed.stream if isinstance(relayed, StreamHandle) else relayed
        model = stream.completion.model  # what was asked for, before a server has another name
        self._handle = _read(relayed)
        return model

    def pieces(self, after: int, every: float) -> Iterator[Piece]:
        """The queue's chunks, counted here."""
        assert self._handle is not None  # it has begun
        number = after
        for chunk in self._handle.polled(every):
            number += chunk is not None
            yield None if chunk is None else (number, chunk)

    def verdict(self) -> Completion:
        """The stream's own."""
        assert self._handle is not None
        return self._handle.result()

    def leave(self) -> None:
        """The stream is for this response alone."""
        if self._handle is not None:
            self._handle.cancel(GONE)


class Kept:
    """A stream that is in a journal, or will be once it has begun."""

    def __init__(
        self,
        stream_id: str,
        journal: Journal,
        relayed: Union[Stream, StreamHandle, None],
        session: Optional[StreamSession],
        keep_running: bool,
    ) -> None:
        self.stream_id = stream_id
        self._journal = journal
        self._relayed = relayed
        self._session = session
        self._keep_running = keep_running
        self._handle = relayed if isinstance(relayed, StreamHandle) else None
        #: Since when the stream has ended here, and not in the journal.
        self._late: Optional[float] = None

    def is_there(self) -> bool:
        """Whether the journal has the stream, be it in a moment."""
        deadline = time.monotonic() + GRACE
        while not self._known():
            if self._ended_here() or (self._handle is None and time.monotonic() > deadline):
                return self._known()
            time.sleep(LOOK)
        return True

    def begin(self, after: int) -> Optional[str]:
        """The stream is in the journal. One that is there already is read, not asked again."""
        relayed = self._relayed
        again = isinstance(relayed, Stream) and not relayed.resumed and self._known()
        if relayed is not None and not again:
            self._handle = _read(relayed)
            if not self.is_there() and self._handle is not None:
                self._handle.result()  # raises why
        return self._journal.info(self.stream_id).model

    def pieces(self, after: int, every: float) -> Iterator[Piece]:
        """What the journal has and gets, whoever writes it. One that is away, a Redis for one, is
        waited for: the stream goes on meanwhile, and is written when it is back."""
        away: Optional[float] = None
        while True:
            try:
                # Looked at before the chunks: what is written before an end is then among them.
                status = self._status()
                for after, chunk in self._journal.read(
                    self.stream_id, after, follow=status == "streaming", timeout=every
                ):
                    away = None
                    yield after, chunk
                if status == "interrupted":
                    self._go_on()
                elif status != "streaming":
                    return
                elif self._status() == "streaming":
                    yield None
                away = None
            except StorageError:
                away = away or time.monotonic()
                if time.monotonic() - away > AWAY:
                    raise
                yield None
                time.sleep(min(every, AGAIN))

    def verdict(self) -> Completion:
        """The stream's own if this process read it, else what the journal says."""
        if self._handle is not None and self._ended_here():
            completion = self._handle.result()
            if self._late is not None:
                raise StorageError(f"the journal was not told of the end of {self.stream_id!r}")
            return completion
        saved = self._journal.load(self.stream_id)
        if saved.status == "complete" and saved.completion is not None:
            return saved.completion
        last = saved.records[-1].error if saved.records else None
        told = self._journal.info(self.stream_id).error or ""
        if isinstance(last, StreamingError) and told.startswith(type(last).__name__):
            raise last
        raise recalled(saved.status, told)

    def leave(self) -> None:
        """The stream ends, unless it is to be there when the browser comes back."""
        if self._handle is not None and not self._keep_running:
            self._handle.cancel(GONE)

    def _known(self) -> bool:
        try:
            self._journal.info(self.stream_id)
        except ResumeError:
            return False
        return True

    def _status(self) -> str:
        status = self._journal.info(self.stream_id).status
        if status != "streaming" or not self._ended_here():
            self._late = None
            return status
        # A Redis that was away will be told of the end in a moment, and of what came before it; a
        # journal that has failed never will.
        self._late = self._late or time.monotonic()
        never = isinstance(self._error_here(), StorageError)
        return "failed" if never or time.monotonic() - self._late > LATE else status

    def _ended_here(self) -> bool:
        if self._handle is None or not self._handle.done():
            return False
        if isinstance(self._error_here(), ResumeError) and not self._handle.stream.attempts:
            # Somebody else had begun the stream before it: theirs is read. It may be in the
            # journal in a moment only: its name is held first.
            self._handle = None
            return False
        return True

    def _error_here(self) -> Optional[BaseException]:
        """What the stream ended in that this process has read."""
        assert self._handle is not None and self._handle.done()
        try:
            self._handle.result()
        except BaseException as error:  # told by whoever asks for the verdict
            return error
        return None

    def _go_on(self) -> None:
        """Its process has gone: it is read by this one from here on, for all that follow it."""
        if self._session is None:
            raise interrupted()
        try:
            stream = self._session.resume(self.stream_id, journal=self._journal)
        except ResumeError:
            if self._journal.info(self.stream_id).status == "interrupted":
                raise
            return  # somebody else was quicker
        self._handle, self._keep_running = _read(stream), True


def _read(relayed: Union[Stream, StreamHandle]) -> StreamHandle:
    if isinstance(relayed, StreamHandle):
        return relayed
    return StreamHandle(relayed, Limits().max_queue)
