"""SQLiteJournal: the embedded journal, a file, with the standard library alone.

Here lives what is written at each of a stream's steps; how it is found again is told in
``sqlite_reader``. The file is ``database``'s, the statements are ``rows``', the written form is
``codec``'s, and who still lives is told by ``owner``.

A network read is one row and one commit to SQLite's log: a process that is killed loses nothing
that was committed, and a power cut may lose the last commits but never leaves a hole.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional, Union

from streamsafe.errors import ResumeError, StorageError
from streamsafe.journal import codec, owner, rows
from streamsafe.journal.base import Retention, StreamInfo
from streamsafe.journal.masking import without
from streamsafe.journal.sqlite_reader import SQLiteReader
from streamsafe.models import Attempt, Call, Chunk, Completion

#: Seconds between two looks at what the retention lets go.
SWEEP_EVERY = 60.0


class _Claim:
    """A stream that this process writes. Used by the stream's reading thread.

    ``state`` is what was written last, b"" if nothing, None if that is not known.
    """

    __slots__ = ("number", "owner", "secrets", "last", "total", "state")

    def __init__(self, number: int, name: str, secrets: Sequence[str]) -> None:
        self.number = number
        self.owner = name
        self.secrets = tuple(secrets)
        self.last = 0
        self.total = 0
        self.state: Optional[bytes] = b""

    def changed(self, state: Optional[Mapping[str, Any]]) -> Optional[bytes]:
        """The cursor to write, b"" for none; None if it stands there already."""
        written = codec.to_json(state) if state else b""
        return None if written == self.state else written


class SQLiteJournal(SQLiteReader):
    """A journal in one file on a local disk, for many threads and processes of one machine.

    ``path`` is made if it is not there, readable by this user alone; beside it stand SQLite's
    ``-wal`` and ``-shm`` and an empty ``-owners``. ``durable=False``: what is committed survives
    the death of the process, however it dies; after a power cut the last moments may be missing.
    ``durable=True``: also a power cut takes nothing, at the price of waiting for the disk at each
    network read. ``keep_raw=True`` keeps the JSON payloads of the chunks as well. ``retention``
    is applied when streams end, once a minute at most; None keeps all.

    Raises ConfigurationError for a file that is damaged, no journal, or of a newer version; the
    file is left as it is. Thread-safe, fork-safe and picklable: a forked child and whoever
    unpickles it have a connection of their own, and the streams stay with their process.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        durable: bool = False,
        keep_raw: bool = False,
        retention: Optional[Retention] = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(path, durable)
        self._settings = {
            "durable": durable, "keep_raw": keep_raw, "retention": retention, "wall": wall,
        }  # fmt: skip
        self._keep_raw = keep_raw
        self._retention = retention
        self._wall = wall
        self._swept = time.monotonic()
        self._claims: dict[str, _Claim] = {}
        _living.add(self)

    def __reduce__(self) -> Any:
        return (_reopened, (self.path, self._settings))

    def freeze(self) -> None:
        """Before a fork."""
        self._database.freeze()

    def thaw(self) -> None:
        """In the parent, after it."""
        self._database.thaw()

    def forked(self) -> None:
        """In a new child: the connection and the streams are the parent's."""
        self._database.forked()
        self._claims = {}
        self._written = threading.Condition()

    # -- told by a stream ----------------------------------------------------------------------

    def begin(
        self,
        stream_id: str,
        *,
        call: Call,
        provider: str,
        settings: Mapping[str, Any],
        secrets: Sequence[str] = (),
    ) -> None:
        """A stream begins; see ``base.Journal.begin``."""
        asked = codec.call_to_json(call, secrets)
        set_so = codec.plain_to_json(settings, secrets)
        now, name = self._wall(), self._hold(stream_id)
        if name is None:
            raise self._there(stream_id)
        info = StreamInfo(
            stream_id, "streaming", provider, call.model, now, now, 0, 0, owner=name
        )
        try:
            with self._database as connection:
                number = rows.insert(connection, info, set_so, asked)
            if number is None:
                raise self._there(stream_id)
        except BaseException:
            owner.drop(self._owners, stream_id)
            raise
        self._claims[stream_id] = _Claim(number, name, secrets)

    def claim(self, stream_id: str, *, secrets: Sequence[str] = ()) -> None:
        """Take over a stream; see ``base.Journal.claim``."""
        name = self._hold(stream_id)
        if name is None:
            raise _read_by(stream_id, "this one")
        try:
            with self._database.writing() as connection:
                claim = self._taken_over(connection, stream_id, name, secrets)
        except BaseException:
            owner.drop(self._owners, stream_id)
            raise
        self._claims[stream_id] = claim

    def _taken_over(
        self, connection: sqlite3.Connection, stream_id: str, name: str, secrets: Sequence[str]
    ) -> _Claim:
        row = self._row(connection, stream_id)
        # Its own name, on a stream that it does not write, was left by a failure to write the end.
        if row.owner != name and self._status(stream_id, *row[1:3]) == "streaming":
            raise _read_by(stream_id, row.owner)
        if row.status == "complete":
            raise ResumeError(
                f"stream {stream_id!r} is complete",
                hint="journal.transcript() and journal.load() have its answer",
            )
        claim = _Claim(row.number, name, secrets)
        claim.state = None
        claim.last, claim.total = rows.take(connection, row.number, name, self._wall())
        return claim

    def release(self, stream_id: str) -> None:
        """Give up writing without an end: others may claim it. Harmless if it is not held."""
        claim = self._claims.pop(stream_id, None)
        if claim is None:
            return
        try:
            with self._database as connection:
                rows.give_up(connection, claim.number, claim.owner)
        finally:
            owner.drop(self._owners, stream_id)
        self._wake_followers()

    def append(
        self, stream_id: str, chunks: Sequence[Chunk], *, state: Optional[Mapping[str, Any]] = None
    ) -> int:
        """Write the chunks of one network read; see ``base.Journal.append``."""
        claim = self._claimed(stream_id)
        new_state = claim.changed(state)
        if not chunks:
            if new_state is not None:
                with self._database as connection:
                    self._keep_state(connection, claim, stream_id, new_state)
            return claim.last
        body = codec.chunks_to_json(chunks, self._keep_raw)
        last, total = claim.last + len(chunks), claim.total + len(body)
        append = rows.append(claim.number, claim.owner, last, self._wall(), total, body, new_state)
        if codec.has_restart(body):
            with self._database.writing() as connection:
                self._ours(connection.execute(*append).rowcount == 1, stream_id)
                restarts = [at for at, chunk in enumerate(chunks, 1) if chunk.kind == "restart"]
                rows.set_restart(connection, claim.number, claim.last + restarts[-1])
        elif self._database.change(*append) != 1:
            raise self._lost(stream_id)
        claim.last, claim.total = last, total
        if new_state is not None:
            claim.state = new_state
        if self._followers:
            self._wake_followers()
        return last

    def attempt(
        self, stream_id: str, attempt: Attempt, *, state: Optional[Mapping[str, Any]] = None
    ) -> None:
        """An attempt has ended; see ``base.Journal.attempt``."""
        claim = self._claimed(stream_id)
        record = codec.attempt_to_json(attempt, claim.secrets)
        with self._database.writing() as connection:
            self._ours(
                rows.attempt(connection, claim.number, claim.owner, attempt.number, record),
                stream_id,
            )
            new_state = claim.changed(state)
            if new_state is not None:
                self._keep_state(connection, claim, stream_id, new_state)

    def end(
        self, stream_id: str, completion: Completion, status: str, error: Optional[str] = None
    ) -> None:
        """The stream has ended; see ``base.Journal.end``."""
        claim = self._claimed(stream_id)
        verdict = codec.verdict_to_json(completion, claim.secrets)
        said = None if error is None else str(without(error, claim.secrets))
        try:
            with self._database as connection:
                self._ours(
                    rows.end(
                        connection, claim.number, claim.owner, self._wall(), status, said, verdict
                    ),
                    stream_id,
                )
        finally:
            del self._claims[stream_id]
            owner.drop(self._owners, stream_id)
        self._wake_followers()
        self._sweep()

    # -- housekeeping --------------------------------------------------------------------------

    def purge(
        self,
        *,
        older_than: Optional[float] = None,
        keep: Optional[int] = None,
        max_bytes: Optional[int] = None,
    ) -> int:
        """Delete what need not be kept (see ``base.Retention``); how many streams went."""
        retention = Retention(older_than, keep, max_bytes)
        with self._database.writing() as connection:
            infos = [self._judged(info) for info in rows.infos(connection)]
            doomed = retention.lets_go(infos, self._wall())
            rows.delete(connection, doomed)
        if doomed:
            with self._database as connection:
                # It frees a page a step, and execute() takes one step.
                connection.executescript("PRAGMA incremental_vacuum")
        return len(doomed)

    def close(self) -> None:
        """Let go of the file; it is opened again at the next use. Streams go on."""
        self._database.close()

    def __enter__(self) -> SQLiteJournal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the writer's side -----------------------------------------------------------------------

    def _hold(self, stream_id: str) -> Optional[str]:
        try:
            return owner.hold(self._owners, stream_id, os.stat(self.path).st_mode & 0o666)
        except OSError as error:
            raise StorageError(
                f"the journal {self.path} could not be used: {error}",
                hint="may this process write in its directory?",
            ) from error

    def _claimed(self, stream_id: str) -> _Claim:
        try:
            return self._claims[stream_id]
        except KeyError:
            raise self._lost(stream_id) from None

    def _keep_state(
        self, connection: sqlite3.Connection, claim: _Claim, stream_id: str, state: bytes
    ) -> None:
        self._ours(
            rows.set_state(connection, claim.number, claim.owner, state, claim.last), stream_id
        )
        claim.state = state

    def _ours(self, done: bool, stream_id: str) -> None:
        if not done:
            raise self._lost(stream_id)

    def _there(self, stream_id: str) -> ResumeError:
        return ResumeError(
            f"the journal {self.path} has a stream {stream_id!r} already",
            hint="take another stream_id, or session.resume() to go on with that one",
        )

    def _lost(self, stream_id: str) -> ResumeError:
        return ResumeError(
            f"stream {stream_id!r} is not written by this process, or not any more",
            hint="begin() or claim() it first; a forked child does not take its parent's streams",
        )

    def _sweep(self) -> None:
        now = time.monotonic()
        if self._retention is not None and now - self._swept >= SWEEP_EVERY:
            self._swept = now
            self.purge(**self._retention._asdict())


def _read_by(stream_id: str, process: Optional[str]) -> ResumeError:
    return ResumeError(
        f"stream {stream_id!r} is being read at this moment by process {process}",
        hint="journal.read(stream_id, follow=True) follows it",
    )


def _reopened(path: str, settings: Mapping[str, Any]) -> SQLiteJournal:
    return SQLiteJournal(path, **settings)


#: The journals of this process, so that a fork can mend those that the child inherits.
_living: weakref.WeakSet[SQLiteJournal] = weakref.WeakSet()


# Held through a fork: guards _frozen, the journals that stand still for it.
_forking = threading.Lock()
_frozen: list[SQLiteJournal] = []


def _before_fork() -> None:
    _forking.acquire()
    _frozen[:] = _living
    for journal in _frozen:
        journal.freeze()


def _in_parent() -> None:
    while _frozen:
        _frozen.pop().thaw()
    _forking.release()


def _in_child() -> None:
    while _frozen:
        _frozen.pop().forked()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child
    )
