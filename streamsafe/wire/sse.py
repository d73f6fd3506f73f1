"""SSEFramer: bytes -> Server-Sent Events, by the letter of the WHATWG standard.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

Here lives the only door to ``sseclient`` (the distribution sseclient-py). It never sees raw
bytes from the network, on which it merges, loses and invents events (a BOM, mixed line ends,
a cut last event): the framer cuts them into whole, clean, bounded blocks. What a field of a
block means is then sseclient's to say, but for ids, ``retry`` and comments, which outlive their
block. Nine blocks of ten are one data line, or an event line and a data line: these are read
directly, and tests hold that reading equal to sseclient's.
"""

from __future__ import annotations

from typing import Optional

from sseclient import SSEClient

from streamsafe.errors import LimitExceededError
from streamsafe.limits import Limits
from streamsafe.models import ServerSentEvent
from streamsafe.wire.framer import Framer

if not hasattr(SSEClient, "events"):
    raise ImportError(
        "the module 'sseclient' is that of another distribution of this name; run "
        "'pip uninstall sseclient' and 'pip install --force-reinstall sseclient-py'"
    )

# Half the price of calling the class, once for every token.
_new = tuple.__new__

#: Longer than any delay; int() refuses more than 4,300 digits with a ValueError.
_MAX_RETRY_DIGITS = 100


class SSEFramer(Framer):
    """Cuts an event stream into its events.

    An event is given out the moment its blank line is there, be it a lone CR at the end of a
    read. One without its blank line stands in ``tail`` only. ``heartbeats`` counts the comments,
    ``strays`` holds lines with a field name that the standard does not know. Limits:
    ``max_event_bytes`` and ``max_event_lines``, counted from an event's first field to its
    blank line, with line ends of one byte.
    """

    __slots__ = ("_max_lines", "_lines", "_retry", "_skip_lf", "_in_comment", "_fresh")

    def __init__(self, limits: Limits = Limits()) -> None:
        super().__init__(limits)
        self._max_lines = limits.max_event_lines
        self._lines = 0  # line ends in the buffer
        self._retry: Optional[int] = None
        self._skip_lf = False  # the last read ended in CR: an LF now is the same line end
        self._in_comment = False  # the unfinished block is nothing but an unfinished comment
        self._fresh = False  # none of the above holds: the next byte begins a block

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """All events that these bytes complete, in order; none after a failure."""
        # Most reads are exactly one event of one data line.
        if (
            self._fresh
            and data.startswith(b"data: ")
            and data.find(b"\n") == len(data) - 2
            and data.endswith(b"\n\n")
            and b"\r" not in data
            and len(data) <= self._max_bytes
        ):
            try:
                text = data[6:-2].decode()
            except UnicodeDecodeError:
                return self._feed(data)
            return [_new(ServerSentEvent, ("message", text, self.last_event_id, None))]
        return self._feed(data)

    @property
    def retry(self) -> Optional[int]:
        """The last valid ``retry`` in milliseconds, or None; it counts once its line is whole."""
        for line in bytes(self._buffer).split(b"\n")[:-1]:
            if line.startswith(b"retry:"):
                milliseconds = _milliseconds(_value(line[6:].decode("utf-8", "replace")))
                self._retry = self._retry if milliseconds is None else milliseconds
        return self._retry

    def _feed(self, data: bytes) -> list[ServerSentEvent]:
        events: list[ServerSentEvent] = []
        if self.failure is not None:
            return events
        data = self._with_lf(self._without_bom(data))
        if self._in_comment:
            data = self._after_comment(data)
        if self._buffer and data and self._buffer[-1] == 10:
            # Back to the line end that was kept, since it may be half of a blank line.
            del self._buffer[-1]
            self._lines -= 1
            data = b"\n" + data
        end = data.rfind(b"\n\n")
        if end >= 0:
            head, data = data[:end].rstrip(b"\n"), data[end + 2 :]
            if self._buffer:
                head = b"".join((self._buffer, head))
                self._buffer, self._lines = bytearray(), 0
            self._run(head, events)
        if data and self.failure is None:
            self._keep(data)
        self._fresh = not (
            self._buffer
            or self._skip_lf
            or self._in_comment
            or self._start is not None
            or self.failure is not None
        )
        return events

    def _with_lf(self, data: bytes) -> bytes:
        """``data`` with every line end turned into LF."""
        if self._skip_lf and data:
            self._skip_lf = False
            if data.startswith(b"\n"):
                data = data[1:]
        if b"\r" in data:
            self._skip_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _after_comment(self, data: bytes) -> bytes:
        end = data.find(b"\n")
        if end < 0:
            return b""
        self.heartbeats += 1
        self._in_comment = False
        return data[end + 1 :]

    def _keep(self, data: bytes) -> None:
        """Put by what stands after the last blank line, comments before a first field excepted."""
        if not self._buffer:
            data = data[self._first_field(data) :]
        self._buffer += data
        self._lines += data.count(b"\n")
        if not self._exceeds(len(self._buffer)):
            self._check_lines(self._lines)

    def _first_field(self, data: bytes) -> int:
        """Where the first field of a block begins, behind blank lines and comments, which count
        as heartbeats at once and towards no limit: some servers send nothing else for an hour."""
        at = 0
        while True:
            if data.startswith(b":", at):
                end = data.find(b"\n", at)
                if end < 0:
                    self._in_comment = True
                    return len(data)
                self.heartbeats += 1
                at = end + 1
            elif data.startswith(b"\n", at):
                at += 1
            else:
                return at

    def _run(self, head: bytes, events: list[ServerSentEvent]) -> None:
        """Read whole blocks with blank lines between them."""
        if len(head) + 2 <= self._max_bytes:
            try:
                text = head.decode()
            except UnicodeDecodeError:
                pass  # then block by block, since the others are good
            else:
                self._read(text, events)
                return
        for block in head.split(b"\n\n"):
            self._general(block + b"\n", events)
            if self.failure is not None:
                return

    def _read(self, text: str, events: list[ServerSentEvent]) -> None:
        """Read blocks directly where that is simple; none is over the limit of bytes."""
        if text.startswith("data: "):
            parts = text.split("\n\ndata: ")
            parts[0] = parts[0][6:]
            # No line ends but those split at. To find none in a copy is faster than to count them.
            if "\n" not in ("".join(parts) if len(parts) > 1 else parts[0]):
                last_id = self.last_event_id
                events += [
                    _new(ServerSentEvent, ("message", part, last_id, None)) for part in parts
                ]
                return
        for block in text.split("\n\n"):
            direct = _direct(block)
            if direct is not None:
                events.append(_new(ServerSentEvent, (*direct, self.last_event_id, None)))
            elif block.startswith(":") and "\n" not in block:
                self.heartbeats += 1
            elif block:
                self._general(block.encode() + b"\n", events)
                if self.failure is not None:
                    return

    def _general(self, lines: bytes, events: list[ServerSentEvent]) -> None:
        """Read one block, with a line end behind each line, as sseclient reads it."""
        lines = lines[self._first_field(lines) :]
        if not lines or self._exceeds(len(lines) + 1) or self._check_lines(lines.count(b"\n")):
            return
        text = self._decoded(lines)
        has_data, retry = self._fields(text)
        if has_data:
            for read in SSEClient(iter((text.encode() + b"\n",))).events():
                event = (read.event, read.data, self.last_event_id, retry)
                events.append(_new(ServerSentEvent, event))

    def _fields(self, text: str) -> tuple[bool, Optional[int]]:
        """Note what outlives a block; say whether it has data, and its ``retry``."""
        has_data, retry = False, None
        for line in text[:-1].split("\n"):
            name, _, value = line.partition(":")
            if name == "data":
                has_data = True
            elif name == "event":
                pass
            elif name == "id":
                if "\0" not in value:
                    self.last_event_id = _value(value)
                    self.has_ids = True
            elif name == "retry":
                milliseconds = _milliseconds(_value(value))
                retry = retry if milliseconds is None else milliseconds
            elif line.startswith(":"):
                self.heartbeats += 1
            else:
                self._stray(line)
        if retry is not None:
            self._retry = retry
        return has_data, retry

    def _check_lines(self, lines: int) -> bool:
        """True, with the failure set, if an event of so many lines is not allowed."""
        if lines <= self._max_lines:
            return False
        self.failure = LimitExceededError("max_event_lines", lines, self._max_lines, "an event")
        return True


def _direct(block: str) -> Optional[tuple[str, str]]:
    """Name and data of a block of one data line, or an event line and a data line; else None."""
    if block.startswith("data:"):
        if "\n" not in block:
            return "message", _value(block[5:])
    elif block.startswith("event: "):
        name, found, data = block[7:].partition("\ndata: ")
        if found and "\n" not in name and "\n" not in data:
            return name or "message", data
    return None


def _value(text: str) -> str:
    """A field's value: exactly one leading space is no part of it."""
    return text[1:] if text.startswith(" ") else text


def _milliseconds(value: str) -> Optional[int]:
    if value.isascii() and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
        return int(value)
    return None
