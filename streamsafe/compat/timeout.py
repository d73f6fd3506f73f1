"""Timeout: the SDKs' way of saying how long to wait, and streamsafe's clocks for it."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

from streamsafe.compat.arguments import given
from streamsafe.engine.timing import Timeouts

#: Heartbeats without content keep the SDKs waiting for ever: never cut before streamsafe's own.
_STALL = 120.0


class Timeout(NamedTuple):
    """Seconds to wait: for the connection, and in silence; the other two say nothing here."""

    read: Optional[float] = None
    connect: Optional[float] = None
    write: Optional[float] = None
    pool: Optional[float] = None


def timeouts_of(timeout: Any) -> Optional[Timeouts]:
    """The clocks for an SDK's ``timeout``: seconds of silence, counted anew with each byte.

    None where it was not given. Raises ConfigurationError for what is no timeout.
    """
    if not given(timeout):
        return None
    if isinstance(timeout, Timeouts):
        return timeout
    connect, silence = timeout, timeout
    if hasattr(timeout, "connect") and hasattr(timeout, "read"):
        connect, silence = timeout.connect, timeout.read
    clocks = Timeouts(connect=connect, first_token=silence, inactivity=silence, stall=None)
    if clocks.inactivity is None:
        return clocks
    return clocks.replace(stall=max(clocks.inactivity, _STALL))
