"""Attempt: one HTTP request and the reading of its response, from open to verdict.

Here lives the reading thread's loop over reads and its side of the watchdog. An attempt knows
nothing of retries, of what was delivered before it, or of the program: it gives lists of chunks,
one list a read, and ends by returning (the API said that the answer is whole) or by raising.

Promise 2 is kept here: only the decoder's ``finished`` makes a good end. A body that ends before
is an IncompleteStreamError, and after it neither a cut nor a silent server is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Callable, NamedTuple, Optional, Union

from streamsafe.engine import watchdog
from streamsafe.engine.body import Body, incomplete
from streamsafe.engine.clocks import Clocks
from streamsafe.engine.timing import Clock, Deadline, Timeouts
from streamsafe.errors import (
    masked,
    ConnectionDroppedError,
    StreamingError,
    StreamTimeoutError,
)
from streamsafe.lifecycle import AttemptStarted, Chunks, Malformed, Opened, Record, Step
from streamsafe.limits import Limits
from streamsafe.models import CONTENT_KINDS, Attempt as AttemptRecord, Chunk, Request
from streamsafe.providers.base import Decoder, Provider
from streamsafe.wire.jsonarray import JSONArrayFramer
from streamsafe.wire.ndjson import NDJSONFramer
from streamsafe.wire.scope import Scope
from streamsafe.wire.sse import SSEFramer
from streamsafe.wire.transport import Response, Transport

# A third of the price of calling the class, once a read.
_new = tuple.__new__

Framer = Union[SSEFramer, NDJSONFramer, JSONArrayFramer]

#: How often bytes that wait unread are looked for again before a silent server is cut.
PENDING_LOOK = 0.05


class Terms(NamedTuple):
    """What is the same for all attempts of a stream."""

    transport: Transport
    timeouts: Timeouts
    limits: Limits
    clock: Clock
    deadline: Deadline
    stream_id: str
    secrets: tuple[str, ...]
    skip_malformed: bool
    #: Told of every record, or None if nobody observes: then none is made.
    notify: Optional[Callable[[Record], None]]
    #: Told of malformed events that are skipped, on the reading thread.
    on_malformed: Callable[[StreamingError], None]
    #: Told of silence by the watchdog's thread; must not block.
    on_silence: Callable[[float], None]


class Attempt:
    """One try. ``chunks()`` is run once, by one thread; ``scope.abort`` may come from any."""

    def __init__(
        self,
        terms: Terms,
        request: Request,
        provider: Provider,
        decoder: Decoder,
        number: int,
        waited: float,
    ) -> None:
        self._terms = terms
        self._request = request
        self._provider = provider
        self._number = number
        self._waited = waited
        self.decoder = decoder
        self._watch: watchdog.Watch
        self._response: Optional[Response] = None
        #: What cuts the body into events, once it is known what the body is.
        self.framer: Optional[Framer] = None
        self.scope = Scope()
        self.sent = False
        self.status: Optional[int] = None
        self.request_id: Optional[str] = None
        self._headers: Mapping[str, str] = {}
        self._reused = False
        self._started = terms.clock.now()
        self._wall = terms.clock.wall()
        #: Of the list that was given last: when it was read and whether it has content.
        self.read_at = self._started
        self.brought_content = False
        #: Seconds that the program has held the attempt's chunks so far.
        self.held = 0.0
        self._warned = False
        self._patience: Optional[float] = None
        total = terms.deadline
        self._clocks = Clocks(terms.timeouts, self._started, total.at, total.limit or 0.0)
        decoder.skip_malformed = terms.skip_malformed

    # -- for the stream ------------------------------------------------------------------

    def __enter__(self) -> Attempt:
        self._watch = watchdog.watch(self._first_look(), self._look)
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> None:
        if isinstance(error, StreamingError):
            error.request_id = error.request_id or self.request_id
            error.mask(self._terms.secrets)
        self._watch.stop()
        response, self._response = self._response, None
        try:
            if response is not None:
                response.close()
        finally:
            self.scope.detach()

    def chunks(self) -> Iterator[list[Chunk]]:
        """Lists of chunks, one a read; they return at the answer's end or raise StreamingError.

        Asked for in a ``with`` block of the attempt, at whose end the connection is let go of, and
        an error that leaves it has ``request_id``, without the stream's facts.
        """
        body = self._open()
        response = self._response = body.response
        kind, head = body.kind()
        if kind == "document":
            return self._document(body, head)
        framer = self.framer = _framer(kind, self._terms.limits)
        # An id persists over a reconnect, too.
        framer.last_event_id = self.decoder.last_event_id
        return self._events(response, framer, head)

    def record(
        self, outcome: str, error: Optional[BaseException] = None, **facts: Any
    ) -> AttemptRecord:
        """The record of this attempt as it stands."""
        return AttemptRecord(
            number=self._number,
            started=self._wall,
            status=self.status,
            request_id=self.request_id,
            outcome=outcome,
            error=error,
            waited=self._waited,
            sent=self.sent,
            reused=self._reused,
            duration=self._terms.clock.now() - self._started,
            provider=self._provider.name,
            headers=masked(self._headers, self._terms.secrets),
            **facts,
        )

    # -- opening ---------------------------------------------------------------------------

    def _open(self) -> Body:
        terms = self._terms
        self._notify(AttemptStarted, self._number, self._request)
        try:
            response = terms.transport.open(
                self._request,
                self.scope,
                connect_timeout=terms.timeouts.connect,
                read_timeout=terms.timeouts.first_token,
                on_step=self._on_step,
            )
        except StreamingError as error:
            raise (self.scope.cause or error) from error
        try:
            self._opened(response)
            body = Body(
                response, self._provider, terms.limits, self.scope, self._clocks, terms.clock.now,
                self._notify,
            )  # fmt: skip
            if not 200 <= response.status < 300:
                raise body.refusal()
        except BaseException:
            response.close()
            raise
        return body

    def _on_step(self, name: str, detail: Mapping[str, Any]) -> None:
        now = self._terms.clock.now()
        self._notify(Step, name, detail)
        if name in ("resolving", "connecting"):
            if self._clocks.phase == "opening":
                self._clocks.enter("connecting", now)
        elif name == "sent":
            self.sent = True
            self._clocks.enter("first", now)
        elif name in ("reused", "tls") or (name == "connected" and not self._over_tls):
            # The connection is there: sending a large body is not the connect clock's affair.
            self._clocks.enter("first", now)
        elif name == "stale":
            self._clocks.enter("opening", now)

    @property
    def _over_tls(self) -> bool:
        return self._request.url.lower().startswith("https:")

    def _opened(self, response: Response) -> None:
        if self.scope.cause is not None:
            raise self.scope.cause
        self.sent = True
        self.status = response.status
        self._headers = response.headers
        self._reused = response.reused
        self.request_id = self._provider.request_id(response.headers)
        if self._clocks.phase != "first":
            self._clocks.enter("first", self._terms.clock.now())
        self._notify(
            Opened, self._number, response.status, response.headers, self.request_id,
            response.reused,
        )  # fmt: skip

    # -- reading ---------------------------------------------------------------------------

    def _events(self, response: Response, framer: Framer, data: bytes) -> Iterator[list[Chunk]]:
        """The hot loop: a read, its events, their chunks."""
        decoder, clocks, notify = self.decoder, self._clocks, self._terms.notify
        now, read, scope = self._terms.clock.now, response.read, self.scope
        content_kinds, any_byte = CONTENT_KINDS, decoder.any_byte_counts
        asked = now()
        held, heartbeats = 0.0, 0
        try:
            while data:
                events = framer.feed(data)
                chunks = decoder.feed(events) if events else []
                at = now()
                # The last chunk of a read tells as well as any, but for a finish behind the text.
                content = any_byte or (
                    bool(chunks)
                    and (
                        chunks[-1][0] in content_kinds
                        or any(chunk[0] in content_kinds for chunk in chunks)
                    )
                )
                clocks.got(at - asked, content)
                self.read_at, self.brought_content = at, content
                if content:
                    self._warned = False
                if notify is not None:
                    beats = framer.heartbeats
                    notify(
                        _new(Chunks, (
                            self._terms.stream_id, at, data, len(events), beats - heartbeats,
                            chunks, at - asked, held,
                        ))
                    )  # fmt: skip
                    heartbeats = beats
                if chunks:
                    yield chunks
                if framer.strays or decoder.malformed or decoder.failure is not None:
                    self._noted(framer)
                if decoder.closed:
                    break
                if framer.failure is not None:
                    raise framer.failure
                asked = now()
                if decoder.finished and clocks.phase != "finishing":
                    clocks.enter("finishing", asked)
                held = asked - at
                self.held += held
                clocks.wait(asked)
                try:
                    data = read()
                except StreamingError as error:
                    if self._had_ended(scope.cause or error):
                        return
                    raise (scope.cause or error) from error
                # A cut close-delimited body looks like a clean end: see ``body``.
                if scope.cause is not None:
                    if self._had_ended(scope.cause):
                        return
                    raise scope.cause
        finally:
            self._stopped_reading()
        yield from self._ended(framer)
        response.finish()

    def _had_ended(self, error: BaseException) -> bool:
        """The terminal event decides, also when the body is then cut or nothing more comes."""
        decoder = self.decoder
        cut = isinstance(error, (StreamTimeoutError, ConnectionDroppedError))
        return cut and decoder.finished and decoder.failure is None

    def _stopped_reading(self) -> None:
        """Add up and tell how long the program held what was read last, until it asked or left."""
        since = self._clocks.since
        held = (self._terms.clock.now() if since is None else since) - self.read_at
        if since is None:
            self.held += held  # the program left, or there is no more to ask for
        self._notify(Step, "read", {"held": held})

    def _noted(self, framer: Framer) -> None:
        """See to what was wrong with a read, once its good chunks are with the program."""
        if framer.strays:
            self._strays(framer)
        if self.decoder.malformed:
            self._malformed()
        if self.decoder.failure is not None:
            raise self.decoder.failure

    def _ended(self, framer: Framer) -> Iterator[list[Chunk]]:
        """The body is over. Was the answer?"""
        if not self.decoder.closed:
            self._notify(Step, "ended", {"unfinished": len(framer.tail)})
        if framer.strays:
            self._strays(framer)
        chunks = [] if self.decoder.closed else self.decoder.end(framer.tail)
        self.brought_content = any(chunk.kind in CONTENT_KINDS for chunk in chunks)
        if chunks:
            yield chunks
        if self.decoder.failure is not None:
            raise self.decoder.failure
        if not self.decoder.finished:
            raise incomplete(framer.tail)

    def _strays(self, framer: Framer) -> None:
        lines, framer.strays = framer.strays, []
        self.decoder.strays(lines)

    def _malformed(self) -> None:
        errors, self.decoder.malformed = self.decoder.malformed, []
        for error in errors:
            error.mask(self._terms.secrets)
            self._notify(Malformed, error)
            self._terms.on_malformed(error)

    def _document(self, body: Body, head: bytes) -> Iterator[list[Chunk]]:
        """One JSON document where a stream was asked for: an error, or a whole answer."""
        data, payload = body.document(head)
        chunks = self.decoder.whole(payload)
        if chunks:
            self._clocks.got(0.0, True)
            self.read_at, self.brought_content = self._terms.clock.now(), True
            self._notify(Chunks, data, 1, 0, chunks, 0.0, 0.0)
            yield chunks
        else:
            body.tell(data)
        if self.decoder.failure is not None:
            raise self.decoder.failure
        if not self.decoder.finished:
            raise incomplete("")
        body.response.finish()

    # -- the watchdog's side -----------------------------------------------------------------

    def _first_look(self) -> float:
        _, at = self._clocks.check(self._started)
        # The watchdog waits on the machine's clock, the limits are on the stream's.
        return watchdog.now() + max(0.0, at - self._started)

    def _look(self, machine_now: float) -> Optional[float]:
        """Called by the watchdog's thread: cut if a clock has run out, warn of silence."""
        if self.scope.cause is not None:
            return None
        now = self._terms.clock.now()
        ring, again = self._clocks.check(now)
        if ring is not None:
            if ring.clock in ("inactivity", "stall", "first_token") and self._starved(now, ring[1]):
                return machine_now + PENDING_LOOK
            self.scope.abort(StreamTimeoutError(*ring))
            return None
        self._patience = None
        warn_at = self._clocks.warn_at(now)
        if warn_at is not None:
            if warn_at > now:
                again = min(again, warn_at)
            elif not self._warned:
                self._warned = True
                self._terms.on_silence(self._clocks.silence(now))
        return machine_now + max(0.0, again - now)

    def _starved(self, now: float, limit: float) -> bool:
        """Bytes wait unread: the reader is short of CPU, the server is not silent.

        A reader that does not get to them for another whole limit is not waited for."""
        if not self.scope.pending():
            return False
        if self._patience is None:
            self._patience = now + limit
        return now < self._patience

    def _notify(self, kind: Callable[..., Record], *facts: Any) -> None:
        if self._terms.notify is not None:
            self._terms.notify(kind(self._terms.stream_id, self._terms.clock.now(), *facts))


def _framer(kind: str, limits: Limits) -> Framer:
    if kind == "ndjson":
        return NDJSONFramer(limits)
    if kind == "json":
        return JSONArrayFramer(limits)
    return SSEFramer(limits)
