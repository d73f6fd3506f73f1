"""Serving: what the commands that are servers have in common: port, log and Ctrl-C."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable

from streamsafe.cli.style import Style
from streamsafe.errors import ConfigurationError
from streamsafe.testing import Exchange, FaultServer, RecordedRequest

#: Requests that a server remembers: it needs none, and it may run for days.
_KEEP = 1


@contextmanager
def served(
    handler: Callable[[RecordedRequest], Exchange], port: int, tls: bool = False
) -> Iterator[FaultServer]:
    """A running server on this port (0: a free one); Ctrl-C inside is its proper end.

    Raises ConfigurationError for a port that is none or is taken.
    """
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"--port {port}: expected 0 to 65535")
    server = FaultServer(tls=tls, port=port, keep=_KEEP)
    server.handle(handler)
    try:
        server.start()
    except OSError as error:
        raise ConfigurationError(f"port {port}: {error.strerror or error}") from error
    try:
        yield server
    except KeyboardInterrupt:
        print(file=sys.stderr)
    finally:
        server.stop()


def wait() -> None:
    """Until Ctrl-C."""
    threading.Event().wait()


class Log:
    """One line a request, whole whatever the threads do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the output
        self._style = Style(sys.stdout)

    def tell(self, number: int, request: RecordedRequest, what: str) -> None:
        """Print one request and what it got; number 0 = it does not count."""
        colour = "green" if what in ("ok", "200") else "yellow"
        count = f"#{number}" if number else "-"
        path = "".join(char if char.isprintable() else "?" for char in request.path)[:80]
        line = (
            f"{self._style.paint(time.strftime('%H:%M:%S'), 'dim')} {count:>5} {request.method} "
            f"{path}  {self._style.paint(what, colour)}"
        )
        with self._lock:
            print(line, flush=True)
