"""HttpResponse: the body of one requests.Response, read as it comes, and the end of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional

from streamsafe.wire import faults
from streamsafe.wire.answer import READ_SIZE, Answer
from streamsafe.wire.scope import Scope

if TYPE_CHECKING:
    import requests

#: After its last event a server has this long, in seconds and bytes, to end the body, so that
#: the connection can be used again. Terminators come within milliseconds; a new TLS connection
#: costs two or three round trips, some 0.1 to 0.3 s.
DRAIN_SECONDS = 0.25
DRAIN_BYTES = 64 * 1024


class HttpResponse:
    """A Response as ``wire.transport`` describes it."""

    __slots__ = ("status", "headers", "reused", "_raw", "_scope", "_take", "_next", "_read_timeout")

    def __init__(
        self,
        reply: requests.Response,
        scope: Scope,
        *,
        scoped: bool,
        reused: bool,
        read_timeout: Optional[float] = None,
    ) -> None:
        self.status: int = reply.status_code
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in reply.headers.items()
        }
        self.reused = reused
        self._raw: Any = reply.raw
        self._scope = scope
        self._read_timeout = read_timeout
        # Past urllib3, which spends thirty calls on each read; the end is left to it.
        answer = _answer(self._raw)
        self._next = _reader(reply) if answer is None else _rest(self._raw, answer)
        self._take = _ended if answer is None else answer.take
        if not scoped:
            self._take_hold()

    def read(self) -> bytes:
        """The next bytes, as soon as there are any; b"" at the end."""
        # Only a connection that no scope reaches has a timeout of its own, to be told of.
        asked = 0.0 if self._read_timeout is None else time.monotonic()
        try:
            return self._take() or self._next()
        except faults.FAULTS as error:
            waited = time.monotonic() - asked
            self.close()  # nothing that came now would be worth reading
            raise faults.in_body(error, self._read_timeout, waited) from error

    def pending(self) -> bool:
        """True if bytes wait unread."""
        return self._scope.pending()

    def finish(self) -> None:
        """Read to the body's end if that is near; the pool then has the connection again."""
        try:
            self._drain()
        except Exception:
            pass  # whatever it is, the connection is not fit to be used again
        self.close()

    def close(self) -> None:
        """Close the connection, unless the pool has it."""
        raw, self._raw = self._raw, None
        if raw is None:
            return
        self._take = self._next = _ended
        if _released(raw):
            self._scope.detach()
        else:
            # Told to the server at once, also where a forked process holds the socket too.
            self._scope.cut()
        for end in ("close", "release_conn"):
            try:
                getattr(raw, end, _ended)()
            except Exception:
                pass

    def _drain(self) -> None:
        sock = getattr(getattr(self._raw, "connection", None), "sock", None)
        if sock is None:
            return  # already in the pool, or closed by the answer's end
        answer = getattr(self._raw, "_fp", None)
        if type(answer) is Answer and answer.isclosed():
            self._next()  # the end was there: urllib3 alone is still to be told
            return
        end, left = time.monotonic() + DRAIN_SECONDS, DRAIN_BYTES
        while left > 0:
            seconds = end - time.monotonic()
            if seconds <= 0:
                return
            sock.settimeout(seconds)
            data = self._next()
            if not data:
                return
            left -= len(data)

    def _take_hold(self) -> None:
        """Of a connection that is not ours, by the descriptor that the response tells."""
        try:
            self._scope.attach(self._raw)
        except (OSError, ValueError, AttributeError, TypeError):
            return  # no socket: a mock's bytes, or a transport of another kind
        raw, scope, following = self._raw, self._scope, self._next

        def read() -> bytes:
            data = following()
            # Its pool does not know the scope, and gives it back inside the last read.
            if _released(raw):
                scope.detach()
            return data

        self._next = read


def _reader(reply: requests.Response) -> Callable[[], bytes]:
    """The call that gives the next bytes without waiting for more of them."""
    import urllib3

    raw = reply.raw
    if isinstance(raw, urllib3.BaseHTTPResponse):
        read1 = raw.read1
        # Without its decoding urllib3 has half as much to do for each read. Without a size it
        # gives out the whole of what is packed small, and takes a short body for an end.
        decode = "content-encoding" in raw.headers
        return lambda: read1(READ_SIZE, decode_content=decode)
    if hasattr(raw, "read1"):
        return lambda: bytes(raw.read1(READ_SIZE))
    # An adapter's own kind of body: anything larger than a byte might wait for the rest.
    pieces: Iterator[bytes] = reply.iter_content(1)
    return lambda: next(pieces, b"")


def _rest(raw: Any, answer: Answer) -> Callable[[], bytes]:
    """What urllib3 still has to give of a body that was read past it, or its end."""

    def read() -> bytes:
        # It counts down what is left, and would miss what it did not see.
        raw.length_remaining = answer.length
        data: bytes = raw.read1(READ_SIZE, decode_content=False)
        return data

    return read


def _answer(raw: Any) -> Optional[Answer]:
    """What urllib3 reads from, where that is ours and nothing is to be decoded."""
    answer = getattr(raw, "_fp", None)
    return answer if type(answer) is Answer and "content-encoding" not in raw.headers else None


def _released(raw: Any) -> bool:
    return bool(getattr(raw, "closed", False)) and getattr(raw, "connection", None) is None


def _ended() -> bytes:
    return b""
