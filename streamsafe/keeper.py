"""Keeper: what of a stream is kept outside the program's memory: journal and sink.

Here lives the order in which they are told, and what becomes of their failures: one that could
lose what is about to be shown ends the stream; one behind the end is logged.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from streamsafe.engine.accumulator import has_tail_alone
from streamsafe.errors import StorageError
from streamsafe.journal.base import Journal
from streamsafe.journal.sink import Sink
from streamsafe.models import Attempt, Call, Chunk, Completion
from streamsafe.notices import ProgramError

logger = logging.getLogger("streamsafe")

#: A longer answer is not read again to be gone on with, in characters: no model has room for it as
#: a prefix (a million tokens are some four million characters), and memory is to stay flat.
RECALLED = 16_000_000


class Keeper:
    """Tells journal and sink, if there are any. Used by the reading thread.

    ``claimed``: the journal's stream was claimed already, to go on with it.
    """

    def __init__(
        self,
        stream_id: str,
        journal: Optional[Journal],
        sink: Optional[Sink],
        claimed: bool = False,
    ) -> None:
        self._stream_id = stream_id
        self._journal = journal
        self._sink = sink
        self._held = claimed  # whether the journal's stream is ours to write
        self._process = os.getpid()
        #: False where there is nothing to tell: for the hot loop.
        self.keeps = journal is not None or sink is not None

    def begin(
        self, call: Call, provider: str, settings: Mapping[str, Any], secrets: Sequence[str]
    ) -> None:
        """A stream begins. The ``secrets`` are not to be written."""
        self._process = os.getpid()
        if self._journal is not None:
            journal = self._journal
            self._try(
                lambda: journal.begin(
                    self._stream_id,
                    call=call,
                    provider=provider,
                    settings=settings,
                    secrets=secrets,
                )
            )
            self._held = True

    def again(self, chunks: Sequence[Chunk]) -> None:
        """A stream is gone on with: the journal has these, and the sink gets them first."""
        if self._sink is not None:
            sink = self._sink
            self._try(lambda: sink.write(chunks))

    def chunks(self, chunks: Sequence[Chunk], state: Mapping[str, Any]) -> None:
        """These are about to be shown: they are on disk when this returns."""
        try:  # not through _try: this runs once a read
            if self._journal is not None:
                self._journal.append(self._stream_id, chunks, state=state)
            if self._sink is not None:
                self._sink.write(chunks)
        except Exception as error:
            raise ProgramError(error) from error

    def recalled(self, partial: Completion) -> Completion:
        """With the whole text, where there is more of it than in memory and it can be read."""
        if not has_tail_alone(partial) or partial.text_chars > RECALLED:
            return partial
        text = self._whole()
        if text is None or len(text) != partial.text_chars:
            return partial
        first = partial.choices[0]._replace(text=text)
        return partial.replace(text=text, choices=(first, *partial.choices[1:]))

    def _whole(self) -> Optional[str]:
        try:
            if self._journal is not None:
                return self._journal.transcript(self._stream_id)
            return None if self._sink is None else self._sink.text()
        except Exception:
            logger.exception("stream %s could not be read again", self._stream_id)
            return None

    def attempt(self, record: Attempt, state: Mapping[str, Any]) -> None:
        """An attempt has ended."""
        if self._journal is not None and self._held and self._ours():
            journal = self._journal
            self._log(lambda: journal.attempt(self._stream_id, record, state=state))

    def finish(self) -> None:
        """The answer is whole: before anybody is told so, the sink has it whole, too."""
        if self._sink is not None and self._ours():
            self._try(self._sink.finish)
            self._sink = None

    def end(self, completion: Completion, status: str, error: Optional[BaseException]) -> None:
        """The stream has ended."""
        held, self._held = self._held, False
        shown = None if error is None else f"{type(error).__name__}: {error}"
        ours = self._ours()
        if self._journal is not None and held and ours:
            journal = self._journal
            self._log(lambda: journal.end(self._stream_id, completion, status, shown))
        if self._sink is not None:
            sink = self._sink
            self._log(sink.finish if status == "complete" and ours else sink.abandon)

    def leave(self) -> None:
        """A stream that was claimed and then not begun: others may go on with it."""
        held, self._held = self._held, False
        if held and self._journal is not None and self._ours():
            journal = self._journal
            self._log(lambda: journal.release(self._stream_id))

    def __del__(self) -> None:
        self.leave()

    def _ours(self) -> bool:
        """False in a forked child, which drops its copy of a stream that goes on in its parent."""
        return self._process == os.getpid()

    def _try(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception as error:
            raise ProgramError(error) from error

    def _log(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except StorageError as error:  # it says all that there is to say
            logger.error("stream %s could not be kept: %s", self._stream_id, error)
        except Exception:
            logger.exception("stream %s could not be kept", self._stream_id)
