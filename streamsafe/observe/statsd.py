"""statsd: counters and timers over UDP, with the standard library alone.

Here lives an observer that sends one small packet at a stream's start, retries, stalls and end;
nothing is sent for a read. Works with etsy's statsd, telegraf, vector; with tags, DogStatsD's.
"""

from __future__ import annotations

import re
import socket
from typing import Optional

from streamsafe.errors import ConfigurationError
from streamsafe.lifecycle import Chunks, Failed, Malformed, Record, Retrying, Stalled, Started
from streamsafe.observe.tallies import Tallies, Ticks
from streamsafe.observe.tally import Tally


class StatsdExporter:
    """An observer that sends to a statsd server.

    ``prefix`` stands before each name. With ``tags`` the provider, the model and an error's type
    are DogStatsD tags; without, an error's type is part of the name and the others are left
    out. The names: counters ``streams.started``, ``streams.complete`` (and the other outcomes),
    ``retries``, ``stalls``, ``errors``, ``bytes``, ``chunks``, ``tokens.input``,
    ``tokens.output``; timers in milliseconds ``ttft``, ``duration``, ``gap.p50``, ``gap.p99``.

    Never waits: the address is looked up once, here, and a packet that can't be sent is dropped
    and counted in ``dropped``. Raises ConfigurationError for an address that can't be found.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8125,
        *,
        prefix: str = "streamsafe",
        tags: bool = False,
        clock: Optional[Ticks] = None,
    ) -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"StatsdExporter({host!r}, {port!r}): the address can't be found: {error}"
            ) from error
        self._address = found[4]
        self._socket = socket.socket(found[0], socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._prefix = prefix + "." if prefix else ""
        self._tags = tags
        self._tallies = Tallies(clock)
        #: Packets that could not be sent.
        self.dropped = 0

    def observe(self, record: Record) -> None:
        """Send what a record is worth. Called by the streams, on their reading threads."""
        tally = self._tallies.fold(record)
        if tally is None or isinstance(record, Chunks):
            return
        lines: list[str] = []
        if isinstance(record, Started):
            lines.append("streams.started:1|c")
        elif isinstance(record, Stalled):
            lines.append("stalls:1|c")
        elif isinstance(record, Retrying):
            lines.append("retries:1|c")
        elif tally.ended is not None:
            lines += _end(tally)
        if lines:
            self._send(lines, tally)
        if isinstance(record, (Retrying, Failed, Malformed)):
            self._error(type(record.error).__name__, tally)

    def close(self) -> None:
        """Close the socket; what is observed afterwards is dropped."""
        self._socket.close()

    def _error(self, kind: str, tally: Tally) -> None:
        if self._tags:
            self._send(["errors:1|c"], tally, f",type:{kind}")
        else:
            self._send([f"errors.{kind}:1|c"], tally)

    def _send(self, lines: list[str], tally: Tally, more: str = "") -> None:
        tags = ""
        if self._tags:
            provider, model = map(_tag, tally.group)
            tags = f"|#provider:{provider},model:{model}{more}"
        text = "\n".join(self._prefix + line + tags for line in lines)
        try:
            self._socket.sendto(text.encode("ascii", "replace"), self._address)
        except OSError:  # a full buffer, no route, closed
            self.dropped += 1


def _end(tally: Tally) -> list[str]:
    usage, gaps = tally.tokens(), tally.gaps()
    counters = {
        f"streams.{tally.outcome}": 1,
        "bytes": tally.bytes,
        "chunks": tally.chunks,
        "tokens.input": usage.input_tokens,
        "tokens.output": usage.output_tokens,
    }
    seconds = {
        "duration": (tally.ended or tally.at) - tally.at,
        "ttft": tally.ttft,
        "gap.p50": gaps.quantile(0.50),
        "gap.p99": gaps.quantile(0.99),
    }
    return [f"{name}:{value}|c" for name, value in counters.items() if value] + [
        f"{name}:{value * 1000:.3f}|ms" for name, value in seconds.items() if value is not None
    ]


def _tag(text: str) -> str:
    """A tag's value: the characters that would end it are replaced."""
    return re.sub(r"[^\w./-]", "_", text)
