"""Whole: an answer that is asked for in one piece, streamed behind the scenes.

So a silent server is noticed, no proxy cuts a long wait, and a broken answer is gone on with or
asked for again. A server that refuses to stream is asked for a document.
"""

from __future__ import annotations

from typing import Any, Callable, Protocol

from streamsafe.compat.answer import Payload, Weave
from streamsafe.errors import BadRequestError
from streamsafe.models import Attempt
from streamsafe.stream import Stream


class Builder(Protocol):
    """Puts events together to the vendor's whole answer."""

    def add(self, payload: Payload) -> None:
        """Take the next event."""

    def value(self) -> Any:
        """The answer in the SDK's class, as the API gives it where no stream is asked for."""


class Gathering:
    """Reads one stream to its end; an answer that begins anew is put together anew."""

    def __init__(self, weave: Callable[[], Weave], builder: Callable[[], Builder]) -> None:
        self._kinds = weave, builder
        self._weave, self._builder = weave(), builder()

    def again(self, attempt: Attempt) -> None:
        """An attempt failed; the chunks of the next one follow."""
        self._weave.again(attempt)

    def read(self, stream: Stream) -> Any:
        """The whole answer. Raises what the stream raises."""
        for chunk in stream:
            if chunk.kind == "restart":
                weave, builder = self._kinds
                self._weave, self._builder = weave(), builder()
                continue
            for payload in self._weave(chunk):
                self._builder.add(payload)
            if self._weave.over:
                break
        return self._builder.value()


def refuses_to_stream(error: BaseException) -> bool:
    """True where the server has the model, but no stream of it: OpenAI says so of some models, and
    to organisations that are not verified; others do not know ``stream_options``. All of them name
    it, each in a body of its own form."""
    return isinstance(error, BadRequestError) and "stream" in str(error.body)
