"""RedisStore: the one door to the redis library, and the keys under which streams stand.

Here lives how a Redis is reached and asked, and what its errors mean. What is done in Redis itself
is in ``redis_scripts``. Any client of the library's will do, also one of a cluster or a Sentinel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha1
from typing import Any, NamedTuple, Optional

from streamsafe.errors import ConfigurationError, StorageError
from streamsafe.journal.base import StreamInfo
from streamsafe.journal.masking import masked

#: Entries taken at a time, so that memory stays flat.
PAGE_ENTRIES = 256
#: Streams that are asked for in one round trip.
PIPELINE = 256

_INFO = (
    "status", "provider", "model", "created", "updated", "last", "total", "error", "owner", "note",
)  # fmt: skip


class Row(NamedTuple):
    """A stream as far as most questions need it."""

    status: str
    restart: int


class Body(NamedTuple):
    """The bytes of a stream without its chunks."""

    row: Row
    meta: Mapping[bytes, bytes]
    records: Sequence[bytes]


class RedisStore:
    """Asks one Redis; from any thread. Everything may raise StorageError.

    Nothing is connected until the first question. ``client`` is the program's own and stays open;
    without it one is made from ``url``. ``timeout``: seconds until an answer is given up.
    """

    def __init__(self, url: str, client: Optional[Any], prefix: str, timeout: float) -> None:
        self.name = str(masked(url)) if client is None else repr(client)
        if "{" in prefix:
            raise ConfigurationError(f"RedisJournal(prefix={prefix!r}): braces choose the node")
        self._prefix = prefix
        self._own = client is None
        self._client = _made(url, timeout) if client is None else _fit(client)
        # A client of the program's own that another thread closes says it with what its reader
        # stumbled over. Not all that there is: a signal's handler may raise, and is to be heard.
        self._stumbles = () if self._own else (AttributeError, ValueError)
        self._shas: dict[str, str] = {}
        self._closes = 0

    def run(self, script: str, stream_id: str, *arguments: Any) -> Any:
        """Run one of ``redis_scripts`` on a stream."""
        keys = [self._key(stream_id, part) for part in ("meta", "chunks", "attempts", "lease")]
        digest = self._shas.get(script)
        if digest is None:
            digest = self._shas[script] = sha1(script.encode()).hexdigest()
        with self._asking() as client:
            try:
                return client.evalsha(digest, len(keys), *keys, *arguments)
            except Exception as error:
                if type(error).__name__ != "NoScriptError":
                    raise
            # The first time, or Redis was started anew: this leaves it there.
            return client.eval(script, len(keys), *keys, *arguments)

    # -- one stream ------------------------------------------------------------------------------

    def row(self, stream_id: str) -> Optional[Row]:
        """Where it is; None if there is none."""
        with self._asking() as client, client.pipeline(transaction=False) as pipe:
            pipe.hmget(self._key(stream_id, "meta"), "status", "restart")
            pipe.exists(self._key(stream_id, "lease"))
            (status, restart), leased = pipe.execute()
        if status is None:
            return None
        return Row(_judged(status.decode(), leased), int(restart or 0))

    def body(self, stream_id: str) -> Optional[Body]:
        """What it was asked, where it is and how it went; None if there is none."""
        with self._asking() as client, client.pipeline(transaction=False) as pipe:
            pipe.hgetall(self._key(stream_id, "meta"))
            pipe.hgetall(self._key(stream_id, "attempts"))
            pipe.exists(self._key(stream_id, "lease"))
            meta, attempts, leased = pipe.execute()
        if not meta:
            return None
        row = Row(_judged(meta[b"status"].decode(), leased), int(meta.get(b"restart", 0)))
        return Body(row, meta, [attempts[number] for number in sorted(attempts, key=int)])

    def page(self, stream_id: str, cursor: str) -> list[tuple[str, Optional[bytes]]]:
        """(id, chunks) of the next entries behind the id ``cursor``, PAGE_ENTRIES at most."""
        number, place = cursor.split("-")
        with self._asking() as client:
            found = client.xrange(
                self._key(stream_id, "chunks"), f"{number}-{int(place) + 1}", "+", PAGE_ENTRIES
            )
        return [(where.decode(), fields.get(b"chunks")) for where, fields in found]

    def wait(self, stream_id: str, cursor: str, seconds: float) -> None:
        """Until there is an entry behind ``cursor``, for so many seconds at most."""
        with self._asking() as client:
            key = self._key(stream_id, "chunks")
            client.xread({key: cursor}, count=1, block=max(1, int(seconds * 1000)))

    # -- all streams -----------------------------------------------------------------------------

    def enlist(self, stream_id: str, created: float) -> None:
        """Have it found by ``infos``."""
        with self._asking() as client:
            client.zadd(self._index, {stream_id: created}, nx=True)

    def names(self, before: Optional[float] = None) -> list[str]:
        """The streams that were begun ``before``, the latest first; also those that have gone."""
        until = "+inf" if before is None else before
        with self._asking() as client:
            return [name.decode() for name in client.zrevrangebyscore(self._index, until, "-inf")]

    def infos(self, names: Sequence[str]) -> list[StreamInfo]:
        """These streams as far as they are there; what has gone is taken off the list."""
        found, gone = [], []
        for start in range(0, len(names), PIPELINE):
            part = names[start : start + PIPELINE]
            with self._asking() as client, client.pipeline(transaction=False) as pipe:
                for name in part:
                    pipe.hmget(self._key(name, "meta"), *_INFO)
                    pipe.exists(self._key(name, "lease"))
                answers = pipe.execute()
            for name, fields, leased in zip(part, answers[::2], answers[1::2]):
                if fields[0] is None:
                    gone.append(name)
                else:
                    found.append(_info(name, fields, leased))
        if gone:
            with self._asking() as client:
                client.zrem(self._index, *gone)
        return found

    def delete(self, stream_id: str) -> None:
        """The stream, with all that is its."""
        with self._asking() as client:
            parts = ("meta", "chunks", "attempts", "lease")
            client.delete(*(self._key(stream_id, part) for part in parts))
            client.zrem(self._index, stream_id)

    def close(self) -> None:
        """Close the connections, if they are not the program's; the next use opens others. One
        that another thread waits on is closed when it has its answer."""
        if self._own:
            self._closes += 1
            self._rest()

    def _rest(self) -> None:
        # Not client.close(): that takes connections away from under those who read from them.
        self._client.connection_pool.disconnect(inuse_connections=False)

    @property
    def _index(self) -> str:
        return f"{self._prefix}:streams"

    def _key(self, stream_id: str, part: str) -> str:
        # What is in the first braces decides on the node.
        tag = stream_id.replace("%", "%25").replace("}", "%7D")
        return f"{self._prefix}:{{{tag}}}:{part}"

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        from redis import RedisError

        closes = self._closes
        try:
            yield self._client
        except (RedisError, OSError, UnicodeEncodeError, *self._stumbles) as error:
            raise StorageError(
                f"the journal {self.name} could not be used: {error or type(error).__name__}",
                hint="is Redis up, reached from here, and not out of memory?",
            ) from error
        finally:
            if self._closes != closes:
                self._rest()


def _made(url: str, timeout: float) -> Any:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ImportError(
            'RedisJournal needs the redis library: pip install "streamsafe[redis]"'
        ) from error
    try:
        # One more try at once: a connection from the pool may be of a Redis before its restart.
        return Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError as error:
        # Not the URL itself: a password may stand in it.
        raise ConfigurationError(f"the URL of a RedisJournal can't be read: {error}") from error


def _fit(client: Any) -> Any:
    if client.get_encoder().decode_responses:
        raise ConfigurationError(
            "RedisJournal(client=...): it decodes what it reads",
            hint="make it with decode_responses=False",
        )
    return client


def _judged(written: str, leased: int) -> str:
    return written if written != "streaming" or leased else "interrupted"


def _info(name: str, fields: Sequence[Optional[bytes]], leased: int) -> StreamInfo:
    texts = [None if field is None else field.decode("utf-8", "replace") for field in fields]
    status, provider, model, created, updated, last, total, error, owner, note = texts
    return StreamInfo(
        name,
        _judged(status or "", leased),
        provider or "",
        model,
        float(created or 0),
        float(updated or 0),
        int(last or 0),
        int(total or 0),
        error,
        owner,
        note,
    )
