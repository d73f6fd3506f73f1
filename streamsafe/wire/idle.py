"""IdleStack: the idle connections of one host, in place of urllib3's queue.

Which connection is given out next lives here; how many hosts have one, and what is done to a
connection before it lies here, does not: see ``connections``.
"""

from __future__ import annotations

import queue
from collections import deque
from typing import Any, Optional


class IdleStack:
    """The idle connections of one host, the last used first.

    In place of the LifoQueue: what is over ``maxsize`` is closed without urllib3's warning, and
    there is no lock that a fork could leave locked. A deque's own operations are atomic.
    """

    def __init__(self, maxsize: int) -> None:
        self._maxsize = maxsize
        self._idle: deque[Any] = deque()

    def put(self, conn: Any, block: bool = True, timeout: Optional[float] = None) -> None:
        """Keep a connection; None, urllib3's mark of a free place, needs no place here."""
        if conn is None:
            return
        if len(self._idle) < self._maxsize:
            self._idle.append(conn)
        else:
            conn.close()

    def get(self, block: bool = True, timeout: Optional[float] = None) -> Any:
        """The connection that was used last, or queue.Empty: urllib3 then makes a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            raise queue.Empty from None

    def qsize(self) -> int:
        """How many are idle."""
        return len(self._idle)
