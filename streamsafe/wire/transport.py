"""The Transport protocol: the one way by which an attempt gets bytes.

Here live the protocols alone, so that a recorder can stand round a transport and a replay
in place of one. The real one over ``requests`` is in ``wire.http``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional, Protocol

from streamsafe.models import Request
from streamsafe.wire.scope import Scope

#: Told of each step on the reading thread: name, detail. The names stand at
#: ``lifecycle.Step``; "sent" means that the whole request has gone out.
OnStep = Callable[[str, Mapping[str, Any]], None]


class Response(Protocol):
    """An open response. All but ``pending`` are called by the thread that opened it.

    ``headers`` have lower-case names; ``reused`` says that a pooled connection served.
    """

    status: int
    headers: Mapping[str, str]
    reused: bool

    def read(self) -> bytes:
        """The next decoded bytes as soon as there are any; b"" at the end of the body.

        Raises ConnectionDroppedError (broken, cut short, undecodable) or, where the scope was
        aborted, anything: the caller looks at ``scope.cause`` after every call, whether it
        returned or raised. Never called again after it raised or returned b"".
        """

    def pending(self) -> bool:
        """True if bytes wait unread; any thread, never blocks."""

    def finish(self) -> None:
        """The answer is complete: read what is left within narrow bounds of time and bytes and
        give the connection back to the pool, or else close it. Never raises."""

    def close(self) -> None:
        """Close the connection. Never raises, may be called twice and after ``finish``."""


class Transport(Protocol):
    """Opens requests. One transport serves many threads at once."""

    def open(
        self,
        request: Request,
        scope: Scope,
        *,
        connect_timeout: Optional[float],
        read_timeout: Optional[float],
        on_step: OnStep,
    ) -> Response:
        """Send ``request`` and return once status and headers are here, whatever the status.

        ``connect_timeout`` bounds name look-up, TCP and TLS together (the watchdog enforces it as
        well); ``read_timeout`` is only a backstop for where the scope cannot reach the socket.
        Raises ConnectError, ConnectionDroppedError or StreamTimeoutError("connect"); as with
        ``read``, ``scope.cause`` comes first.
        """

    def close(self) -> None:
        """Close all idle connections. The transport can be used again afterwards."""
