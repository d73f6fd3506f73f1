"""Interrupts: what a program's signal handler raises in the middle of the network's calls.

``signal.alarm`` with a handler that raises TimeoutError is an old recipe; between sockets it looks
like a fault of the network, and would be mended, not raised.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Optional


def interrupt(errors: Iterable[BaseException]) -> Optional[BaseException]:
    """That of the ``errors``, each of which the next one caused, which a signal's handler raised;
    or None."""
    if threading.current_thread() is not threading.main_thread():
        return None  # handlers run on the main thread alone
    handlers = set(filter(None, map(_code, map(signal.getsignal, signal.valid_signals()))))
    found, place = None, None
    for error in errors if handlers else ():
        raised_at = _raised_at(error, handlers)
        # urllib3 puts errors of its own in place of others, at the place where those were raised.
        if raised_at is not None and place in (None, raised_at):
            found, place = error, raised_at
    return found


def _raised_at(error: BaseException, handlers: set[object]) -> Optional[TracebackType]:
    """Where the error was raised, if that is in one of the handlers or in what they call."""
    trace, inside = error.__traceback__, False
    while trace is not None:
        inside = inside or trace.tb_frame.f_code in handlers
        if trace.tb_next is None:
            return trace if inside else None
        trace = trace.tb_next
    return None


def _code(handler: object) -> object:
    return getattr(getattr(handler, "__func__", handler), "__code__", None)
