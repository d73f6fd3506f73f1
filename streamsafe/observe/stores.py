"""Stores: where the figures of many processes add up. A SQLite file, or a Redis.

Here lives what a store does: add named numbers to buckets, keep one document for each process,
give both back. What the numbers mean is told in ``share``. Both stores add in the store itself,
in one transaction, so that no process overwrites another's figures.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Union

from streamsafe.errors import ConfigurationError

if TYPE_CHECKING:
    import sqlite3


class Bucket(NamedTuple):
    """Numbers to be added under a name; ``keep`` is for how many seconds, 0 for ever."""

    name: str
    keep: float
    numbers: Mapping[str, float]


class Document(NamedTuple):
    """What a process says of itself, as JSON text, kept for ``keep`` seconds."""

    process: str
    keep: float
    text: str


class Store(Protocol):
    """A place that all processes reach. Raises whatever its library raises."""

    def publish(self, buckets: Sequence[Bucket], document: Document, wall: float) -> None:
        """Add the buckets' numbers and replace the process's document, all or nothing."""

    def numbers(self, buckets: Sequence[str]) -> dict[str, float]:
        """The sums by name over these buckets."""

    def each(self, buckets: Sequence[str]) -> dict[str, dict[str, float]]:
        """The numbers of each of these buckets; those that hold nothing may be left out."""

    def documents(self, wall: float) -> list[str]:
        """The documents of all processes that are not out of date."""

    def close(self) -> None:
        """Give idle connections back; the next call opens another."""


class SQLiteStore:
    """Two small tables in a SQLite file on a local disk; it may be the journal's file.

    A connection is opened for each call, once a second at most: one that lived on would have to
    be kept from forks and other threads. ``readonly`` never writes to the file, and wants one
    that monitors share already. Raises ConfigurationError if it can't be opened.
    """

    #: Seconds to wait for other processes' writes; each takes about a millisecond.
    BUSY = 5.0

    _SCHEMA = """
        CREATE TABLE IF NOT EXISTS monitor_figures (
            bucket TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, until REAL NOT NULL,
            PRIMARY KEY (bucket, name)) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS monitor_processes (
            process TEXT PRIMARY KEY, document TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
    """

    def __init__(self, path: str, readonly: bool = False) -> None:
        import sqlite3

        self.path = os.path.abspath(path)
        self._mode = "ro" if readonly else "rwc"
        hint = "give a path in a directory that exists and may be written to"
        if readonly:
            hint = "give the path that programs have in StreamMonitor(share=...), once one ran"
        try:
            with self._open() as db:
                if readonly:
                    db.execute("SELECT 1 FROM monitor_figures, monitor_processes LIMIT 1")
                    return
                # Readers and a writer at a time do not hinder each other; it stays on the file.
                db.execute("PRAGMA journal_mode=WAL")
                db.executescript(self._SCHEMA)
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"share={path!r}: the SQLite file can't be opened: {error}", hint=hint
            ) from error

    def publish(self, buckets: Sequence[Bucket], document: Document, wall: float) -> None:
        """Add the buckets' numbers and replace the process's document, all or nothing."""
        rows = [
            (bucket.name, name, value, wall + bucket.keep if bucket.keep else 0.0)
            for bucket in buckets
            for name, value in bucket.numbers.items()
        ]
        with self._open() as db, self._transaction(db):
            db.executemany(
                "INSERT INTO monitor_figures VALUES (?, ?, ?, ?) "
                "ON CONFLICT (bucket, name) DO UPDATE SET value = value + excluded.value",
                rows,
            )
            db.execute(
                "INSERT OR REPLACE INTO monitor_processes VALUES (?, ?, ?)",
                (document.process, document.text, wall + document.keep),
            )
            db.execute("DELETE FROM monitor_figures WHERE until > 0 AND until < ?", (wall,))
            db.execute("DELETE FROM monitor_processes WHERE until < ?", (wall,))

    def numbers(self, buckets: Sequence[str]) -> dict[str, float]:
        """The sums by name over these buckets."""
        places = ", ".join("?" * len(buckets))
        with self._open() as db:
            return dict(
                db.execute(
                    "SELECT name, SUM(value) FROM monitor_figures "
                    f"WHERE bucket IN ({places}) GROUP BY name",
                    list(buckets),
                )
            )

    def each(self, buckets: Sequence[str]) -> dict[str, dict[str, float]]:
        """The numbers of each of these buckets; those that hold nothing are left out."""
        places = ", ".join("?" * len(buckets))
        found: dict[str, dict[str, float]] = {}
        with self._open() as db:
            for bucket, name, value in db.execute(
                f"SELECT bucket, name, value FROM monitor_figures WHERE bucket IN ({places})",
                list(buckets),
            ):
                found.setdefault(bucket, {})[name] = value
        return found

    def documents(self, wall: float) -> list[str]:
        """The documents of all processes that are not out of date."""
        with self._open() as db:
            rows = db.execute("SELECT document FROM monitor_processes WHERE until >= ?", (wall,))
            return [text for (text,) in rows]

    def close(self) -> None:
        """Nothing is open between two calls."""

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        import sqlite3
        from pathlib import Path

        where = f"{Path(self.path).as_uri()}?mode={self._mode}"
        db = sqlite3.connect(where, timeout=self.BUSY, isolation_level=None, uri=True)
        try:
            # A power cut may take the last second's figures, never the file.
            db.execute("PRAGMA synchronous=NORMAL")
            yield db
        finally:
            db.close()

    @contextlib.contextmanager
    def _transaction(self, db: sqlite3.Connection) -> Iterator[None]:
        # IMMEDIATE: a lock that is taken later, on the first write, is not waited for.
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


class RedisStore:
    """Hashes in a Redis (``redis://`` or ``rediss://``), for more than one machine.

    Nothing is connected until the first call. Needs the extra ``redis``: raises ImportError
    without it, and ConfigurationError for a URL that can't be read.
    """

    #: All keys in one slot of a cluster: the braces are Redis's hash tag.
    PREFIX = "{streamsafe:monitor}:"
    #: Seconds until an answer is given up; the figures are kept and sent again.
    TIMEOUT = 2.0

    def __init__(self, url: str) -> None:
        try:
            import redis
        except ImportError as error:
            raise ImportError(
                "share=redis://… needs the redis library: pip install 'streamsafe[redis]', "
                "or share a SQLite file"
            ) from error
        try:
            self._redis: Any = redis.Redis.from_url(
                url,
                decode_responses=True,
                socket_timeout=self.TIMEOUT,
                socket_connect_timeout=self.TIMEOUT,
            )
        except ValueError as error:
            # Not the URL itself: a password may stand in it.
            raise ConfigurationError(f"share=redis://…: {error}") from error

    def publish(self, buckets: Sequence[Bucket], document: Document, wall: float) -> None:
        """Add the buckets' numbers and replace the process's document, all or nothing."""
        with self._redis.pipeline(transaction=True) as pipe:
            for bucket in buckets:
                key = self.PREFIX + bucket.name
                for name, value in bucket.numbers.items():
                    pipe.hincrbyfloat(key, name, value)
                if bucket.keep:
                    pipe.expire(key, int(bucket.keep) + 1)
            key = self.PREFIX + "process:" + document.process
            pipe.set(key, document.text, ex=int(document.keep) + 1)
            pipe.zadd(self.PREFIX + "processes", {key: wall + document.keep})
            pipe.zremrangebyscore(self.PREFIX + "processes", "-inf", wall)
            pipe.execute()

    def numbers(self, buckets: Sequence[str]) -> dict[str, float]:
        """The sums by name over these buckets."""
        sums: dict[str, float] = {}
        for numbers in self.each(buckets).values():
            for name, value in numbers.items():
                sums[name] = sums.get(name, 0.0) + value
        return sums

    def each(self, buckets: Sequence[str]) -> dict[str, dict[str, float]]:
        """The numbers of each of these buckets."""
        with self._redis.pipeline(transaction=False) as pipe:
            for bucket in buckets:
                pipe.hgetall(self.PREFIX + bucket)
            answers = pipe.execute()
        return {
            bucket: {name: float(value) for name, value in answer.items()}
            for bucket, answer in zip(buckets, answers)
        }

    def documents(self, wall: float) -> list[str]:
        """The documents of all processes that are not out of date."""
        keys = self._redis.zrangebyscore(self.PREFIX + "processes", wall, "+inf")
        return [text for text in self._redis.mget(keys) if text] if keys else []

    def close(self) -> None:
        """Give idle connections back; the next call opens another."""
        # Not Redis.close(), which before 5.0.1 leaves the pool of from_url open.
        self._redis.connection_pool.disconnect(inuse_connections=False)


def store(where: Union[str, os.PathLike[str]], readonly: bool = False) -> Store:
    """The store that a ``share=`` names: a Redis URL, else the path of a SQLite file.

    Raises ConfigurationError for what is neither.
    """
    if not isinstance(where, (str, os.PathLike)) or not os.fspath(where):
        raise ConfigurationError(
            f"share={where!r}: expected the path of a SQLite file, or a redis:// URL"
        )
    where = os.fspath(where)
    if where.startswith(("redis://", "rediss://")):
        return RedisStore(where)
    return SQLiteStore(where, readonly)
