"""StreamHandle: a stream that is read by a thread of its own.

Here lives the thread behind ``session.submit`` and the bounded queue between it and whoever
iterates the handle.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Optional

from streamsafe.engine import forks
from streamsafe.engine.accumulator import Accumulator
from streamsafe.models import Chunk, Completion, ToolCallFragment
from streamsafe.stream import Stream


class StreamHandle:
    """A stream being read in the background, from the moment it is made.

    Iterate it for the chunks, through a queue of at most ``max_queue``: a slow program then slows
    the server down. While nobody iterates, the reader goes on: what does not fit into the queue
    is joined, and an iteration that begins late gets it as one chunk a kind.

    One iteration at a time; all methods may be called from any thread. The thread is daemonic: a
    program that ends does not wait for a model. It stays with its process: a forked child that
    waits for one that has not ended gets a RuntimeError.
    """

    def __init__(self, stream: Stream, max_queue: int) -> None:
        if sys.is_finalizing():  # in a finalizer of the program's: a start would hang before 3.12
            raise RuntimeError("Python is ending: no thread can be started any more")
        self._stream = stream
        self._max = max_queue
        self._process = os.getpid()
        # Guards all below; notified when the queue, the reader or the iteration changes.
        self._changed = threading.Condition()
        self._queue: deque[Chunk] = deque()
        self._joined: Optional[Accumulator] = None
        self._iterating = False
        self._error: Optional[BaseException] = None
        self._completion: Optional[Completion] = None
        self._thread = threading.Thread(
            target=self._read, name=f"streamsafe-reader-{stream.stream_id}", daemon=True
        )
        self._thread.start()
        forks.tell(self)

    def forked(self) -> None:
        """In a forked child, where nobody reads: see ``forks``."""
        self._changed = threading.Condition()

    @property
    def stream_id(self) -> str:
        """The stream's name."""
        return self._stream.stream_id

    @property
    def stream(self) -> Stream:
        """The stream that is read: for its status, attempts and completion so far."""
        return self._stream

    def done(self) -> bool:
        """True once the stream has ended, well or not."""
        self._check_process()
        with self._changed:
            return self._ended()

    def cancel(self, reason: Optional[str] = None) -> None:
        """Stop the stream; returns at once."""
        self._stream.cancel(reason)
        with self._changed:
            self._changed.notify_all()

    def result(self, timeout: Optional[float] = None) -> Completion:
        """Wait for the end and return the final completion, or raise what the stream raised.

        ``timeout``: seconds, None = as long as it takes; TimeoutError when they are over (the
        stream goes on). What is not iterated meanwhile does not hold the stream up.
        """
        self._check_process()
        with self._changed:
            if not self._changed.wait_for(self._ended, timeout):
                raise TimeoutError(f"stream {self.stream_id} has not ended after {timeout} s")
        if self._error is not None:
            raise self._error
        assert self._completion is not None  # _ended says so
        return self._completion

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in self.polled(None):
            if chunk is not None:
                yield chunk

    def polled(self, every: Optional[float]) -> Iterator[Optional[Chunk]]:
        """As iterating, but with a None whenever ``every`` seconds have brought no chunk.

        For whoever has something else to do meanwhile, such as to tell a browser that the answer
        is still awaited.
        """
        self._check_process()
        with self._changed:
            if self._iterating:
                raise RuntimeError("this StreamHandle is being iterated already")
            self._iterating = True
            if self._joined is not None:
                self._queue.extendleft(reversed(_as_chunks(self._joined)))
                self._joined = None
        try:
            while True:
                chunk = self._take(every)
                if chunk is None and self.done():
                    chunk = self._take(0)
                    if chunk is None:
                        break
                yield chunk
        finally:
            with self._changed:
                self._iterating = False
                self._changed.notify_all()
        if self._error is not None:
            raise self._error

    def _check_process(self) -> None:
        if self._process != os.getpid() and not self._ended():
            raise RuntimeError("a StreamHandle's reader is in the process that made it, not here")

    def _take(self, timeout: Optional[float]) -> Optional[Chunk]:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue) or self._ended(), timeout)
            if not self._queue:
                return None
            self._changed.notify_all()
            return self._queue.popleft()

    def _ended(self) -> bool:
        """The lock is held."""
        return self._completion is not None or self._error is not None

    def _read(self) -> None:
        error: Optional[BaseException] = None
        try:
            with self._stream:
                for chunk in self._stream:
                    self._put(chunk)
        except BaseException as raised:  # told to whoever asks for the result
            error = raised
        completion = self._stream.completion
        with self._changed:
            self._error, self._completion = error, completion
            self._changed.notify_all()

    def _put(self, chunk: Chunk) -> None:
        with self._changed:
            self._changed.wait_for(self._may_put)
            if self._joined is None and len(self._queue) >= self._max and not self._iterating:
                self._joined = Accumulator()
                for earlier in self._queue:
                    self._joined.add(earlier)
                self._queue.clear()
            if self._joined is not None:
                self._joined.add(chunk)
                self._joined.fold()
            else:
                self._queue.append(chunk)
                self._changed.notify_all()

    def _may_put(self) -> bool:
        """The lock is held. A cancelled stream is not held up: it ends by itself."""
        full = self._iterating and len(self._queue) >= self._max
        return not full or self._stream.cancelled


def _as_chunks(joined: Accumulator) -> list[Chunk]:
    """What was joined, as few chunks as say the same."""
    chunks: list[Chunk] = []
    for choice in joined.choices():
        index = choice.index
        if choice.reasoning:
            chunks.append(Chunk("reasoning", reasoning=choice.reasoning, index=index))
        if choice.text:
            chunks.append(Chunk("text", choice.text, index=index))
        if choice.refusal:
            chunks.append(Chunk("refusal", refusal=choice.refusal, index=index))
        for place, call in enumerate(choice.tool_calls):
            fragment = ToolCallFragment(place, call.id, call.name, call.arguments)
            chunks.append(Chunk("tool_call", tool_call=fragment, index=index))
        for citation in choice.citations:
            chunks.append(Chunk("citation", citation=citation, index=index))
        if choice.finish_reason is not None:
            chunks.append(
                Chunk(
                    "finish",
                    finish_reason=choice.finish_reason,
                    index=index,
                    raw_finish_reason=choice.raw_finish_reason,
                )
            )
    if joined.usage is not None:
        chunks.append(Chunk("usage", usage=joined.usage))
    return chunks
