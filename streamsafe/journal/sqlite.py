"""SQLiteJournal: the embedded journal, a file, with the standard library alone.

Here live the tables and the one connection a process has to them. Chunks are written one row a
network read, in WAL mode: a process that is killed loses nothing that was committed; a power
cut may lose the last rows, never more than a suffix, unless ``durable`` has every commit synced.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Optional, Union

from streamsafe.errors import ConfigurationError, ResumeError, StorageError
from streamsafe.journal import codec, owner
from streamsafe.journal.base import STATUSES, Saved, StreamInfo
from streamsafe.models import Attempt, Call, Chunk, Completion

#: "ssjl" in the file's header: this is a streamsafe journal.
APPLICATION_ID = 0x73736A6C
#: Raised with every change of the tables.
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE streams (
    stream_id TEXT PRIMARY KEY, status TEXT NOT NULL, provider TEXT NOT NULL, model TEXT,
    created REAL NOT NULL, updated REAL NOT NULL, owner TEXT NOT NULL, call TEXT NOT NULL,
    settings TEXT NOT NULL, error TEXT, verdict TEXT
);
CREATE TABLE groups (
    stream_id TEXT NOT NULL, last INTEGER NOT NULL, at REAL NOT NULL, body TEXT NOT NULL,
    state TEXT, PRIMARY KEY (stream_id, last)
);
CREATE TABLE attempts (
    stream_id TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, state TEXT,
    PRIMARY KEY (stream_id, number)
);
CREATE INDEX streams_by_age ON streams (created);
"""

#: Seconds to wait for another process's write; a write takes microseconds.
BUSY_TIMEOUT = 10.0

#: How often ``read(follow=True)`` looks, in seconds: SQLite tells nobody of a change.
FOLLOW_LOOK = 0.05

#: Seconds without a write after which a stream of another host counts as interrupted.
LEASE = 300.0


class SQLiteJournal:
    """A journal in one file, for many threads and processes of one machine.

    ``path`` is made if it is not there. ``durable=True`` syncs every commit to the disk (some
    milliseconds a network read); otherwise the system does it in its own time. ``keep_raw=True``
    keeps the JSON payloads of the chunks as well.

    Raises ConfigurationError for a file that is no journal, or of a newer version; the file is
    left as it is. Fork-safe: a child opens a connection of its own. Picklable.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        durable: bool = False,
        keep_raw: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        self._durable = durable
        self._keep_raw = keep_raw
        self._reset()
        with self._connected():
            pass

    def _reset(self) -> None:
        self._lock = threading.RLock()  # guards the connection and _next
        self._connection: Optional[sqlite3.Connection] = None
        self._pid = os.getpid()
        self._next: dict[str, int] = {}

    def __reduce__(self) -> Any:
        return (_reopened, (self.path, self._durable, self._keep_raw))

    # -- told by a stream ----------------------------------------------------------------------

    def begin(
        self, stream_id: str, *, call: Call, provider: str, settings: Mapping[str, Any]
    ) -> None:
        """A stream begins. Raises ResumeError if there is one of this name."""
        now = time.time()
        row = (
            stream_id, "streaming", provider, call.model, now, now, owner.this(),
            codec.call_to_json(call), json.dumps(codec.masked(settings)),
        )  # fmt: skip
        with self._connected() as connection:
            try:
                connection.execute(
                    "INSERT INTO streams (stream_id, status, provider, model, created, updated,"
                    " owner, call, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    row,
                )
            except sqlite3.IntegrityError:
                raise ResumeError(
                    f"the journal {self.path} has a stream {stream_id!r} already",
                    hint="take another stream_id, or session.resume() to go on with that one",
                ) from None
            self._next[stream_id] = 1

    def claim(self, stream_id: str) -> None:
        """Take over a stream whose process has gone. ResumeError while that one lives."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                row = self._row(connection, stream_id)
                status = _status(row["status"], row["owner"], row["updated"])
                if status == "streaming":
                    raise ResumeError(
                        f"stream {stream_id!r} is being read at this moment by {row['owner']}",
                        hint="journal.read(stream_id, follow=True) follows it",
                    )
                connection.execute(
                    "UPDATE streams SET owner = ?, status = 'streaming', updated = ?, error = NULL"
                    " WHERE stream_id = ?",
                    (owner.this(), time.time(), stream_id),
                )
                self._next[stream_id] = self._last(connection, stream_id) + 1
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def append(
        self, stream_id: str, chunks: Sequence[Chunk], *, state: Optional[Mapping[str, Any]] = None
    ) -> int:
        """Write the chunks of one network read; the last one's number."""
        body = codec.chunks_to_json(chunks, self._keep_raw)
        cursor = codec.state_to_json(state)
        with self._connected() as connection:
            last = self._next.get(stream_id, 1) + len(chunks) - 1
            if chunks:
                connection.execute(
                    "INSERT INTO groups (stream_id, last, at, body, state) VALUES (?, ?, ?, ?, ?)",
                    (stream_id, last, time.time(), body, cursor),
                )
            self._next[stream_id] = last + 1
        return last

    def attempt(self, stream_id: str, attempt: Attempt, *, state: Mapping[str, Any]) -> None:
        """An attempt has ended."""
        with self._connected() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO attempts (stream_id, number, body, state)"
                " VALUES (?, ?, ?, ?)",
                (
                    stream_id, attempt.number, codec.attempt_to_json(attempt),
                    codec.state_to_json(state),
                ),
            )  # fmt: skip

    def end(
        self, stream_id: str, completion: Completion, status: str, error: Optional[str]
    ) -> None:
        """The stream has ended."""
        verdict = json.dumps(
            {
                "outcome": completion.outcome.value,
                "finish_reason": completion.finish_reason,
                "usage": completion.usage and completion.usage._asdict(),
                "model": completion.model,
                "id": completion.id,
            },
            default=str,
        )
        with self._connected() as connection:
            connection.execute(
                "UPDATE streams SET status = ?, updated = ?, error = ?, verdict = ?"
                " WHERE stream_id = ?",
                (status, time.time(), error, verdict, stream_id),
            )
            self._next.pop(stream_id, None)

    # -- asked by anybody ----------------------------------------------------------------------

    def load(self, stream_id: str) -> Saved:
        """What is written of a stream. ResumeError for an unknown id."""
        with self._connected() as connection:
            row = self._row(connection, stream_id)
            groups = connection.execute(
                "SELECT body, state FROM groups WHERE stream_id = ? ORDER BY last", (stream_id,)
            ).fetchall()
            attempts, state = connection.execute(
                "SELECT count(*), (SELECT state FROM attempts WHERE stream_id = :id"
                " ORDER BY number DESC LIMIT 1) FROM attempts WHERE stream_id = :id",
                {"id": stream_id},
            ).fetchone()
        chunks: list[Chunk] = []
        for body, cursor in groups:
            chunks += codec.chunks_from_json(body)
            state = cursor or state
        return Saved(
            stream_id,
            _status(row["status"], row["owner"], row["updated"]),
            codec.call_from_json(row["call"]),
            row["provider"],
            json.loads(row["settings"]),
            tuple(since_restart(chunks)),
            attempts,
            json.loads(state) if state else {},
        )

    def read(
        self,
        stream_id: str,
        after: int = 0,
        *,
        follow: bool = False,
        timeout: Optional[float] = None,
    ) -> Iterator[tuple[int, Chunk]]:
        """(number, chunk) behind the number ``after``; see ``base.Journal.read``."""
        heard = time.monotonic()
        while True:
            # The status is looked at before the chunks: an end that comes between is seen later.
            with self._connected() as connection:
                row = self._row(connection, stream_id)
                groups = connection.execute(
                    "SELECT last, body FROM groups WHERE stream_id = ? AND last > ? ORDER BY last",
                    (stream_id, after),
                ).fetchall()
            for last, body in groups:
                chunks = codec.chunks_from_json(body)
                for number, chunk in enumerate(chunks, last - len(chunks) + 1):
                    if number > after:
                        yield number, chunk
                        after = number
                heard = time.monotonic()
            live = _status(row["status"], row["owner"], row["updated"]) == "streaming"
            if not follow or (not live and not groups):
                return
            if timeout is not None and time.monotonic() - heard > timeout:
                return
            if not groups:
                time.sleep(FOLLOW_LOOK)

    def list(self, status: Optional[str] = None) -> list[StreamInfo]:
        """The streams, the latest first; those of one status."""
        if status is not None and status not in STATUSES:
            raise ConfigurationError(f"status={status!r}: expected one of {', '.join(STATUSES)}")
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT s.*, coalesce(max(g.last), 0) AS chunks,"
                " coalesce(sum(length(g.body)), 0) AS bytes, max(g.at) AS heard"
                " FROM streams s LEFT JOIN groups g USING (stream_id)"
                " GROUP BY s.stream_id ORDER BY s.created DESC"
            ).fetchall()
        found = [
            StreamInfo(
                row["stream_id"],
                _status(row["status"], row["owner"], row["heard"] or row["updated"]),
                row["provider"],
                row["model"],
                row["created"],
                max(row["updated"], row["heard"] or 0.0),
                row["chunks"],
                row["bytes"],
                row["error"],
            )
            for row in rows
        ]
        return [info for info in found if status in (None, info.status)]

    def transcript(self, stream_id: str) -> str:
        """The text so far, since the last "restart"."""
        return "".join(chunk.text for chunk in self.load(stream_id).chunks if not chunk.index)

    def purge(
        self,
        *,
        older_than: Optional[float] = None,
        keep: Optional[int] = None,
        max_bytes: Optional[int] = None,
    ) -> int:
        """Delete streams that have ended: those older than so many seconds, all but the latest
        ``keep``, the oldest until the rest is within ``max_bytes``. Returns how many went."""
        now, doomed, total = time.time(), [], 0
        for place, info in enumerate(self.list()):
            total += info.bytes
            over = (
                (older_than is not None and now - info.updated > older_than)
                or (keep is not None and place >= keep)
                or (max_bytes is not None and total > max_bytes)
            )
            if over and info.status != "streaming":
                doomed.append((info.stream_id,))
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in ("groups", "attempts", "streams"):
                connection.executemany(f"DELETE FROM {table} WHERE stream_id = ?", doomed)
            connection.execute("COMMIT")
            if doomed:
                connection.execute("PRAGMA incremental_vacuum")
        return len(doomed)

    def close(self) -> None:
        """Let go of the file; it is opened again at the next use."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    # -- the connection --------------------------------------------------------------------------

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, alone; its errors in the words of the project."""
        if self._pid != os.getpid():
            self._reset()  # the parent's connection must not be touched in a forked child
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                yield self._connection
            except sqlite3.DatabaseError as error:
                raise StorageError(
                    f"the journal {self.path} could not be used: {error}",
                    hint="is the disk full, the file locked or damaged?",
                ) from error

    def _open(self) -> sqlite3.Connection:
        fresh = not os.path.exists(self.path) or os.path.getsize(self.path) == 0
        if not fresh:
            self._inspect()
        try:
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"the journal {self.path} can't be opened: {error}",
                hint="does the directory exist, and may this process write there?",
            ) from error
        connection.row_factory = sqlite3.Row
        if fresh:
            self._create(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("BEGIN EXCLUSIVE")
        # Another process may have been quicker.
        if not connection.execute("PRAGMA application_id").fetchone()[0]:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")

    def _inspect(self) -> None:
        """Look without touching: a file of somebody else's is left as it is."""
        try:
            with open(self.path, "rb") as file:
                head = file.read(100)
        except OSError as error:
            raise ConfigurationError(f"the journal {self.path} can't be read: {error}") from error
        application = int.from_bytes(head[68:72], "big")
        version = int.from_bytes(head[60:64], "big")
        if not head.startswith(b"SQLite format 3\0") or application not in (0, APPLICATION_ID):
            raise ConfigurationError(
                f"{self.path} is no streamsafe journal; it was left as it is",
                hint="give SQLiteJournal a path of its own",
            )
        if version > SCHEMA_VERSION:
            raise ConfigurationError(
                f"{self.path} is a journal of version {version}, this streamsafe knows "
                f"{SCHEMA_VERSION}; it was left as it is",
                hint="upgrade streamsafe, or take another path",
            )
        if application == 0 and self._has_tables():
            raise ConfigurationError(
                f"{self.path} is somebody else's database; it was left as it is",
                hint="give SQLiteJournal a path of its own",
            )

    def _has_tables(self) -> bool:
        reading = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            names = [row[0] for row in reading.execute("SELECT name FROM sqlite_master")]
        except sqlite3.DatabaseError:
            return True
        finally:
            reading.close()
        # Ours, if the process that makes it has not said so yet in the header.
        return bool(names) and "groups" not in names

    def _row(self, connection: sqlite3.Connection, stream_id: str) -> sqlite3.Row:
        row = connection.execute(
            "SELECT s.status, s.owner, s.call, s.settings, s.provider,"
            " max(s.updated, coalesce((SELECT max(at) FROM groups WHERE stream_id = :id), 0))"
            " AS updated FROM streams s WHERE s.stream_id = :id",
            {"id": stream_id},
        ).fetchone()
        if row is None or row["status"] is None:
            raise ResumeError(
                f"the journal {self.path} has no stream {stream_id!r}",
                hint="journal.list() names those that it has",
            )
        assert isinstance(row, sqlite3.Row)
        return row

    def _last(self, connection: sqlite3.Connection, stream_id: str) -> int:
        row = connection.execute(
            "SELECT coalesce(max(last), 0) FROM groups WHERE stream_id = ?", (stream_id,)
        ).fetchone()
        return int(row[0])


def since_restart(chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """The chunks that are not void."""
    for place in range(len(chunks) - 1, -1, -1):
        if chunks[place].kind == "restart":
            return chunks[place + 1 :]
    return chunks


def _status(written: str, who: str, heard: float) -> str:
    """A stream without an end is interrupted once its process has gone."""
    if written != "streaming":
        return written
    alive = owner.lives(who)
    if alive is None:
        alive = time.time() - heard < LEASE
    return "streaming" if alive else "interrupted"


def _reopened(path: str, durable: bool, keep_raw: bool) -> SQLiteJournal:
    return SQLiteJournal(path, durable=durable, keep_raw=keep_raw)
