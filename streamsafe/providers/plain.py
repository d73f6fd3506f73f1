"""Plain: any source of Server-Sent Events or JSON lines, with no API behind it.

Here lives the decoder that hands events on as they are, each as the ``raw`` of a chunk, so that
one machinery reads them all. It never finishes: what ends a plain source is told in ``events``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.errors import APIError, MalformedStreamError
from streamsafe.models import Call, Chunk, Completion, Request, ServerSentEvent
from streamsafe.providers.base import Decoder, Profile, Target
from streamsafe.providers.classify import http_error

#: What is accepted in place of an event stream where lines are asked for.
LINES = "application/x-ndjson, application/jsonl, application/json;q=0.9, */*;q=0.5"


class EventDecoder(Decoder):
    """Events as they are. Any byte is a sign of life: a quiet source with heartbeats is well."""

    def __init__(self, last_event_id: str = "") -> None:
        super().__init__()
        self.last_event_id = last_event_id
        self.any_byte_counts = True

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """One chunk an event; the event is its ``raw``."""
        return [Chunk("text", raw=event) for event in events]

    def whole(self, payload: Any) -> list[Chunk]:
        """One JSON document is no event stream."""
        self.failure = MalformedStreamError(
            f"expected an event stream, got a JSON document: {str(payload)[:200]}",
            retryable=False,
        )
        return []


class LineDecoder(Decoder):
    """JSON lines: the decoded value of each is the ``raw`` of its chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.any_byte_counts = True

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """One chunk a line, up to the first that is no JSON."""
        chunks: list[Chunk] = []
        for event in events:
            try:
                chunks.append(Chunk("text", raw=json.loads(event.data)))
            except ValueError as error:
                self.failure = MalformedStreamError(
                    f"a line is no JSON: {error}; it begins: {event.data[:200]!r}"
                )
                break
        return chunks

    def whole(self, payload: Any) -> list[Chunk]:
        """A single line that came as a document."""
        self.finished = True
        return [Chunk("text", raw=payload)]

    def end(self, tail: str) -> list[Chunk]:
        """The end of the body is the end of the lines; a last one may lack its line feed."""
        self.finished = True
        if not tail.strip():
            return []
        try:
            return [Chunk("text", raw=json.loads(tail))]
        except ValueError:
            self.finished = False
            return []


class Plain:
    """A source at a URL of its own; ``framing`` is "sse" or "ndjson". One a request."""

    def __init__(self, request: Request, framing: str, last_event_id: str = "") -> None:
        self.name = "sse" if framing == "sse" else "ndjson"
        self.framing = framing
        self._request = request
        self._last_event_id = last_event_id

    def request(self, call: Call, target: Target) -> Request:
        """The request as it was given, with the last event's id where there is one."""
        headers = dict(self._request.headers)
        if self.framing == "ndjson" and "accept" not in map(str.lower, headers):
            headers["Accept"] = LINES  # a server that knows both forms is to send lines
        if self._last_event_id:
            # The standard sends it as UTF-8; a header's text goes out as Latin-1, byte for byte.
            id = self._last_event_id.encode("utf-8", "replace").decode("latin-1")
            headers["Last-Event-ID"] = id
        return self._request.replace(headers=headers)

    def decoder(self, call: Call) -> Decoder:
        """Events or lines."""
        return EventDecoder(self._last_event_id) if self.framing == "sse" else LineDecoder()

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """The error of a status outside 2xx."""
        return http_error(status, headers, body)

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """What most servers call it."""
        return headers.get("x-request-id")

    def profile(self, model: Optional[str]) -> Profile:
        """Nothing to continue."""
        return Profile(user_message=False)

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """Never asked for."""
        raise NotImplementedError
