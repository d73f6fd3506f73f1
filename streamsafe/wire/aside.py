"""Aside: a blocking call on a thread of its own, which the caller can leave on time.

For the calls that nothing can interrupt: a name look-up, and a request through somebody else's
adapter. What such a call gives after it was left is the business of whoever started it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from streamsafe.wire.scope import Scope

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


def start(name: str, function: Callable[[], T]) -> Future[T]:
    """Run ``function`` on a thread called ``name``; what it gives or raises is on the future."""
    from concurrent.futures import Future

    future: Future[T] = Future()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    # A daemon: it may hang in the operating system, and the program must be able to end.
    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def wait(future: Future[T], scope: Scope, seconds: Optional[float]) -> bool:
    """True once the call is over; False when ``seconds`` are, or as soon as the scope is aborted.

    On the reading thread. None = no limit.
    """
    wake = threading.Event()
    future.add_done_callback(lambda _: wake.set())
    scope.on_abort(wake.set)
    try:
        wake.wait(seconds)
    finally:
        scope.on_abort(None)
    return future.done() and scope.cause is None
