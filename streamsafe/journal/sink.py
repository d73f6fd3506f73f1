"""Sinks: where an answer's text goes as it comes, besides or instead of memory.

Here live the three kinds: a path, a file object, a function. Text of the first choice alone goes
there. A file at a path is written as ``path.part`` and gets its name when the answer is whole.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any, Callable, Optional, Protocol

from streamsafe.errors import ConfigurationError, StorageError
from streamsafe.models import Chunk


class Sink(Protocol):
    """Told by the reading thread: every network read's chunks, then one of the two ends."""

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Take these chunks' text, before the program is handed them. Raises StorageError."""

    def text(self) -> Optional[str]:
        """What was written so far; None if it can't be read again."""

    def finish(self) -> None:
        """The answer is whole."""

    def abandon(self) -> None:
        """The answer broke off: what was written stays."""


def sink_of(target: Any) -> Optional[Sink]:
    """The sink for a path, a file object, a function, or None; else ConfigurationError."""
    if target is None:
        return None
    if isinstance(target, (str, os.PathLike)):
        return PathSink(os.fspath(target))
    if callable(getattr(target, "write", None)):
        return FileSink(target)
    if callable(target):
        return FunctionSink(target)
    raise ConfigurationError(
        f"sink={target!r}: expected a path, a file object with write(), or a function of the text"
    )


def _pieces(chunks: Sequence[Chunk]) -> tuple[bool, str]:
    """Whether a "restart" is among them, and the text since."""
    restarted, text = False, ""
    for chunk in chunks:
        if chunk.kind == "restart":
            restarted, text = True, ""
        elif not chunk.index:
            text += chunk.text
    return restarted, text


class PathSink:
    """A file in UTF-8: ``path.part`` until the answer is whole, then in place of ``path``."""

    def __init__(self, path: str) -> None:
        there = os.path.isdir(os.path.dirname(path) or ".")
        # What is no file would be replaced by one: a pipe, and root's /dev/null as well.
        other = _is_name(path) and os.path.exists(path) and not os.path.isfile(path)
        if not _is_name(path) or other or not there:
            raise ConfigurationError(
                f"sink={path!r}: expected the path of a file in a directory that exists; "
                "open anything else yourself and pass what open() gave"
            )
        self._path = os.path.realpath(path) if os.path.islink(path) else path  # a link stays one
        self._part = f"{self._path}.part"
        self._file: Optional[io.BufferedWriter] = None
        self._written = 0

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Write and flush: what was shown is with the system when the program sees it."""
        restarted, text = _pieces(chunks)
        try:
            if self._file is None:
                self._file = open(self._part, "wb")
            if restarted:
                self._file.seek(0)
                self._file.truncate()
                self._written = 0
            if text:
                data = text.encode("utf-8", "replace")
                self._file.write(data)
                self._file.flush()
                self._written += len(data)
        except OSError as error:
            self._shut()
            raise self._failed(error) from error

    def text(self) -> Optional[str]:
        """What is in the part."""
        with open(self._part, "rb") as part:
            return part.read().decode("utf-8")

    def finish(self) -> None:
        """To the disk, then under its own name."""
        try:
            if self._file is None:
                self._file = open(self._part, "wb")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._shut()
            os.replace(self._part, self._path)
        except OSError as error:
            raise self._failed(error) from error

    def abandon(self) -> None:
        """The part stays under its name."""
        self._shut()

    def _shut(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                pass  # a full disk was told of already

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(
            f"the answer could not be written to {self._part}: {error.strerror or error}; "
            f"{self._written:,} bytes of it are there",
            hint="make room or choose another path",
        )


def _is_name(path: str) -> bool:
    """Whether the system can have a file of that name."""
    try:
        return bool(path) and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # half a surrogate pair
        return False


class FileSink:
    """A file object of the program's, text or binary; it is not closed.

    What its encoding has no bytes for becomes a question mark.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._binary = isinstance(file, (io.RawIOBase, io.BufferedIOBase)) or "b" in str(
            getattr(file, "mode", "")
        )
        self._start: Optional[int] = None
        self._chars = 0

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Write and flush."""
        restarted, text = _pieces(chunks)
        try:
            if self._start is None:
                self._start = self._place()
            if restarted and self._chars:
                self._rewind()
            if text:
                self._put(text)
            flush = getattr(self._file, "flush", None)
            if flush is not None:
                flush()
            self._chars += len(text)
        except (OSError, ValueError) as error:  # ValueError: the program has closed it
            reason = getattr(error, "strerror", None) or error
            raise StorageError(
                f"the answer could not be written to {self._file!r}: {reason}; "
                f"{self._chars:,} characters of it are there"
            ) from error

    def text(self) -> None:
        """It may be open for writing alone."""

    def finish(self) -> None:
        """Nothing more: the file is the program's."""

    def abandon(self) -> None:
        """Nothing more."""

    def _put(self, text: str) -> None:
        if self._binary:
            self._put_bytes(text.encode("utf-8", "replace"))
            return
        try:
            self._file.write(text)
        except UnicodeEncodeError:
            encoding = getattr(self._file, "encoding", None) or "utf-8"
            self._file.write(text.encode(encoding, "replace").decode(encoding))

    def _put_bytes(self, data: bytes) -> None:
        if not isinstance(self._file, io.RawIOBase):
            self._file.write(data)
            return
        left = memoryview(data)
        while left:  # an unbuffered file may take a part
            taken = self._file.write(left)
            if not taken:
                raise BlockingIOError("it takes nothing at the moment")
            left = left[taken:]

    def _place(self) -> int:
        seekable = getattr(self._file, "seekable", None)
        return self._file.tell() if seekable is not None and seekable() else -1

    def _rewind(self) -> None:
        if self._start is None or self._start < 0:
            raise StorageError(
                "the model answered differently after a break, and what was written to "
                f"{self._file!r} can't be taken back",
                hint="write to a path, or to a file that can seek",
            )
        self._file.seek(self._start)
        self._file.truncate()
        self._chars = 0


class FunctionSink:
    """A function of the program's, called with each network read's text."""

    def __init__(self, function: Callable[[str], object]) -> None:
        self._function = function
        self._called = False

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Call it, if there is text."""
        restarted, text = _pieces(chunks)
        if restarted and self._called:
            raise StorageError(
                "the model answered differently after a break, and a function can't take text back",
                hint="read the chunks, where a 'restart' chunk tells it, or write to a path",
            )
        if text:
            self._called = True
            self._function(text)

    def text(self) -> None:
        """A function gives nothing back."""

    def finish(self) -> None:
        """Nothing more."""

    def abandon(self) -> None:
        """Nothing more."""
