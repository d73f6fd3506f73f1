"""Writer: a process's writes to Redis, in their order, also while Redis is away.

Here lives the choice that the stream goes on when Redis does not: what could not be written is
kept, up to a bound, and written by a thread when Redis is back. That thread also renews the leases
by which others know that this process lives. It is there as long as a stream is written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from streamsafe.errors import ResumeError, StorageError
from streamsafe.journal import codec
from streamsafe.journal import redis_scripts as scripts
from streamsafe.journal.redis_store import RedisStore

logger = logging.getLogger("streamsafe")

#: Seconds between two tries to reach a Redis that is away.
AGAIN = 1.0
#: For how long it is tried once the stream itself has ended, in seconds.
PATIENCE = 60.0
#: Network reads that are written late become one entry, up to this size.
MERGED_BYTES = 256 * 1024
#: What a write takes in memory besides its bytes, about.
WRITE_BYTES = 200


class Group(NamedTuple):
    """The chunks behind the number ``base``, up to ``last``; ``state`` None = as it was."""

    base: int
    last: int
    at: float
    total: int
    chunks: bytes
    state: Optional[bytes]
    restart: int

    @property
    def size(self) -> int:
        """Bytes that it takes to keep."""
        return WRITE_BYTES + len(self.chunks) + len(self.state or b"")

    def joined(self, later: Group) -> Group:
        """This and the next one as one."""
        return later._replace(
            base=self.base,
            chunks=self.chunks[:-1] + b"," + later.chunks[1:],
            state=self.state if later.state is None else later.state,
            restart=later.restart or self.restart,
        )


class Write(NamedTuple):
    """Any other write: a script with its arguments."""

    script: str
    arguments: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that it takes to keep."""
        return WRITE_BYTES + sum(len(part) for part in self.arguments if isinstance(part, bytes))


class Claim:
    """A stream that this process writes: what its reading thread knows of it, and what the
    writer does, whose lock guards all behind ``pending``.

    ``pending`` waits for Redis, which is away since ``away``; ``tried``: it may have taken the
    first of it, whose answer was lost. ``closed`` says why nothing is written any more; ``ended``
    is when the stream ended, ``ending`` that its end may be on its way.
    """

    __slots__ = (
        "stream_id", "owner", "secrets", "last", "total", "state",
        "pending", "size", "tried", "away", "late", "notes", "ending", "ended", "closed",
    )  # fmt: skip

    def __init__(
        self, stream_id: str, owner: str, secrets: Sequence[str], last: int = 0, total: int = 0
    ) -> None:
        self.stream_id = stream_id
        self.owner = owner
        self.secrets = tuple(secrets)
        self.last = last
        self.total = total
        self.state: Optional[bytes] = None
        self.pending: deque[Union[Group, Write]] = deque()
        self.size = 0
        self.tried = False
        self.away: Optional[float] = None
        self.late = 0
        self.notes: list[str] = []
        self.ending = False
        self.ended: Optional[float] = None
        self.closed = ""

    def changed(self, state: Optional[Mapping[str, Any]]) -> Optional[bytes]:
        """The cursor to write, b"" for none; None if it stands there already."""
        written = codec.to_json(state) if state else b""
        return None if written == self.state else written


class Writer:
    """Writes for all streams of a journal. ``lease`` and ``ttl`` in seconds; ``bound``: how many
    bytes of a stream are kept while Redis is away."""

    def __init__(self, store: RedisStore, lease: float, ttl: Optional[float], bound: int) -> None:
        self._store = store
        self._beat_every = lease / 3
        self._times = (int(lease * 1000), int((ttl or 0) * 1000))
        self._bound = bound
        self.forked()

    def forked(self) -> None:
        """In a new child: the streams are the parent's."""
        # Guards the claims and what is pending of them. Reentrant, since the garbage collector
        # may end a dropped stream anywhere.
        self._turn = threading.Condition(threading.RLock())
        self._claims: set[Claim] = set()
        self._thread: Optional[threading.Thread] = None

    def run(self, claim: Claim, script: str, *arguments: Any) -> Any:
        """Run a script now, as this claim's owner."""
        return self._store.run(script, claim.stream_id, claim.owner, *self._times, *arguments)

    def hold(self, claim: Claim) -> None:
        """Keep the claim alive from now on."""
        with self._turn:
            self._claims.add(claim)
            self._turn.notify_all()
            if self._thread is None:
                # A daemon: a program that leaves is not held up by a Redis that is away.
                self._thread = threading.Thread(
                    target=self._beat, name="streamsafe-redis-journal", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:  # no thread is to be had now; there may be later
                    self._thread = None
                    self._claims.discard(claim)
                    raise

    def drop(self, claim: Claim) -> None:
        """It is not written any more."""
        with self._turn:
            self._claims.discard(claim)
            claim.pending.clear()
            claim.size = 0
            self._turn.notify_all()

    def put(self, claim: Claim, write: Union[Group, Write]) -> None:
        """Write this now, or when Redis is back. By the reading thread. Raises ResumeError if
        somebody else has the stream."""
        with self._turn:
            behind = bool(claim.pending)
            if behind:
                self._keep(claim, write)
        if not behind and not claim.closed:
            try:
                self._send(claim, write)
            except StorageError as error:
                self._away(claim, error)
                with self._turn:
                    claim.tried = True
                    self._keep(claim, write)
        if claim.size > self._bound:
            self._shut(claim, "full", f"Redis is away, and more than {self._bound:,} bytes wait")
        if claim.closed == "taken":
            raise ResumeError(
                f"stream {claim.stream_id!r} is written by somebody else now",
                hint="this process did not reach Redis for longer than its lease",
            )

    def end(self, claim: Claim, write: Write) -> None:
        """Write this as the last; what waits for Redis then has PATIENCE."""
        claim.ending = True
        try:
            self.put(claim, write)
        finally:
            with self._turn:
                claim.ended = time.monotonic()
                if not claim.pending:
                    self.drop(claim)

    def settle(self, seconds: float) -> None:
        """Wait until nothing is pending, and, if no stream is written any more, until the thread
        is out of Redis; for so long at most."""
        with self._turn:
            self._turn.wait_for(self._is_settled, seconds)

    def _is_settled(self) -> bool:
        if self._claims:
            return not any(claim.pending for claim in self._claims)
        return self._thread is None

    def _send(self, claim: Claim, write: Union[Group, Write]) -> None:
        if isinstance(write, Group):
            *facts, state, restart = write
            given = (*facts, 0 if state is None else 1, state or b"", restart)
            code = self.run(claim, scripts.APPEND, *given)
        else:
            code = self.run(claim, write.script, *write.arguments)
        self._judge(claim, code)

    def _renew(self, claim: Claim) -> None:
        code = self.run(claim, scripts.RENEW)
        if not claim.ending:  # else its end may have got there before
            self._judge(claim, code)

    def _judge(self, claim: Claim, code: int) -> None:
        with self._turn:
            if claim not in self._claims:
                return  # its end or its release got there before: nobody else has it
        if code == scripts.OTHER:
            self._shut(claim, "taken", "somebody else has it")
        elif code == scripts.GONE:
            self._shut(claim, "gone", "Redis has lost what was written")

    def _keep(self, claim: Claim, write: Union[Group, Write]) -> None:
        claim.pending.append(write)
        claim.size += write.size
        self._turn.notify_all()

    def _shut(self, claim: Claim, kind: str, why: str) -> None:
        with self._turn:
            claim.closed = kind
            self.drop(claim)
        logger.error(
            "stream %s is not written to the journal %s any more: %s",
            claim.stream_id, self._store.name, why,
        )  # fmt: skip

    # -- away and back -----------------------------------------------------------------------------

    def _beat(self) -> None:
        """The thread: renews the leases, and catches up with what is pending."""
        renewed = tried = time.monotonic()
        while True:
            with self._turn:
                while self._claims:
                    behind = any(claim.pending for claim in self._claims)
                    due = min(renewed + self._beat_every, tried + AGAIN if behind else float("inf"))
                    left = due - time.monotonic()
                    if left <= 0:
                        break
                    self._turn.wait(left)
                if not self._claims:
                    self._thread = None
                    self._turn.notify_all()
                    return
                claims = list(self._claims)
            tried = time.monotonic()
            if tried >= renewed + self._beat_every:
                renewed = tried
            self._tend(claims, renewed == tried)

    def _tend(self, claims: Sequence[Claim], renew: bool) -> None:
        for claim in claims:
            try:
                if claim.pending:
                    self._catch_up(claim)
                elif renew:
                    self._renew(claim)
            except StorageError as error:
                self._away(claim, error)
                if claim.ended is not None and time.monotonic() > claim.ended + PATIENCE:
                    self._shut(claim, "late", f"{PATIENCE:.0f} s after its end: {error}")
                return  # each claim more would wait for the same Redis

    def _away(self, claim: Claim, error: StorageError) -> None:
        with self._turn:
            news = claim.away is None and not claim.closed
            if news:
                claim.away = time.monotonic()
        if news:
            logger.warning(
                "stream %s goes on without being written for now: %s", claim.stream_id, error
            )

    def _catch_up(self, claim: Claim) -> None:
        while True:
            with self._turn:
                if not claim.pending:
                    break
                write = self._next(claim)
            if isinstance(write, Write) and write.script == scripts.END:
                self._note(claim)
            self._send(claim, write)
            with self._turn:
                if claim not in self._claims:
                    return  # shut, or released meanwhile: nothing is pending any more
                claim.size -= claim.pending.popleft().size
                claim.tried = False
            if isinstance(write, Group):
                claim.late += write.last - write.base
        self._note(claim)
        with self._turn:
            self._turn.notify_all()
            if claim.ended is not None:
                self.drop(claim)

    def _next(self, claim: Claim) -> Union[Group, Write]:
        """The first of what is pending, and with a group those behind it, as one. What was sent
        before is sent again as it was, since it may have got there."""
        pending = claim.pending
        whole = pending[0]
        while not claim.tried and isinstance(whole, Group) and len(pending) > 1:
            later = pending[1]
            if not isinstance(later, Group) or whole.size + later.size > MERGED_BYTES:
                break
            pending.popleft()
            claim.size -= whole.size + later.size
            pending[0] = whole = whole.joined(later)
            claim.size += whole.size
        claim.tried = True
        return whole

    def _note(self, claim: Claim) -> None:
        """Say in the record that Redis was away."""
        if claim.away is None:
            return
        seconds, claim.away = time.monotonic() - claim.away, None
        claim.notes.append(
            f"Redis was away for {seconds:.1f} s; {claim.late} chunks were written late"
        )
        claim.late = 0
        self._send(claim, Write(scripts.NOTE, ("; ".join(claim.notes).encode(),)))
        logger.warning("stream %s is written again: %s", claim.stream_id, claim.notes[-1])
