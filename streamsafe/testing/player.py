"""Player: plays one exchange of the script on a connection.

Here lives all that turns steps into bytes: framing, compression, pauses and endings. The
steps themselves are values in ``script``; which exchange comes next is the server's choice.
"""

from __future__ import annotations

import itertools
import threading
import zlib
from collections.abc import Iterable, Iterator
from typing import Callable, Optional, Union

from streamsafe.testing.channel import Channel
from streamsafe.testing.gate import Gate
from streamsafe.testing.script import (
    Chunk,
    Exchange,
    Fin,
    Finish,
    Heartbeats,
    Pause,
    Rst,
    Stall,
    Step,
    Verbatim,
    Wait,
    head,
)

#: From a gate as the script has it (by name, perhaps) to one that can be waited at.
FindGate = Callable[[Union[str, Gate, threading.Event]], Union[Gate, threading.Event]]


class Player:
    """Plays one exchange, once."""

    def __init__(self, channel: Channel, exchange: Exchange, find_gate: FindGate) -> None:
        self._channel = channel
        self._exchange = exchange
        self._find_gate = find_gate
        self._coder = _Coder(exchange)
        self._chunked = exchange.kind == "http" and exchange.framing == "chunked"
        self._last = False

    def play(self, method: str = "GET", last: bool = False) -> bool:
        """Play it all; True if the connection is open and fit for another request.

        ``last``: the client wants no more on this connection. Raises PeerGone or Stopped from
        wherever it stands.
        """
        exchange = self._exchange
        self._last = last or exchange.framing == "close" or _says_close(exchange)
        if not self._steps(exchange.first):
            return False
        if exchange.kind == "http":
            self._channel.send(self._head())
            if method == "HEAD" or exchange.status in (204, 304) or exchange.status < 200:
                return not self._last
        return self._steps(exchange.steps)

    def _head(self) -> bytes:
        exchange = self._exchange
        pairs = list(exchange.headers)
        if exchange.encoding:
            pairs.append(("Content-Encoding", exchange.encoding))
        if exchange.status in (204, 304) or exchange.status < 200:
            pass
        elif exchange.framing == "chunked":
            pairs.append(("Transfer-Encoding", "chunked"))
        elif exchange.framing == "length":
            length = exchange.declared if exchange.declared is not None else _length(exchange)
            pairs.append(("Content-Length", str(length)))
        if self._last and not _says_close(exchange):
            pairs.append(("Connection", "close"))
        return head(exchange.status, pairs)

    def _steps(self, steps: tuple[Step, ...]) -> bool:
        """True if the connection is still open afterwards."""
        return all(self._step(step) for step in steps)

    def _step(self, step: Step) -> bool:
        channel = self._channel
        if isinstance(step, bytes):
            self._write(step)
        elif isinstance(step, Pause):
            channel.wait(step.seconds)
        elif isinstance(step, Wait):
            channel.wait(gate=self._find_gate(step.gate))
        elif isinstance(step, Heartbeats):
            for _ in itertools.count() if step.times is None else range(step.times):
                channel.wait(step.every)
                self._write(step.data)
        elif isinstance(step, Verbatim):
            channel.send(step.data)
        elif isinstance(step, Chunk):
            return self._chunk(step)
        elif isinstance(step, Finish):
            return self._finish()
        elif isinstance(step, Stall):
            channel.wait()
        elif isinstance(step, Rst):
            channel.rst()
            return False
        elif isinstance(step, Fin):
            channel.close() if step.close_notify else channel.fin()
            return False
        return True

    def _write(self, data: bytes) -> None:
        data = self._coder.encode(data)
        if data and self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._channel.send(data)

    def _chunk(self, step: Chunk) -> bool:
        # All is encoded before the first byte goes out, since the size stands in front.
        steps = list(_encoded(step.steps, self._coder))
        size = step.size
        if size is None:
            size = _size(steps)
        # Where the compressor held all back there is nothing to announce: 0 would be the end.
        announced = self._chunked and (size > 0 or step.size == 0)
        if announced:
            self._channel.send(b"%x\r\n" % size)
        if not self._steps(tuple(steps)):
            return False
        if announced:
            self._channel.send(b"\r\n")
        return True

    def _finish(self) -> bool:
        tail = self._coder.finish()
        if self._chunked:
            tail = (b"%x\r\n%b\r\n" % (len(tail), tail) if tail else b"") + b"0\r\n\r\n"
        self._channel.send(tail)
        if self._last:
            self._channel.close()
            return False
        return True


class _Coder:
    """The content encoding of one exchange, or none."""

    def __init__(self, exchange: Exchange) -> None:
        self._flush = exchange.flush
        self._zip: Optional[zlib._Compress] = None
        if exchange.encoding is not None:
            # zlib's own word: 31 is a gzip wrapper, 15 the zlib one, which HTTP calls deflate.
            self._zip = zlib.compressobj(wbits=31 if exchange.encoding == "gzip" else 15)

    def encode(self, data: bytes) -> bytes:
        if self._zip is None:
            return data
        data = self._zip.compress(data)
        return data + self._zip.flush(zlib.Z_SYNC_FLUSH) if self._flush else data

    def finish(self) -> bytes:
        return self._zip.flush(zlib.Z_FINISH) if self._zip is not None else b""


def _says_close(exchange: Exchange) -> bool:
    return any(
        name.lower() == "connection" and value.lower() == "close"
        for name, value in exchange.headers
    )


def _length(exchange: Exchange) -> int:
    coder = _Coder(exchange)
    return _size(_encoded(exchange.steps, coder)) + len(coder.finish())


def _encoded(steps: Iterable[Step], coder: _Coder) -> Iterator[Step]:
    """The steps, with all that is to be sent encoded, in its order."""
    for step in steps:
        if isinstance(step, bytes):
            yield Verbatim(coder.encode(step))
        elif isinstance(step, Heartbeats) and step.times is not None:
            for _ in range(step.times):
                yield Pause(step.every)
                yield Verbatim(coder.encode(step.data))
        elif isinstance(step, Chunk):
            yield from _encoded(step.steps, coder)
        else:
            yield step


def _size(steps: Iterable[Step]) -> int:
    return sum(len(step.data) for step in steps if isinstance(step, Verbatim))
