"""SQLiteReader: the half of the SQLite journal that asks and changes nothing.

Here lives how streams are found again, followed while they are written, and judged: one without an
end is interrupted once its process has gone.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Optional, Union

from streamsafe.errors import ConfigurationError, ResumeError
from streamsafe.journal import codec, owner, rows
from streamsafe.journal.base import STATUSES, Saved, StreamInfo
from streamsafe.journal.database import Database
from streamsafe.models import Chunk

#: How often ``read(follow=True)`` looks, in seconds, for what other processes wrote: SQLite tells
#: nobody of a change. Writes through the same journal object wake it at once.
FOLLOW_LOOK = 0.05


class SQLiteReader:
    """What can be asked of a journal; all of it from any thread, and while it is written."""

    def __init__(self, path: Union[str, os.PathLike[str]], durable: bool) -> None:
        self.path = _checked(path)
        self._database = Database(self.path, durable)
        self._owners = f"{os.path.realpath(self.path)}-owners"
        self._written = threading.Condition()  # guards _writes and _followers
        self._writes = 0
        self._followers = 0
        with self._database:
            pass  # what is wrong with the path is to be known now

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    def load(self, stream_id: str) -> Saved:
        """What is written of a stream. ResumeError for an unknown id."""
        with self._database as connection:
            row = self._row(connection, stream_id)
            body = rows.body(connection, row.number)
        records = tuple(codec.attempt_from_json(record) for record in body.records)
        chunks = tuple(chunk for _, chunk in self._pages(row.number, row.restart))
        completion = None
        if body.verdict is not None:
            completion = codec.verdict_from_json(body.verdict, stream_id, chunks, records)
        return Saved(
            stream_id,
            self._status(stream_id, row.status, row.owner),
            codec.call_from_json(body.call),
            row.provider,
            codec.from_json(body.settings),
            chunks,
            len(records),
            codec.from_json(body.state) if body.state else {},
            records,
            completion,
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
        row = self._find(stream_id)
        if follow:
            return self._follow(stream_id, after, timeout)
        return self._pages(row.number, max(after, row.restart - 1))

    def _follow(
        self, stream_id: str, after: int, timeout: Optional[float]
    ) -> Iterator[tuple[int, Chunk]]:
        heard = time.monotonic()
        while True:
            seen = self._writes
            # The status is looked at before the chunks: an end that comes between is seen later.
            row = self._find(stream_id)
            before, after = after, max(after, row.restart - 1)
            for after, chunk in self._pages(row.number, after):
                yield after, chunk
            if after != before:
                heard = time.monotonic()
                continue
            status = self._status(stream_id, row.status, row.owner)
            if status != "streaming" and (status != "interrupted" or timeout is None):
                return
            left = FOLLOW_LOOK
            if timeout is not None:
                left = min(left, heard + timeout - time.monotonic())
                if left <= 0:
                    return
            self._wait_for_writes(seen, left)

    def info(self, stream_id: str) -> StreamInfo:
        """Status, times and sizes of one stream. ResumeError for an unknown id."""
        with self._database as connection:
            found = rows.infos(connection, stream_id)
        if not found:
            raise self._unknown(stream_id)
        return self._judged(found[0])

    def list(self, status: Optional[str] = None) -> list[StreamInfo]:
        """The streams, the latest first; those of one status."""
        if status is not None and status not in STATUSES:
            raise ConfigurationError(f"status={status!r}: expected one of {', '.join(STATUSES)}")
        with self._database as connection:
            found = map(self._judged, rows.infos(connection))
        return [info for info in found if status in (None, info.status)]

    def transcript(self, stream_id: str) -> str:
        """The text of the first choice so far, since the last "restart"."""
        row = self._find(stream_id)
        return "".join(
            chunk.text for _, chunk in self._pages(row.number, row.restart) if not chunk.index
        )

    # -- rows ------------------------------------------------------------------------------------

    def _find(self, stream_id: str) -> rows.Row:
        with self._database as connection:
            return self._row(connection, stream_id)

    def _row(self, connection: sqlite3.Connection, stream_id: str) -> rows.Row:
        row = rows.find(connection, stream_id)
        if row is None:
            raise self._unknown(stream_id)
        return row

    def _unknown(self, stream_id: str) -> ResumeError:
        return ResumeError(
            f"the journal {self.path} has no stream {stream_id!r}",
            hint="journal.list() names those that it has",
        )

    def _pages(self, number: int, after: int) -> Iterator[tuple[int, Chunk]]:
        """(number, chunk) of all that is there behind ``after``."""
        while True:
            with self._database as connection:
                groups = rows.page(connection, number, after)
            for last, body in groups:
                chunks = codec.chunks_from_json(body)
                for place, chunk in enumerate(chunks, last - len(chunks) + 1):
                    if place > after:
                        yield place, chunk
                after = last
            if len(groups) < rows.PAGE_ROWS:
                return

    def _judged(self, info: StreamInfo) -> StreamInfo:
        return info._replace(status=self._status(info.stream_id, info.status, info.owner))

    def _status(self, stream_id: str, written: str, name: Optional[str]) -> str:
        """A stream without an end is interrupted once its process has gone."""
        if written != "streaming":
            return written
        lives = name is not None and owner.lives(self._owners, name, stream_id)
        return "streaming" if lives else "interrupted"

    # -- followers -------------------------------------------------------------------------------

    def _wake_followers(self) -> None:
        with self._written:
            self._writes += 1
            self._written.notify_all()

    def _wait_for_writes(self, seen: int, seconds: float) -> None:
        with self._written:
            self._followers += 1
            self._written.wait_for(lambda: self._writes != seen, seconds)
            self._followers -= 1


def _checked(path: Union[str, os.PathLike[str]]) -> str:
    where = os.fspath(path)
    if not isinstance(where, str) or where in ("", ":memory:"):
        raise ConfigurationError(
            f"SQLiteJournal({path!r}): expected the path of a file",
            hint="a journal in memory would be gone when it is wanted",
        )
    if os.path.isdir(where):
        raise ConfigurationError(
            f"SQLiteJournal({path!r}): expected the path of a file, and this is a directory"
        )
    # Opened again in another directory, or unpickled in one, it is to be the same file.
    return os.path.abspath(where)
