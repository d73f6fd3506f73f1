"""Task: one prompt on its way through an executor, to a thread or another process.

Here lives what is done there: the answer is taken from the journal, or gone on with, or asked
for. A task can be done twice without harm, by whoever finds it undone: that is what makes an
executor that repeats the work of dead processes safe.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional, Protocol

from streamsafe.engine.retry import RetryPolicy
from streamsafe.errors import ResumeError, StreamingError
from streamsafe.journal.base import Journal, Saved
from streamsafe.models import Completion
from streamsafe.stream import Stream

#: Batches whose session another process keeps, for its connections.
MAX_KEPT = 8
#: The arguments that a stream which is gone on with takes as well.
_RESUMED = (
    "on_token", "on_error", "on_complete", "on_retry", "on_stall", "observers", "resume",
    "timeouts", "cancel", "fallbacks",
)  # fmt: skip


class Asks(Protocol):
    """A session, as far as it is needed here."""

    @property
    def stream(self) -> Callable[..., Stream]:
        """See ``StreamSession.stream``."""

    @property
    def resume(self) -> Callable[..., Stream]:
        """See ``StreamSession.resume``."""


class Reading:
    """The streams that this process is reading for one batch.

    Another process begins with none: what it reads is stopped there, not here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards both below
        self._streams: set[Stream] = set()
        self._stopped = False

    def read(self, stream: Stream) -> Completion:
        """Read to the end; a StreamCancelledError once ``stop`` was called."""
        with self._lock:
            self._streams.add(stream)
            stopped = self._stopped
        if stopped:
            stream.cancel("the batch was stopped")
        try:
            with stream:
                return stream.until_done()
        finally:
            with self._lock:
                self._streams.discard(stream)

    def stop(self) -> None:
        """Cancel all of them and all to come; from any thread, returns at once."""
        with self._lock:
            self._stopped = True
            streams = list(self._streams)
        for stream in streams:
            stream.cancel("the batch was stopped")

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (Reading, ())


class Shared:
    """What all tasks of a batch share.

    ``arguments`` are those of ``session.stream`` for all prompts. It pickles with each task;
    another process keeps the first that it gets, so that its connections are used again.
    """

    def __init__(
        self,
        token: str,
        session: Asks,
        journal: Optional[Journal],
        policy: RetryPolicy,
        arguments: Mapping[str, Any],
    ) -> None:
        self.token = token
        self.session = session
        self.journal = journal
        self.policy = policy
        self.arguments = arguments
        self.reading = Reading()

    def __reduce__(self) -> Any:
        return (
            _kept,
            (self.token, self.session, self.journal, self.policy, dict(self.arguments)),
        )


# Written by whichever thread unpickles; each step is atomic, and two firsts do no harm.
_shared: dict[str, Shared] = {}


def _kept(token: str, *fields: Any) -> Shared:
    shared = _shared.setdefault(token, Shared(token, *fields))
    while len(_shared) > MAX_KEPT:
        _shared.pop(next(iter(_shared)), None)
    return shared


class Task(NamedTuple):
    """One prompt to ask. ``arguments`` are its own."""

    shared: Shared
    stream_id: str
    arguments: Mapping[str, Any]


class Answer(NamedTuple):
    """What came of it: ``completion``, or ``error``. ``reused``: the journal had it."""

    completion: Optional[Completion] = None
    error: Optional[Exception] = None
    reused: bool = False


def perform(task: Task) -> Answer:
    """Do it; on whatever thread or process the executor has. Raises only what callbacks raise."""
    shared = task.shared
    try:
        saved = _saved(shared.journal, task.stream_id)
        if saved is not None and saved.status == "complete" and saved.completion is not None:
            return Answer(saved.completion, reused=True)
        return Answer(shared.reading.read(_stream(task, saved)))
    except StreamingError as error:
        return Answer(error=error)


def _saved(journal: Optional[Journal], stream_id: str) -> Optional[Saved]:
    if journal is None:
        return None
    try:
        return journal.load(stream_id)
    except ResumeError:  # it has none of this name
        return None


def _stream(task: Task, saved: Optional[Saved]) -> Stream:
    """The stream to read: a new one, or the one that the journal has the beginning of."""
    shared = task.shared
    if saved is None:
        arguments = {**shared.arguments, **task.arguments, "retry": shared.policy}
        return shared.session.stream(
            **arguments, stream_id=task.stream_id, journal=shared.journal
        )
    known = {name: shared.arguments[name] for name in _RESUMED if name in shared.arguments}
    return shared.session.resume(
        task.stream_id, **known, journal=shared.journal, retry=shared.policy
    )
