"""The format "streamsafe": Server-Sent Events, one for each piece, numbered, with a verdict.

===========  =====================================================================
start        ``stream_id``, ``model``, ``after``: 0 if the answer comes from its beginning
text …       one for each piece, by its kind: ``text``, ``reasoning``, ``refusal``, ``tool_call``,
             ``citation``, ``usage``, ``finish``; the id is the piece's number
restart      what was sent before is void
end          ``outcome``, ``finish_reason``, ``model``, ``usage``, ``text_chars``
failure      ``type``, ``code``, ``message``, ``hint``, ``retryable``
===========  =====================================================================

A failure is not called "error": a browser gives an event of that name to the handler that is told
of lost connections.
"""

from __future__ import annotations

from collections.abc import Mapping

from streamsafe.models import Chunk, Completion
from streamsafe.web import sse
from streamsafe.web.fault import Fault
from streamsafe.web.formats.base import SENT, Opening, end_id, fields, to_json, verdict


class Events:
    """streamsafe's own events."""

    media_type = "text/event-stream"
    headers: Mapping[str, str] = {}
    heartbeat = sse.comment()
    takes_back = True
    keeps_state = False

    def start(self, opening: Opening) -> bytes:
        """The event "start", with the reconnection time."""
        said = {
            "stream_id": opening.stream_id, "model": opening.model, "after": opening.after
        }  # fmt: skip
        return sse.event(to_json(said), name="start", retry=opening.retry)

    def chunk(self, number: int, chunk: Chunk) -> bytes:
        """An event that is named for the chunk's kind."""
        if chunk.kind not in SENT:
            return b""
        return sse.event(to_json(fields(chunk)), name=chunk.kind, id=str(number))

    def end(self, number: int, completion: Completion) -> bytes:
        """The event "end"."""
        return sse.event(to_json(verdict(completion)), name="end", id=end_id(number))

    def failed(self, number: int, fault: Fault) -> bytes:
        """The event "failure"."""
        return sse.event(to_json(fault._asdict()), name="failure", id=end_id(number))
