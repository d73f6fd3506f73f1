"""Gate: a door at which a server's threads wait, beside their sockets, until it is opened.

Here lives the gate alone. It is a socket and no threading.Event, so that a thread can wait
for it and for its client at once without looking at either again and again.
"""

from __future__ import annotations

import socket


class Gate:
    """Closed when it is made; once opened it stays open.

    Any thread may open it, as often as it likes; every thread that waits goes on.
    """

    __slots__ = ("_reader", "_writer")

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()

    def open(self) -> None:
        """Let all pass, now and later."""
        self._writer.close()  # its end of file makes the reader readable, for everybody, for ever

    def is_open(self) -> bool:
        """True once it was opened."""
        return self._writer.fileno() < 0

    def fileno(self) -> int:
        """The file descriptor that becomes readable when the gate opens."""
        return self._reader.fileno()

    def close(self) -> None:
        """Give the descriptors back; only when nobody waits any more."""
        self._writer.close()
        self._reader.close()
