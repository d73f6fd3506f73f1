"""RedisJournal: a journal for more than one machine, in Redis Streams.

Here lives what is written at each of a stream's steps, and how it is found again and followed.
How Redis is asked is in ``redis_store``, what happens while it is away in ``redis_writer``, what is
done in Redis itself in ``redis_scripts``.
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, Optional

from streamsafe.errors import ConfigurationError, ResumeError
from streamsafe.journal import codec, redis_scripts as scripts
from streamsafe.journal.base import STATUSES, Retention, Saved, StreamInfo
from streamsafe.journal.masking import without
from streamsafe.journal.redis_store import RedisStore, Row
from streamsafe.journal.redis_writer import Claim, Group, Write, Writer
from streamsafe.models import Attempt, Call, Chunk, Completion

#: Seconds a follower waits in Redis before it looks whether the writer still lives.
FOLLOW_WAIT = 1.0
#: Seconds between two looks for names whose streams have gone.
SWEEP_EVERY = 600.0


class RedisJournal:
    """A journal in a Redis (5 or newer), for any number of processes and machines.

    ``url``: ``redis://``, ``rediss://`` or ``unix://``; or ``client``, one of the redis library's
    of your own (a cluster's, a Sentinel's), which must not decode what it reads, must wait longer
    than a second for an answer, and stays open. Nothing is connected before the first use.
    ``prefix`` begins all keys.

    ``ttl``: seconds after the last write when a stream goes by itself, None = never. ``lease``:
    seconds after which the stream of a process that died counts as interrupted; one that lives
    renews it. ``timeout``: seconds until an answer of Redis is given up. ``keep_raw=True`` keeps
    the JSON payloads of the chunks as well.

    **When Redis goes away in the middle of a stream, the stream goes on**, with a warning in the
    log: what can't be written is kept, ``backlog`` bytes a stream at most, and written when Redis
    is back, which ``info().note`` then tells. What is more than that is not written, and the log
    says so. A stream does not begin, and is not gone on with, without Redis: StorageError.

    Raises ConfigurationError for what can't be right, ImportError without the extra ``redis``.
    Thread-safe and fork-safe; picklable where it has a ``url``.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        *,
        client: Optional[Any] = None,
        prefix: str = "streamsafe",
        ttl: Optional[float] = 86_400.0,
        lease: float = 30.0,
        timeout: float = 5.0,
        backlog: int = 16 * 1024 * 1024,
        keep_raw: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        _check(ttl=ttl, lease=lease, timeout=timeout)
        self._settings = {
            "url": url, "prefix": prefix, "ttl": ttl, "lease": lease, "timeout": timeout,
            "backlog": backlog, "keep_raw": keep_raw, "wall": wall,
        }  # fmt: skip
        self._ttl = ttl
        self._swept = time.monotonic()
        self._picklable = client is None
        self._timeout = timeout
        self._keep_raw = keep_raw
        self._wall = wall
        self._store = RedisStore(url, client, prefix, timeout)
        self._writer = Writer(self._store, lease, ttl, backlog)
        self._claims: dict[str, Claim] = {}
        _living.add(self)

    def __reduce__(self) -> Any:
        if not self._picklable:
            raise TypeError("a RedisJournal with a client can't be pickled; give it a url")
        return (_reopened, (self._settings,))

    def __repr__(self) -> str:
        return f"RedisJournal({self._store.name!r})"

    def forked(self) -> None:
        """In a new child: the streams are the parent's."""
        self._writer.forked()
        self._claims = {}

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
        claim, now = Claim(stream_id, _owner(), secrets), self._wall()
        claim.state = b""
        fields = {
            "status": "streaming",
            "provider": provider,
            "created": now,
            "updated": now,
            "call": codec.call_to_json(call, secrets),
            "settings": codec.plain_to_json(settings, secrets),
        }
        if call.model is not None:
            fields["model"] = call.model
        self._sweep(now)
        # On the list first: a name that is on it without being there is taken off again.
        self._store.enlist(stream_id, now)
        flat = [part for field in fields.items() for part in field]
        if self._writer.run(claim, scripts.BEGIN, *flat) != scripts.DONE:
            raise ResumeError(
                f"the journal {self._store.name} has a stream {stream_id!r} already",
                hint="take another stream_id, or session.resume() to go on with that one",
            )
        self._hold(claim)

    def claim(self, stream_id: str, *, secrets: Sequence[str] = ()) -> None:
        """Take over a stream; see ``base.Journal.claim``."""
        claim = Claim(stream_id, _owner(), secrets)
        found = self._writer.run(claim, scripts.CLAIM, self._wall())
        status = found[0].decode()
        if status == "unknown":
            raise self._unknown(stream_id)
        if status == "streaming":
            raise ResumeError(
                f"stream {stream_id!r} is being read at this moment by process {found[3].decode()}",
                hint="journal.read(stream_id, follow=True) follows it",
            )
        if status == "complete":
            raise ResumeError(
                f"stream {stream_id!r} is complete",
                hint="journal.transcript() and journal.load() have its answer",
            )
        claim.last, claim.total = int(found[1]), int(found[2])
        self._hold(claim)

    def _hold(self, claim: Claim) -> None:
        self._claims[claim.stream_id] = claim
        self._writer.hold(claim)

    def release(self, stream_id: str) -> None:
        """Give up writing without an end: others may claim it. Harmless if it is not held."""
        claim = self._claims.pop(stream_id, None)
        if claim is not None:
            self._writer.drop(claim)
            self._writer.run(claim, scripts.RELEASE)

    def append(
        self, stream_id: str, chunks: Sequence[Chunk], *, state: Optional[Mapping[str, Any]] = None
    ) -> int:
        """Write the chunks of one network read; see ``base.Journal.append``."""
        claim = self._claimed(stream_id)
        new_state = claim.changed(state)
        if chunks:
            body = codec.chunks_to_json(chunks, self._keep_raw)
            restarts = [at for at, chunk in enumerate(chunks, 1) if chunk.kind == "restart"]
            group = Group(
                claim.last,
                claim.last + len(chunks),
                self._wall(),
                claim.total + len(body),
                body,
                new_state,
                claim.last + restarts[-1] if restarts else 0,
            )
            claim.last, claim.total = group.last, group.total
            self._writer.put(claim, group)
        elif new_state is not None:
            self._writer.put(claim, Write(scripts.STATE, (new_state,)))
        if new_state is not None:
            claim.state = new_state
        return claim.last

    def attempt(
        self, stream_id: str, attempt: Attempt, *, state: Optional[Mapping[str, Any]] = None
    ) -> None:
        """An attempt has ended; see ``base.Journal.attempt``."""
        claim = self._claimed(stream_id)
        record = codec.attempt_to_json(attempt, claim.secrets)
        self._writer.put(claim, Write(scripts.ATTEMPT, (attempt.number, record)))
        self.append(stream_id, (), state=state)

    def end(
        self, stream_id: str, completion: Completion, status: str, error: Optional[str] = None
    ) -> None:
        """The stream has ended; see ``base.Journal.end``."""
        claim = self._claimed(stream_id)
        verdict = codec.verdict_to_json(completion, claim.secrets)
        said = str(without(error or "", claim.secrets)).encode("utf-8", "replace")
        del self._claims[stream_id]
        self._writer.end(claim, Write(scripts.END, (status, self._wall(), said, verdict)))

    # -- asked by anybody ----------------------------------------------------------------------

    def load(self, stream_id: str) -> Saved:
        """What is written of a stream. ResumeError for an unknown id."""
        body = self._store.body(stream_id)
        if body is None:
            raise self._unknown(stream_id)
        meta = body.meta
        records = tuple(codec.attempt_from_json(record) for record in body.records)
        chunks = tuple(chunk for _, chunk in self._pages(stream_id, body.row.restart))
        verdict, state = meta.get(b"verdict"), meta.get(b"state")
        return Saved(
            stream_id,
            body.row.status,
            codec.call_from_json(meta[b"call"]),
            meta[b"provider"].decode(),
            codec.from_json(meta[b"settings"]),
            chunks,
            len(records),
            codec.from_json(state) if state else {},
            records,
            codec.verdict_from_json(verdict, stream_id, chunks, records) if verdict else None,
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
        row = self._row(stream_id)
        if follow:
            return self._follow(stream_id, after, timeout)
        return self._pages(stream_id, max(after, row.restart - 1))

    def _pages(self, stream_id: str, after: int) -> Iterator[tuple[int, Chunk]]:
        """(number, chunk) of all that is there behind ``after``."""
        cursor = f"{after}-0"
        while True:
            entries = self._store.page(stream_id, cursor)
            if not entries:
                return
            for cursor, body in entries:
                yield from _numbered(cursor, body, after)

    def _follow(
        self, stream_id: str, after: int, timeout: Optional[float]
    ) -> Iterator[tuple[int, Chunk]]:
        cursor, heard = f"{after}-0", time.monotonic()
        while True:
            # The status is looked at before the chunks: an end that comes between is seen later.
            row = self._row(stream_id)
            if row.restart - 1 > after:
                after = row.restart - 1
                cursor = f"{after}-0"
            entries = self._store.page(stream_id, cursor)
            for cursor, body in entries:
                for after, chunk in _numbered(cursor, body, after):
                    yield after, chunk
                    heard = time.monotonic()
            if entries:
                continue
            if row.status != "streaming" and (row.status != "interrupted" or timeout is None):
                return
            left = FOLLOW_WAIT
            if timeout is not None:
                left = min(left, heard + timeout - time.monotonic())
                if left <= 0:
                    return
            self._store.wait(stream_id, cursor, left)

    def info(self, stream_id: str) -> StreamInfo:
        """Status, times and sizes of one stream. ResumeError for an unknown id."""
        found = self._store.infos([stream_id])
        if not found:
            raise self._unknown(stream_id)
        return found[0]

    def list(self, status: Optional[str] = None) -> list[StreamInfo]:
        """The streams, the latest first; those of one status."""
        if status is not None and status not in STATUSES:
            raise ConfigurationError(f"status={status!r}: expected one of {', '.join(STATUSES)}")
        found = self._store.infos(self._store.names())
        return [info for info in found if status in (None, info.status)]

    def transcript(self, stream_id: str) -> str:
        """The text of the first choice so far, since the last "restart"."""
        restart = self._row(stream_id).restart
        return "".join(
            chunk.text for _, chunk in self._pages(stream_id, restart) if not chunk.index
        )

    def purge(
        self,
        *,
        older_than: Optional[float] = None,
        keep: Optional[int] = None,
        max_bytes: Optional[int] = None,
    ) -> int:
        """Delete what need not be kept (see ``base.Retention``); how many streams went."""
        retention = Retention(older_than, keep, max_bytes)
        doomed = retention.lets_go(self.list(), self._wall())
        for stream_id in doomed:
            self._store.delete(stream_id)
        return len(doomed)

    def _sweep(self, now: float) -> None:
        """Take off the list what has gone by itself; Redis does that to whole keys alone."""
        if self._ttl is not None and time.monotonic() > self._swept + SWEEP_EVERY:
            self._swept = time.monotonic()
            self._store.infos(self._store.names(before=now - self._ttl))

    def close(self) -> None:
        """Let go of the connections; they are opened again at the next use. Streams go on. What
        waits for a Redis that is away is waited for, ``timeout`` seconds at most."""
        self._writer.settle(self._timeout)
        self._store.close()

    def __enter__(self) -> RedisJournal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _row(self, stream_id: str) -> Row:
        row = self._store.row(stream_id)
        if row is None:
            raise self._unknown(stream_id)
        return row

    def _unknown(self, stream_id: str) -> ResumeError:
        return ResumeError(
            f"the journal {self._store.name} has no stream {stream_id!r}",
            hint="journal.list() names those that it has",
        )

    def _claimed(self, stream_id: str) -> Claim:
        try:
            return self._claims[stream_id]
        except KeyError:
            raise ResumeError(
                f"stream {stream_id!r} is not written by this process, or not any more",
                hint="begin() or claim() it; a forked child does not take its parent's streams",
            ) from None


def _owner() -> str:
    """A name for one claim: what is written under it by anybody else is refused."""
    return f"{os.getpid()}@{socket.gethostname()}#{os.urandom(6).hex()}"


def _numbered(entry: str, body: Optional[bytes], after: int) -> Iterator[tuple[int, Chunk]]:
    """(number, chunk) of one entry's chunks behind ``after``."""
    chunks = codec.chunks_from_json(body) if body is not None else []
    first = int(entry.partition("-")[0]) - len(chunks) + 1
    for number, chunk in enumerate(chunks, first):
        if number > after:
            yield number, chunk


def _check(**seconds: Optional[float]) -> None:
    for name, value in seconds.items():
        if value is None and name == "ttl":
            continue
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise ConfigurationError(f"RedisJournal({name}={value!r}): expected seconds above 0")


def _reopened(settings: Mapping[str, Any]) -> RedisJournal:
    return RedisJournal(**settings)


#: The journals of this process, so that a fork can mend those that the child inherits.
_living: weakref.WeakSet[RedisJournal] = weakref.WeakSet()


def _in_child() -> None:
    for journal in list(_living):
        journal.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
