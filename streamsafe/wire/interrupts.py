"""Interrupts: what a program's signal handler raises in the middle of the network's calls.

``signal.alarm`` with a handler that raises TimeoutError is an old recipe; between sockets it looks
like a fault of the network, and would be mended, not raised.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from typing import Optional


def interrupt(errors: Iterable[BaseException]) -> Optional[BaseException]:
    """That of the ``errors`` which a signal's handler raised, or None."""
    if threading.current_thread() is not threading.main_thread():
        return None  # handlers run on the main thread alone
    handlers = set(filter(None, map(_code, map(signal.getsignal, signal.valid_signals()))))
    for error in errors if handlers else ():
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code in handlers:
                return error
            trace = trace.tb_next
    return None


def _code(handler: object) -> object:
    return getattr(getattr(handler, "__func__", handler), "__code__", None)
