"""Driver: hands the prompts of a batch to an executor and their results out in order.

Here lives the loop of ``session.map``. It runs on the thread that iterates, and only while that
asks for the next result: a slow program slows the batch down, and an endless source of prompts
is never read further ahead than the window.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sized
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, NamedTuple, Optional

from streamsafe.batch.item import Item, fingerprint, item_of
from streamsafe.batch.judge import Judge
from streamsafe.batch.limiter import Limiter
from streamsafe.batch.progress import Progress, Reporter
from streamsafe.batch.result import Result
from streamsafe.batch.task import Answer, Shared, Task, perform
from streamsafe.batch.threads import Threads
from streamsafe.errors import ConfigurationError, StreamingError
from streamsafe.models import Outcome

#: Prompts between the oldest without a result and the newest that was read, for each worker: one
#: slow answer does not stop the others, and what waits behind it stays little.
WINDOW_PER_WORKER = 8
#: The longest wait without a look round, in seconds: Ctrl-C must get through on Windows as well.
LOOK = 0.5


class _Asked(NamedTuple):
    """An item in the hands of the executor since ``began``, or in the queue to be asked again."""

    item: Item
    stream_id: str
    began: float = 0.0


class Driver:
    """One run over the prompts. ``results`` is iterated once, by one thread."""

    def __init__(
        self,
        shared: Shared,
        prompts: Iterable[Any],
        *,
        name: str,
        about: Any,
        executor: Optional[Executor],
        max_workers: int,
        reporter: Reporter,
    ) -> None:
        self._shared = shared
        self._prompts = enumerate(prompts)
        self._name = name
        self._about = about
        self._executor = executor
        self._workers = max_workers
        self._window = WINDOW_PER_WORKER * max_workers
        self._reporter = reporter
        self._total = len(prompts) if isinstance(prompts, Sized) else None
        self._limiter = Limiter(max_workers)
        self._judge = Judge(shared.policy, self._limiter)
        self._again: deque[_Asked] = deque()
        self._running: dict[Future[Answer], _Asked] = {}
        self._names: set[str] = set()  # of the streams that have no result yet
        self._ended: queue.SimpleQueue[Future[Answer]] = queue.SimpleQueue()
        self._results: dict[int, Result] = {}
        self._read = self._given = 0
        self._done = self._failed = self._reused = 0
        self._exhausted = False

    def results(self) -> Generator[Result, None, None]:
        """The results in the order of the prompts; see ``StreamSession.map``."""
        own = self._executor is None
        try:
            if own:
                self._executor = Threads(self._workers)
            while True:
                self._take_ended()
                wait = self._fill()
                if self._given in self._results:
                    yield self._results.pop(self._given)
                    self._given += 1
                elif self._running or self._again or self._may_read():
                    self._take_next(wait)
                else:
                    break
        finally:
            self._stop(own)
        if self._judge.hopeless is not None and next(self._prompts, None) is not None:
            raise self._judge.hopeless

    # -- handing out -----------------------------------------------------------------------------

    def _fill(self) -> Optional[float]:
        """Hand out what may be; the seconds until there may be more, None = when one ends."""
        while True:
            wait = self._limiter.wait(len(self._running), time.monotonic())
            if wait is None or wait > 0:
                return wait
            if self._again:
                self._ask(self._again.popleft())
            elif not self._next():
                return None

    def _next(self) -> bool:
        """Read the next prompt and hand it out; False if there is none, or no room for one."""
        if not self._may_read() or self._read - self._given >= self._window:
            return False
        try:
            index, prompt = next(self._prompts)
        except StopIteration:
            self._exhausted = True
            return False
        self._read += 1
        try:
            item = item_of(index, prompt)
            name = self._stream_id(item)
            if name in self._names:
                raise ConfigurationError(f"id={item.id!r} is given twice, for the same question")
        except ConfigurationError as error:
            self._put(Result(index, str(index), prompt, error=error))
            return True
        self._names.add(name)
        self._ask(_Asked(item, name))
        return True

    def _may_read(self) -> bool:
        return not self._exhausted and self._judge.hopeless is None

    def _stream_id(self, item: Item) -> str:
        # All that makes the answer is in the name: another question never gets this one's answer
        # out of a journal.
        return f"{self._name}-{item.id}-{fingerprint(self._about, item.arguments)}"

    def _ask(self, asked: _Asked) -> None:
        assert self._executor is not None  # there is one while results are iterated
        arguments = _merged(self._shared, asked.item)
        task = Task(self._shared, asked.stream_id, arguments)
        future = self._executor.submit(perform, task)
        self._running[future] = asked._replace(began=time.monotonic())
        future.add_done_callback(self._ended.put)

    # -- taking in -------------------------------------------------------------------------------

    def _take_ended(self) -> None:
        while not self._ended.empty():
            self._take(self._ended.get())

    def _take_next(self, wait: Optional[float]) -> None:
        """Take the next that ends within so many seconds; None = however long it takes."""
        try:
            self._take(self._ended.get(timeout=LOOK if wait is None else min(wait, LOOK)))
        except queue.Empty:
            pass

    def _take(self, future: Future[Answer]) -> None:
        asked = self._running.pop(future)
        try:
            answer = future.result()
        except BrokenExecutor:
            raise  # nobody is left to ask
        except Exception as error:
            self._finish(asked, Answer(error=error))
            return
        now = time.monotonic()
        self._judge.learn(answer, asked.began, now)
        if self._judge.asks_again(answer.error, now):
            self._again.append(asked)
        else:
            self._finish(asked, answer)
        while self._again and self._judge.hopeless is not None:
            self._finish(self._again.popleft(), Answer(error=self._judge.hopeless))

    def _finish(self, asked: _Asked, answer: Answer) -> None:
        self._names.discard(asked.stream_id)
        completion, error = answer.completion, answer.error
        if isinstance(error, StreamingError) and error.partial.outcome is not Outcome.PENDING:
            completion = error.partial
        item = asked.item
        self._put(
            Result(
                item.index, item.id, item.prompt, completion, error, asked.stream_id, answer.reused
            )
        )

    def _put(self, result: Result) -> None:
        self._results[result.index] = result
        self._done += 1
        self._failed += not result.ok
        self._reused += result.reused
        self._reporter.show(
            Progress(
                self._done, self._failed, self._reused,
                len(self._running), int(self._limiter.limit), self._total,
            )
        )  # fmt: skip

    def _stop(self, own: bool) -> None:
        """Leave nothing running that can be stopped from here."""
        self._shared.reading.stop()
        for future in list(self._running):
            future.cancel()
        if own and self._executor is not None:
            self._executor.shutdown(wait=True)
        self._reporter.close()


def _merged(shared: Shared, item: Item) -> Mapping[str, Any]:
    """The item's own arguments; a model in its body goes before the one for all."""
    body = item.arguments.get("body")
    if body is not None and "model" in body and "model" in shared.arguments:
        return {"model": None, **item.arguments}
    return item.arguments
