"""Opening: what a connection must know of the request that it is opened or reused for.

It reaches the connection classes through a context variable, since requests and urllib3 stand
between them and the transport, and it carries back how far things went.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any, Optional

from streamsafe.wire.scope import Scope
from streamsafe.wire.transport import OnStep


class Opening:
    """One exchange, up to the response's head. Used by the reading thread alone.

    ``phase`` is how far it got: "start", "connect", "tunnel" (CONNECT), "tls", "send", "answer".
    ``address`` is the peer that was dialled last. ``reused``: a pooled connection served;
    ``answered``: at least a byte of the answer came; ``fresh``: no pooled connection may serve.
    The timeouts are in seconds, None = no limit.
    """

    __slots__ = (
        "scope", "connect_timeout", "read_timeout", "max_header_bytes", "fresh",
        "started", "phase", "address", "reused", "answered", "_tell",
    )  # fmt: skip

    def __init__(
        self,
        scope: Scope,
        tell: OnStep,
        connect_timeout: Optional[float],
        read_timeout: Optional[float],
        max_header_bytes: int,
        fresh: bool = False,
    ) -> None:
        self.scope = scope
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.max_header_bytes = max_header_bytes
        self.fresh = fresh
        self.started = time.monotonic()
        self.phase = "start"
        self.address = ""
        self.reused = False
        self.answered = False
        self._tell = tell

    def again(self, fresh: bool = False) -> Opening:
        """The next exchange on the same terms, with a connect timeout of its own."""
        return Opening(
            self.scope, self._tell, self.connect_timeout, self.read_timeout,
            self.max_header_bytes, fresh,
        )  # fmt: skip

    def step(self, name: str, **detail: Any) -> None:
        """Tell whoever opened that a step was reached."""
        self._tell(name, detail)

    def elapsed(self) -> float:
        """Seconds since the opening began."""
        return time.monotonic() - self.started

    def left_to_connect(self) -> Optional[float]:
        """Seconds left of the connect timeout, never negative; None = no limit."""
        if self.connect_timeout is None:
            return None
        return max(0.0, self.connect_timeout - self.elapsed())

    @property
    def stale(self) -> bool:
        """True if a pooled connection broke before the server can have begun to answer."""
        return self.reused and not self.answered and self.scope.cause is None


#: The opening that the current thread or greenlet is busy with.
CURRENT: ContextVar[Optional[Opening]] = ContextVar("streamsafe_opening", default=None)
