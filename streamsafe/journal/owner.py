"""Owner: which process writes a stream, and whether it still lives.

Here lives a lock that the kernel takes from a process at its death, however it dies: each process
that writes locks one byte of its own, at a random place in an empty file beside the journal. So
nobody has to beat a drum to be thought alive, a process number that is used again deceives nobody,
and containers that share the file see each other. It works wherever SQLite's own locks do.

The file is never deleted: a process that still held the old one would look dead.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import Optional

#: Places for locks: what Windows can lock, too.
_PLACES = 2**31


class _Held:
    """This process's lock in one file, and the streams that it writes."""

    __slots__ = ("fd", "place", "streams")

    def __init__(self, fd: int, place: int) -> None:
        self.fd = fd
        self.place = place
        self.streams: set[str] = set()


# Guards _held, and that no descriptor of a file in it is closed: that would drop the locks that
# the process has there through any other. Reentrant, since the garbage collector may end a dropped
# stream anywhere.
_lock = threading.RLock()
_held: dict[str, _Held] = {}


def hold(path: str, stream_id: str, mode: int = 0o600) -> Optional[str]:
    """This process writes the stream: its name as an owner, or None if it does so already.

    ``path`` is that of the lock file, absolute; ``mode`` its permissions if it is made. May raise
    OSError.
    """
    with _lock:
        held = _held.get(path)
        if held is None:
            held = _held[path] = _take(path, mode)
        if stream_id in held.streams:
            return None
        held.streams.add(stream_id)
        return f"{os.getpid()}@{socket.gethostname()}#{held.place}"


def drop(path: str, stream_id: str) -> None:
    """This process does not write the stream any more; the lock goes with the last."""
    with _lock:
        held = _held.get(path)
        if held is not None:
            held.streams.discard(stream_id)
            if not held.streams:
                del _held[path]
                os.close(held.fd)


def lives(path: str, owner: str, stream_id: str) -> bool:
    """Whether the process of this name may still write the stream."""
    place = int(owner.rpartition("#")[2])
    with _lock:
        held = _held.get(path)
        if held is not None:
            # One's own lock can't be tested: one would get it, and lose it by giving it back.
            if held.place == place:
                return stream_id in held.streams
            return _locked(held.fd, place)
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return _locked(fd, place)
        finally:
            os.close(fd)


def _take(path: str, mode: int) -> _Held:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    try:
        while True:
            place = int.from_bytes(os.urandom(4), "big") % _PLACES
            if _lock_byte(fd, place):
                return _Held(fd, place)
    except BaseException:
        os.close(fd)
        raise


if sys.platform == "win32":
    import msvcrt

    def _lock_byte(fd: int, place: int) -> bool:
        os.lseek(fd, place, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _locked(fd: int, place: int) -> bool:
        if not _lock_byte(fd, place):
            return True
        os.lseek(fd, place, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
        return False

else:
    import fcntl

    def _lock_byte(fd: int, place: int) -> bool:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):  # POSIX leaves the choice of the two
            return False
        return True

    def _locked(fd: int, place: int) -> bool:
        # Shared, so that two processes that look at once do not take each other for the owner.
        try:
            fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return True
        fcntl.lockf(fd, fcntl.LOCK_UN, 1, place)
        return False


def _after_fork() -> None:
    # Locks stay with the parent, also when the child closes what it inherited.
    global _lock
    _lock = threading.RLock()
    for held in _held.values():
        os.close(held.fd)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
