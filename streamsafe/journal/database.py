"""Database: the SQLite file under a journal, and this process's one connection to it.

Here live the tables, how a file is opened without harm to one that is somebody else's, and what
SQLite's errors mean. What is written in the tables is told in ``rows``.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

from streamsafe.errors import ConfigurationError, StorageError, StreamingError

#: "ssjl" in the file's header: this is a streamsafe journal.
APPLICATION_ID = 0x73736A6C
#: Raised with every change of the tables.
SCHEMA_VERSION = 1

#: ``restart`` is the number of the last "restart" chunk; ``state`` the cursor after the chunk
#: ``state_at``, unless a later group has one. ``total`` sums up the bytes of the groups so far.
_SCHEMA = (
    """CREATE TABLE streams (
        number INTEGER PRIMARY KEY AUTOINCREMENT, stream_id TEXT NOT NULL UNIQUE,
        status TEXT NOT NULL, owner TEXT, provider TEXT NOT NULL, model TEXT,
        created REAL NOT NULL, updated REAL NOT NULL, restart INTEGER NOT NULL DEFAULT 0,
        error TEXT, state_at INTEGER NOT NULL DEFAULT 0, state BLOB, verdict BLOB,
        settings BLOB NOT NULL, call BLOB NOT NULL)""",
    """CREATE TABLE groups (
        stream INTEGER NOT NULL, last INTEGER NOT NULL, at REAL NOT NULL, total INTEGER NOT NULL,
        chunks BLOB NOT NULL, state BLOB, PRIMARY KEY (stream, last)) WITHOUT ROWID""",
    """CREATE TABLE attempts (
        stream INTEGER NOT NULL, number INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (stream, number)) WITHOUT ROWID""",
)

#: Seconds to wait for another process's write; a write takes microseconds.
BUSY_TIMEOUT = 10.0

#: What every SQLite file begins with.
HEADER_BYTES = 100
#: Every commit writes at least one whole page to the log, and most commits are one token.
PAGE_BYTES = 1024
#: The log is brought into the file when it has grown to this: SQLite's own default.
LOG_BYTES = 4 * 1024 * 1024

#: What SQLite says, and what to do.
_REMEDIES = (
    ("is full", "make room on the disk; what was written before is safe"),
    ("readonly", "may this process write the file and its directory?"),
    ("unable to open", "does the directory exist, and may this process write there?"),
    ("locked", "another process holds the file; is it stopped in a debugger?"),
    ("not a database", "the file is damaged; move it away, and a new one is made"),
    ("malformed", "the file is damaged; move it away, and a new one is made"),
    ("I/O", "the disk failed, or the file was changed from outside"),
)


class Database:
    """A context manager: within it, the thread has the connection for itself.

    What SQLite raises within it becomes a StorageError. ``sync``: the disk has a commit before
    it is over. Raises ConfigurationError for a file that can't be a journal.
    """

    def __init__(self, path: str, sync: bool) -> None:
        self.path = path
        self._sync = sync
        # Guards the connection, and whoever uses it. Reentrant, since the garbage collector may
        # close a dropped stream, which writes its end, in the middle of another's write.
        self._lock = threading.RLock()
        self._connection: Optional[sqlite3.Connection] = None
        self._cursor: Optional[sqlite3.Cursor] = None  # the connection's, for ``change``

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            if self._connection is None:
                self._connection = self._open()
            return self._connection
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        self._lock.release()
        if isinstance(error, (sqlite3.Error, UnicodeEncodeError)):
            raise self._failure(error) from error

    def change(self, statement: str, values: Sequence[Any]) -> int:
        """One statement alone, which is a transaction of its own: how many rows it changed.

        For what runs once a read: ``with``, and a cursor for each statement, cost 4 µs."""
        self._lock.acquire()
        try:
            if self._cursor is None:
                with self as connection:
                    self._cursor = connection.cursor()
            return self._cursor.execute(statement, values).rowcount
        except (sqlite3.Error, UnicodeEncodeError) as error:
            raise self._failure(error) from error
        finally:
            self._lock.release()

    def _failure(self, error: BaseException) -> StorageError:
        return StorageError(
            f"the journal {self.path} could not be used: {error}", hint=_remedy(error)
        )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection within a transaction: all that is done in it, or nothing."""
        with self as connection:
            if connection.in_transaction:  # a stream that is collected within another's write
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            connection.close()

    def __del__(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def freeze(self) -> None:
        """Before a fork: nobody may be inside SQLite, whose own locks the child would inherit."""
        self._lock.acquire()

    def thaw(self) -> None:
        """In the parent, after it."""
        self._lock.release()

    def forked(self) -> None:
        """In a new child: forget what is the parent's, without closing it.

        SQLite forbids to use or close a connection on the other side of a fork.
        """
        self._lock = threading.RLock()
        if self._connection is not None:
            _parents.append((self._connection, self._cursor))
            self._connection = self._cursor = None

    # -- opening ---------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            fresh = not os.path.exists(self.path) or os.path.getsize(self.path) == 0
            if not fresh:
                self._inspect()
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            try:
                if fresh:
                    # Prompts and answers are nobody else's business; the log files follow suit.
                    connection.execute("PRAGMA schema_version")  # the file is there now
                    os.chmod(self.path, 0o600)
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"the journal {self.path} can't be opened: {error}", hint=_remedy(error)
            ) from error
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Both are without effect once there are tables.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("BEGIN IMMEDIATE")
        # Within the lock: another process may have been quicker.
        if connection.execute("PRAGMA application_id").fetchone()[0] == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        self._log_ahead(connection)
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._sync else 'NORMAL'}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // PAGE_BYTES}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")

    @staticmethod
    def _log_ahead(connection: sqlite3.Connection) -> None:
        # The one change that does not wait for others by itself: it wants the file alone.
        deadline = time.monotonic() + BUSY_TIMEOUT
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    def _inspect(self) -> None:
        """Look, read-only, whether the file is a journal or may become one.

        Through SQLite: to open and close the file oneself would drop the locks that this
        process's other connections have on it.
        """
        if os.path.getsize(self.path) < HEADER_BYTES:  # SQLite takes one byte for an empty file
            raise self._refusal("is no journal")
        try:
            try:
                application, version, names = self._look("ro")
            except sqlite3.OperationalError as error:
                if "readonly" not in str(error):
                    raise
                # A process was killed while it made the file: SQLite has to undo the half first.
                application, version, names = self._look("rw")
        except sqlite3.DatabaseError as error:
            raise self._refusal(f"can't be read as a journal: {error}", error) from error
        # The monitor may keep its figures in the same file, and may have been there first.
        others = {name for name in names if not name.startswith(("monitor_", "sqlite_"))}
        if application not in (0, APPLICATION_ID) or (application == 0 and others):
            raise self._refusal("is somebody else's database")
        if version > SCHEMA_VERSION:
            raise self._refusal(
                f"is a journal of version {version}, and this streamsafe knows {SCHEMA_VERSION}"
            )

    def _look(self, mode: str) -> tuple[int, int, set[str]]:
        """The application's mark, its version, and the tables' names."""
        where = f"{Path(os.path.abspath(self.path)).as_uri()}?mode={mode}"
        with closing(sqlite3.connect(where, uri=True, timeout=BUSY_TIMEOUT)) as looking:
            application = looking.execute("PRAGMA application_id").fetchone()[0]
            version = looking.execute("PRAGMA user_version").fetchone()[0]
            names = {name for name, in looking.execute("SELECT name FROM sqlite_master")}
        return application, version, names

    def _refusal(self, what: str, error: Optional[Exception] = None) -> StreamingError:
        remedy = _remedy(error) if error is not None else ""
        return ConfigurationError(
            f"{self.path} {what}; it was left as it is",
            hint=remedy or "give the journal a path of its own, or upgrade streamsafe",
        )


def _remedy(error: BaseException) -> str:
    said = str(error)
    return next((remedy for words, remedy in _REMEDIES if words in said), "")


#: Connections of the parent's: kept, since garbage collection would close them.
_parents: list[tuple[sqlite3.Connection, Optional[sqlite3.Cursor]]] = []
