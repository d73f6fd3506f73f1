"""Relay: a stream -> the bytes of a response that a browser reads while the answer is written.

Here lives the response: when it begins, what it says in silence, how it ends, and what becomes of
the stream when nobody reads any more. Where the pieces come from is told in ``sources``, how they
are written in ``formats``, what may be said of an error in ``fault``.

Any WSGI server can send a relay::

    def application(environ, start_response):
        answer = Relay(session.stream("Tell me a story"))
        start_response(answer.status_line, list(answer.headers.items()))
        return answer
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import Callable, Optional, Union

from streamsafe.errors import ConfigurationError, StreamCancelledError, StreamingError
from streamsafe.journal.base import Journal
from streamsafe.models import Chunk
from streamsafe.session import StreamSession
from streamsafe.web.fault import begun_anew, fault_of
from streamsafe.web.formats import Format, Opening, made
from streamsafe.web.sources import Kept, Relayed, source_of

logger = logging.getLogger(__name__)

#: More than any stream's number has; int() refuses some thousands with an error.
MAX_DIGITS = 18

#: What keeps proxies, caches and compressors from holding tokens back: nginx and its kin look at
#: the second, what compresses looks for the third.
HEADERS = {
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    "Content-Encoding": "identity",
}


class Relay:
    """One response, to be iterated once: an answer as it comes, in the words of a ``format``.

    ``source`` is a Stream, a StreamHandle, or the id of a stream that ``journal`` (or that of the
    ``session``) keeps. ``format``: "streamsafe", "openai", "text", "ndjson", "vercel", or a class
    of your own (see ``formats.base.Format``).

    ``last_event_id``: what the browser has seen, from its header of that name; None or "" means
    nothing. With a journal the answer goes on behind it, none of it lost and none sent twice,
    whichever process reads it; a stream that is there already is not asked again. Without a
    journal, a browser that comes again is told that it cannot have the rest.

    A browser that has gone is noticed within ``heartbeat`` seconds (15: what the WHATWG advises;
    comments go three times as often), and its stream is closed; with ``keep_running`` it goes on
    into its journal. A stream given by its id belongs to whoever began it and goes on. With
    ``session``, one whose process has died is gone on with (see ``StreamSession.resume``).
    ``retry``: seconds after which a browser whose connection broke comes again.

    Errors end the response and are said in it (see ``fault``); their own words go to the logger
    "streamsafe.web.relay". A slow browser holds the stream up through a bounded queue; with a
    journal the disk takes what it does not.

    Iterate it from one thread; ``close`` may be called from any and is harmless twice. Raises
    ConfigurationError for what cannot be relayed.
    """

    def __init__(
        self,
        source: Relayed,
        *,
        format: Union[str, Callable[[], Format]] = "streamsafe",
        session: Optional[StreamSession] = None,
        journal: Optional[Journal] = None,
        keep_running: bool = False,
        heartbeat: float = 15.0,
        retry: float = 1.0,
        last_event_id: Optional[str] = None,
    ) -> None:
        told = isinstance(heartbeat, (int, float)) and isinstance(retry, (int, float))
        if not told or not heartbeat > 0 or not 0 <= retry < float("inf"):
            raise ConfigurationError(
                f"heartbeat={heartbeat!r}, retry={retry!r}: expected seconds, the first above 0 "
                "and the second at least 0"
            )
        self._format = made(format)
        self._source = source_of(source, session, journal, keep_running)
        # The first write after a browser has gone is answered by a reset, the next one fails, and
        # a server that writes on another thread (waitress) says so at the third.
        self._every = heartbeat / 3
        self._retry = retry
        self._after, over = _position(last_event_id)
        self._sent = self._after > 0
        self._wrote = time.monotonic()
        #: The HTTP status. 204 has a browser stay away that has seen the end, 404 is for an id
        #: that the journal does not know.
        self.status = 204 if over else 200 if self._is_there(source) else 404
        #: The headers to send before it.
        self.headers = {
            "Content-Type": self._format.media_type, **HEADERS, **self._format.headers
        }  # fmt: skip
        self._body = self._bytes(over)

    @property
    def stream_id(self) -> str:
        """The stream's name."""
        return self._source.stream_id

    @property
    def status_line(self) -> str:
        """The status as WSGI wants it: "200 OK"."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._body)

    def close(self) -> None:
        """The response is over; WSGI servers call it."""
        try:
            self._body.close()
        except ValueError:  # another thread waits in it, and is out once the stream has ended
            pass
        self._source.leave()

    def _is_there(self, source: Relayed) -> bool:
        return not (isinstance(source, str) and isinstance(self._source, Kept)) or (
            self._source.is_there()
        )

    def _bytes(self, over: bool) -> Generator[bytes, None, None]:
        """The body, without empty pieces, which HTTP's chunks would take for its end."""
        try:
            for data in () if over else self._parts():
                if data:
                    self._wrote = time.monotonic()
                    yield data
        finally:
            self._source.leave()

    def _parts(self) -> Iterator[bytes]:
        format, number = self._format, self._after
        try:
            model = self._source.begin(self._after)
            yield format.start(Opening(self._source.stream_id, model, self._after, self._retry))
            behind = 0 if format.keeps_state else self._after
            for piece in self._source.pieces(behind, self._every):
                if piece is not None:
                    number, chunk = piece
                    yield self._piece(number, chunk)
                if time.monotonic() - self._wrote >= self._every or piece is None:
                    yield format.heartbeat
            completion = self._source.verdict()
        except Exception as error:
            self._log(error)
            said = format.failed(number, fault_of(error))
            if said is None:
                raise
            yield said
        else:
            yield format.end(number, completion)

    def _piece(self, number: int, chunk: Chunk) -> bytes:
        if chunk.kind == "restart" and not self._format.takes_back:
            if self._sent:
                raise begun_anew()
            return b""
        data = self._format.chunk(number, chunk)
        if number <= self._after:
            return b""  # only told so that the format knows where it stands
        self._sent = self._sent or bool(data)
        return data

    def _log(self, error: Exception) -> None:
        """What the browser is not told. As text: a record that somebody keeps would keep the
        error's frames, and with them the stream."""
        if isinstance(error, StreamCancelledError):
            logger.info("stream %s: %s", self.stream_id, str(error))
        elif isinstance(error, StreamingError):
            logger.warning("stream %s: %s: %s", self.stream_id, type(error).__name__, str(error))
        else:
            logger.error("stream %s failed", self.stream_id, exc_info=error)


def _position(last_event_id: Optional[str]) -> tuple[int, bool]:
    """The number that an id names, 0 if it is none of ours; and whether the end was seen."""
    if last_event_id is not None and not isinstance(last_event_id, str):
        raise ConfigurationError(
            f"last_event_id={last_event_id!r}: expected the header Last-Event-ID as it came"
        )
    number, _, rest = (last_event_id or "").partition(":")
    if not (number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS):
        return 0, False
    return int(number), rest == "end"
