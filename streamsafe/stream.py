"""Stream: what the program holds in its hands while an answer streams.

Here lives the iterator and context manager; the work is done by ``run.Run``, whose generator
belongs to whoever iterates: a ``for`` loop holds it alone, so ``break`` drops it and the
connection is closed at once, even while the ``Stream`` lives on.
"""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator
from typing import Optional

from streamsafe.journal.base import Journal
from streamsafe.models import Attempt, Chunk, Completion
from streamsafe.run import Run
from streamsafe.setup import Setup


class Stream:
    """One answer being streamed: an iterator of ``Chunk`` and a context manager.

    Made by ``StreamSession.stream``. Lazy: nothing is sent before the iteration starts. One thread
    reads at a time; ``cancel``, ``completion``, ``status`` and ``attempts`` may be used by any.

    Iterating raises a ``StreamingError`` if the answer can't be had whole, or is cancelled; what
    had arrived is then on the error's ``partial`` and on ``completion``. Leaving the loop, an
    exception in a ``with`` body, garbage collection and Ctrl-C all close the connection.
    """

    def __init__(self, setup: Setup) -> None:
        self._run = Run(setup)
        # The generator, until a loop takes it over: then the loop alone holds it.
        self._own: Optional[Generator[Chunk, None, None]] = None
        self._lent: Optional[weakref.ref[Generator[Chunk, None, None]]] = None

    def __iter__(self) -> Iterator[Chunk]:
        generator = self._generator()
        if generator is None:
            return self._over()
        self._own, self._lent = None, weakref.ref(generator)
        return generator

    def __next__(self) -> Chunk:
        generator = self._generator()
        if generator is None:
            return next(self._over())
        if self._lent is None:
            self._own = generator
        return next(generator)

    def _generator(self) -> Optional[Generator[Chunk, None, None]]:
        """The one generator; None once the stream has ended. One that was dropped before it was
        begun is made anew."""
        if self._run.final is not None:
            return None
        made = self._made()
        if getattr(made, "gi_running", False):
            raise RuntimeError("this Stream is being read at this moment: one reader at a time")
        return self._run.chunks() if made is None else made

    def _made(self) -> Optional[Generator[Chunk, None, None]]:
        return self._own or (self._lent() if self._lent is not None else None)

    def _over(self) -> Iterator[Chunk]:
        """What iterating a stream that has ended gives: nothing, or once more its error."""
        if self._run.error is not None:
            raise self._run.error
        return iter(())

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def text(self) -> Iterator[str]:
        """The pieces of the answer's text as they come.

        A restart (``resume="restart"``) can't be shown here: read chunks where it may happen.
        """
        for chunk in self:
            if chunk.text:
                yield chunk.text

    def until_done(self) -> Completion:
        """Read to the end and return the final completion; raises what iterating raises."""
        for _ in self:
            pass
        return self.completion

    @property
    def completion(self) -> Completion:
        """What has been delivered so far (outcome PENDING), or the final completion."""
        return self._run.completion()

    @property
    def stream_id(self) -> str:
        """The name of this stream in logs, records and the journal."""
        return self._run.setup.stream_id

    @property
    def journal(self) -> Optional[Journal]:
        """The journal that keeps it, or None."""
        return self._run.setup.journal

    @property
    def resumed(self) -> bool:
        """True if it goes on with what a journal holds of an earlier process."""
        return self._run.setup.saved is not None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The records of the attempts that have ended, in their order."""
        return tuple(self._run.ledger.records)

    @property
    def status(self) -> str:
        """"pending", "streaming", "retrying", "complete", "failed" or "cancelled"."""
        return self._run.status

    @property
    def cancelled(self) -> bool:
        """True once ``cancel`` was called, also before the reader is out."""
        return self._run.cancelled is not None

    def cancel(self, reason: Optional[str] = None) -> None:
        """Stop, from any thread; returns at once.

        A reader that is blocked, or waits for a retry, is out within half a second and gets a
        StreamCancelledError. No effect on a stream that has ended.
        """
        self._run.cancel(reason)

    def close(self) -> None:
        """Leave the stream and close its connection; harmless when it has ended.

        By the thread that reads. From another, or from a callback, it is a ``cancel``.
        """
        if self._run.final is not None:
            return
        generator = self._made()
        if generator is None:
            self._run.cancel("closed before it began")
            return
        try:
            generator.close()
        except ValueError:  # it is running, in another thread or below a callback
            self._run.cancel("closed while it was being read")

    def __repr__(self) -> str:
        return f"<Stream {self.stream_id} {self.status}>"
