"""Journals: the durable record of streams. Sinks: where their text goes as it comes.

Here live the protocol (``base``), what is written (``codec``), the embedded journal (``sqlite``),
the one for several machines (``redis``) and the sinks. Nothing here knows requests, retries or
providers. The journals are imported when they are asked for, since each wants a database library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamsafe.journal.redis import RedisJournal
    from streamsafe.journal.sqlite import SQLiteJournal

__all__ = ["RedisJournal", "SQLiteJournal"]


def __getattr__(name: str) -> Any:
    if name == "SQLiteJournal":
        from streamsafe.journal.sqlite import SQLiteJournal

        return SQLiteJournal
    if name == "RedisJournal":
        from streamsafe.journal.redis import RedisJournal

        return RedisJournal
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
