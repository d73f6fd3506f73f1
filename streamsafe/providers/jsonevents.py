"""JSON events: what the decoders of all APIs do alike, whose events are JSON objects.

Here lives the loop over events, malformed ones included, and the making of errors that stand
inside a stream. What a payload means is said by each provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from streamsafe.errors import MalformedStreamError
from streamsafe.models import Chunk, ServerSentEvent
from streamsafe.providers.base import Decoder
from streamsafe.providers.classify import api_error
from streamsafe.providers.delays import retry_after
from streamsafe.providers.facts import error_facts, maybe_json, unwrapped
from streamsafe.providers.halves import Halves
from streamsafe.providers.payloads import decode, malformed

#: What is kept of lines outside the standard's fields, in characters: enough for any error object.
_MAX_STRAYS = 64 * 1024

#: In place of a payload that is still to be decoded.
UNREAD: Any = object()


class JSONDecoder(Decoder):
    """A decoder whose subclasses say what one payload gives, in ``payload``."""

    def __init__(self) -> None:
        super().__init__()
        self._strays = ""
        self._halves = Halves()

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """Chunks of these events, up to a failure or an end mark."""
        chunks: list[Chunk] = []
        for event in events:
            if not self.general(event, chunks):
                break
        return chunks

    def general(
        self, event: ServerSentEvent, chunks: list[Chunk], payload: Any = UNREAD
    ) -> bool:
        """Take one event, whose payload may have been read; False: there is no more to read."""
        if payload is UNREAD:
            if event.data.startswith("[DONE]"):
                self.marked()
            else:
                try:
                    payload = decode(event.data)
                except MalformedStreamError as error:
                    if event.event == "error":
                        self.fail(event.data)
                    elif self.skip(error):
                        return True
        if payload is not UNREAD:
            made: list[Chunk] = []
            self.take(payload, event.event, made)
            chunks += self._halves.mend(made) if self._halves.wanted(made) else made
        over = self.failure is not None or self.closed
        if over and self._halves.kept:
            chunks += self._halves.rest()
        return not over

    def marked(self) -> None:
        """The end mark has come: nothing more is wanted from the body."""
        self.closed = True

    def take(self, payload: Any, event: str, chunks: list[Chunk]) -> None:
        """One payload: its error, or its chunks."""
        payload = unwrapped(payload)
        if event == "error" or is_error(payload):
            self.fail(payload)
        elif not isinstance(payload, dict):
            self.skip(malformed(repr(payload), "expected a JSON object"))
        else:
            chunks += self._read(self.payload, payload, event)

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """The chunks of one payload; sets ``finished``, ``closed``, ``failure``."""
        raise NotImplementedError

    def whole(self, payload: Any) -> list[Chunk]:
        """Chunks of an answer that came as one JSON document: the server did not stream."""
        return self._read(self.document, payload)

    def document(self, payload: Any) -> list[Chunk]:
        """The chunks of a whole answer; anything else is a failure."""
        raise NotImplementedError

    def _read(self, reading: Callable[..., list[Chunk]], payload: Any, *more: Any) -> list[Chunk]:
        """What a reading gives. A list where there is a name in all documents, and the like, is a
        broken event and no reason for the program to end."""
        try:
            return reading(payload, *more)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            broken = malformed(str(payload), f"a field is of no kind that is known: {error}")
            broken.__cause__ = error
            self.finished = self.closed = False
            self.skip(broken)
            return []

    def strays(self, lines: Sequence[str]) -> None:
        """``error: {…}`` as a field (old llama.cpp), or a bare JSON error over several lines, which
        may come in several reads (Gemini)."""
        if self.failure is not None or self.finished:
            return
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "error" and value.strip():
                self.fail(maybe_json(value) or value.strip())
                return
            if line.startswith(("{", "[")) and not self._strays.startswith(("{", "[")):
                self._strays = ""
            self._strays = f"{self._strays}{line}\n"[-_MAX_STRAYS:]
            if line.rstrip().endswith(("}", "]")) and self._is_error(self._strays):
                return

    def end(self, tail: str) -> list[Chunk]:
        """An end mark without its blank line is one; an error object may stand there bare."""
        for line in tail.splitlines():
            data = line[5:].strip() if line.startswith("data:") else ""
            if data == "[DONE]":
                self.marked()
            elif not self.finished and self.failure is None and not self._is_error(data):
                self.strays([line])
        return self._halves.rest()

    def _is_error(self, text: str) -> bool:
        """True, with the failure set, for the JSON of an error object."""
        payload = unwrapped(maybe_json(text)) if text else None
        if not is_error(payload):
            return False
        self.fail(payload)
        return True

    def skip(self, error: MalformedStreamError) -> bool:
        """True if the program wants malformed events passed over; else it is the failure."""
        if self.skip_malformed:
            self.malformed.append(error)
            return True
        self.failure = error
        return False

    def fail(
        self,
        payload: Any,
        *,
        retryable: Optional[bool] = None,
        request_id: Optional[str] = None,
        hint: Optional[str] = None,
        reason: Optional[str] = None,
    ) -> list[Chunk]:
        """An error in place of, or along with, an answer; always no chunks. ``reason``: the
        finish reason that says so."""
        payload = unwrapped(payload)
        facts = error_facts(payload)
        self.finished = False
        self.failed_reason = reason
        self.failure = api_error(
            facts.message or f"the stream ended in an error: {str(payload)[:200]}",
            code=facts.code or (str(facts.status) if facts.status else None),
            type=facts.type,
            body=payload,
            retry_after=retry_after({}, payload),
            in_stream=True,
            retryable=retryable,
            request_id=request_id or facts.request_id,
            hint=hint,
        )
        return []


def is_error(payload: Any) -> bool:
    """True for an error object, in the ways that APIs mark one, whatever else is in it."""
    return isinstance(payload, dict) and bool(
        payload.get("error") or payload.get("type") == "error" or payload.get("object") == "error"
    )
