"""Threads: the executor of a batch that is given none.

Here lives what ``concurrent.futures.ThreadPoolExecutor`` does, with daemonic threads: that one
has a program that ends wait for its threads, which means for a model.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Executor, Future
from typing import Any, Callable, Optional

_Work = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Threads(Executor):
    """At most so many threads, each made when it is needed. Used by one thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._work: queue.SimpleQueue[Optional[_Work]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(  # type: ignore[override]  # no keyword arguments are wanted here
        self, function: Callable[..., Any], *args: Any
    ) -> Future[Any]:
        """Have a thread call the function."""
        future: Future[Any] = Future()
        self._work.put((future, function, args))
        if len(self._threads) < self._most:
            name = f"streamsafe-batch-{len(self._threads) + 1}"
            thread = threading.Thread(target=_run, args=(self._work,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once they have done what was submitted; ``wait`` until then."""
        for _ in self._threads:
            self._work.put(None)
        while wait and self._threads:
            self._threads.pop().join()


def _run(work: queue.SimpleQueue[Optional[_Work]]) -> None:
    while True:
        task = work.get()
        if task is None:
            return
        future, function, args = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function(*args))
            except BaseException as error:  # told to whoever asks for the result
                future.set_exception(error)
        del task, future, args  # an idle thread keeps no answer alive
