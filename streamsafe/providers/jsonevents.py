"""JSON events: what the decoders of all APIs do alike, whose events are JSON objects.

Here lives the loop over events, malformed ones included, and the making of errors that stand
inside a stream. What a payload means is said by each provider.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.errors import MalformedStreamError
from streamsafe.models import Chunk, ServerSentEvent
from streamsafe.providers.base import Decoder
from streamsafe.providers.classify import api_error, error_facts, retry_after
from streamsafe.providers.payloads import decode


class JSONDecoder(Decoder):
    """A decoder whose subclasses say what one payload gives, in ``payload``."""

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """Chunks of these events, up to a failure or an end mark."""
        chunks: list[Chunk] = []
        for event in events:
            if event.data.startswith("[DONE]"):
                self.closed = True
                break
            try:
                payload = decode(event.data)
            except MalformedStreamError as error:
                if not self.skip(error):
                    break
                continue
            self.take(payload, event.event, chunks)
            if self.failure is not None or self.closed:
                break
        return chunks

    def take(self, payload: Any, event: str, chunks: list[Chunk]) -> None:
        """One payload: its error, or its chunks."""
        failed = isinstance(payload, Mapping) and bool(payload.get("error"))
        if failed or event == "error" or not isinstance(payload, Mapping):
            self.fail(payload)
        else:
            chunks += self.payload(payload, event)

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """The chunks of one payload; sets ``finished``, ``closed``, ``failure``."""
        raise NotImplementedError

    def strays(self, lines: Sequence[str]) -> None:
        """``error: {…}`` as a field, or a bare JSON error over several lines."""
        if self.failure is not None or self.finished:
            return
        for text in ("\n".join(lines), *(line.partition(":")[2] for line in lines)):
            payload = maybe_json(text)
            if isinstance(payload, Mapping) and (payload.get("error") or "message" in payload):
                self.fail(payload)
                return

    def end(self, tail: str) -> list[Chunk]:
        """An end mark without its blank line is one; an error object may stand there bare."""
        text = tail.strip()
        if text.startswith("data:"):
            text = text[5:].strip()
        if text == "[DONE]":
            self.closed = True
        elif text and not self.finished:
            payload = maybe_json(text)
            if isinstance(payload, Mapping) and payload.get("error"):
                self.fail(payload)
            else:
                self.strays(tail.splitlines())
        return []

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
    ) -> list[Chunk]:
        """An error in place of, or along with, an answer; always no chunks."""
        facts = error_facts(payload)
        self.finished = False
        self.failure = api_error(
            facts.message or f"the stream ended in an error: {str(payload)[:200]}",
            code=facts.code,
            type=facts.type or (str(facts.status) if facts.status else None),
            body=payload,
            retry_after=retry_after({}, payload),
            in_stream=True,
            retryable=retryable,
            request_id=request_id,
            hint=hint,
        )
        return []


def maybe_json(text: str) -> Any:
    """The value, or None for what is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None
