"""Rows: what stands in the tables of a SQLite journal, and the statements that put it there.

Here live functions of a connection, each within its caller's transaction. The tables are made by
``database``; who may write, and what the bytes in the rows mean, is not known here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from streamsafe.journal.base import StreamInfo

#: Rows taken at a time: memory stays flat, and writers need not wait for a reader.
PAGE_ROWS = 256

# A stream that has another owner gets no row: two writers could tear it apart.
_APPEND = (
    "INSERT INTO groups (last, at, total, chunks, stream) SELECT ?, ?, ?, ?, number FROM streams"
    " WHERE number = ? AND owner = ?"
)
# By itself, because to bind a None costs as much as all the numbers.
_APPEND_WITH_STATE = (
    "INSERT INTO groups (state, last, at, total, chunks, stream) SELECT ?, ?, ?, ?, ?, number"
    " FROM streams WHERE number = ? AND owner = ?"
)
_INFO = (
    "SELECT s.stream_id, s.status, s.provider, s.model, s.created,"
    " max(s.updated, coalesce(g.at, 0)), coalesce(g.last, 0), coalesce(g.total, 0), s.error,"
    " s.owner FROM streams s LEFT JOIN groups g ON g.stream = s.number"
    " AND g.last = (SELECT max(last) FROM groups WHERE stream = s.number)"
)


class Row(NamedTuple):
    """A stream as far as most statements need it."""

    number: int
    status: str
    owner: Optional[str]
    provider: str
    restart: int


class Body(NamedTuple):
    """The bytes of a stream without its chunks."""

    call: bytes
    settings: bytes
    verdict: Optional[bytes]
    state: Optional[bytes]
    records: tuple[bytes, ...]


# -- written ---------------------------------------------------------------------------------------


def insert(
    connection: sqlite3.Connection,
    info: StreamInfo,
    settings: bytes,
    call: bytes,
) -> Optional[int]:
    """A new stream's number; None if there is one of this name."""
    made = connection.execute(
        "INSERT OR IGNORE INTO streams (stream_id, status, owner, provider, model, created,"
        " updated, settings, call) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            info.stream_id, info.status, info.owner, info.provider, info.model,
            info.created, info.updated, settings, call,
        ),
    )  # fmt: skip
    return made.lastrowid if made.rowcount == 1 else None


def take(connection: sqlite3.Connection, number: int, owner: str, now: float) -> tuple[int, int]:
    """Make this the owner; the last chunk's number and the bytes so far."""
    connection.execute(
        "UPDATE streams SET owner = ?, status = 'streaming', updated = ?, error = NULL,"
        " verdict = NULL WHERE number = ?",
        (owner, now, number),
    )
    last, total = connection.execute(
        "SELECT coalesce(max(last), 0), coalesce(max(total), 0) FROM groups WHERE stream = ?",
        (number,),
    ).fetchone()
    return last, total


def give_up(connection: sqlite3.Connection, number: int, owner: str) -> None:
    """No owner from now on."""
    connection.execute(
        "UPDATE streams SET owner = NULL WHERE number = ? AND owner = ?", (number, owner)
    )


def append(
    number: int,
    owner: str,
    last: int,
    at: float,
    total: int,
    chunks: bytes,
    state: Optional[bytes],
) -> tuple[str, tuple[Any, ...]]:
    """What writes the chunks of one network read, of which ``last`` is the last's number, and a
    ``state``, None = as it was. It changes no row if the stream has another owner."""
    # sqlite3 takes a bytearray as it is; for bytes it looks for an adapter each time.
    group = (last, at, total, bytearray(chunks), number, owner)
    return (_APPEND, group) if state is None else (_APPEND_WITH_STATE, (state, *group))


def set_restart(connection: sqlite3.Connection, number: int, place: int) -> None:
    """The chunk of this number is the last "restart"."""
    connection.execute("UPDATE streams SET restart = ? WHERE number = ?", (place, number))


def set_state(
    connection: sqlite3.Connection, number: int, owner: str, state: bytes, at: int
) -> bool:
    """The cursor after chunk ``at``; whether the stream is this owner's."""
    changed = connection.execute(
        "UPDATE streams SET state = ?, state_at = ? WHERE number = ? AND owner = ?",
        (state, at, number, owner),
    )
    return changed.rowcount == 1


def attempt(
    connection: sqlite3.Connection, number: int, owner: str, count: int, record: bytes
) -> bool:
    """Write the ``count``-th attempt's record; whether the stream is this owner's."""
    made = connection.execute(
        "INSERT OR REPLACE INTO attempts SELECT number, ?, ? FROM streams"
        " WHERE number = ? AND owner = ?",
        (count, record, number, owner),
    )
    return made.rowcount == 1


def end(
    connection: sqlite3.Connection,
    number: int,
    owner: str,
    now: float,
    status: str,
    error: Optional[str],
    verdict: bytes,
) -> bool:
    """Write the verdict; whether the stream was this owner's."""
    changed = connection.execute(
        "UPDATE streams SET status = ?, updated = ?, error = ?, verdict = ?, owner = NULL"
        " WHERE number = ? AND owner = ?",
        (status, now, error, verdict, number, owner),
    )
    return changed.rowcount == 1


def delete(connection: sqlite3.Connection, stream_ids: Sequence[str]) -> None:
    """These streams, with all that is theirs."""
    for stream_id in stream_ids:
        for table in ("groups", "attempts"):
            connection.execute(
                f"DELETE FROM {table} WHERE stream ="
                " (SELECT number FROM streams WHERE stream_id = ?)",
                (stream_id,),
            )
        connection.execute("DELETE FROM streams WHERE stream_id = ?", (stream_id,))


# -- found -----------------------------------------------------------------------------------------


def find(connection: sqlite3.Connection, stream_id: str) -> Optional[Row]:
    """The stream of this name."""
    found = connection.execute(
        "SELECT number, status, owner, provider, restart FROM streams WHERE stream_id = ?",
        (stream_id,),
    ).fetchone()
    return Row(*found) if found is not None else None


def body(connection: sqlite3.Connection, number: int) -> Body:
    """What the stream was asked, where it is, and how it went."""
    call, settings, verdict, state, state_at = connection.execute(
        "SELECT call, settings, verdict, state, state_at FROM streams WHERE number = ?", (number,)
    ).fetchone()
    later = connection.execute(
        "SELECT state FROM groups WHERE stream = ? AND last > ? AND state IS NOT NULL"
        " ORDER BY last DESC LIMIT 1",
        (number, state_at),
    ).fetchone()
    records = connection.execute(
        "SELECT record FROM attempts WHERE stream = ? ORDER BY number", (number,)
    ).fetchall()
    return Body(
        call, settings, verdict, later[0] if later else state, tuple(row[0] for row in records)
    )


def page(connection: sqlite3.Connection, number: int, after: int) -> list[tuple[int, bytes]]:
    """(last chunk's number, chunks) of the next groups behind ``after``, PAGE_ROWS at most."""
    return connection.execute(
        "SELECT last, chunks FROM groups WHERE stream = ? AND last > ? ORDER BY last LIMIT ?",
        (number, after, PAGE_ROWS),
    ).fetchall()


def infos(connection: sqlite3.Connection, stream_id: Optional[str] = None) -> list[StreamInfo]:
    """All streams, or this one, the latest first, with the status as it was written."""
    if stream_id is None:
        found = connection.execute(f"{_INFO} ORDER BY s.number DESC")
    else:
        found = connection.execute(f"{_INFO} WHERE s.stream_id = ?", (stream_id,))
    return [StreamInfo(*row) for row in found.fetchall()]
