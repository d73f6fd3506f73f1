"""The format "ndjson": the same as "streamsafe", a JSON object a line, for ``fetch`` and scripts.

Each has its ``kind``, and a piece of the answer its number as ``id``. The ``heartbeat`` is a line
with that kind, since readers that parse each line trip over an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.models import Chunk, Completion
from streamsafe.web.fault import Fault
from streamsafe.web.formats.base import SENT, Opening, fields, to_json, verdict


class Lines:
    """JSON lines."""

    media_type = "application/x-ndjson"
    headers: Mapping[str, str] = {}
    heartbeat = b'{"kind":"heartbeat"}\n'
    takes_back = True
    keeps_state = False

    def start(self, opening: Opening) -> bytes:
        """The line "start"."""
        return _line(
            {
                "kind": "start",
                "stream_id": opening.stream_id,
                "model": opening.model,
                "after": opening.after,
            }
        )

    def chunk(self, number: int, chunk: Chunk) -> bytes:
        """A line of the chunk's kind."""
        if chunk.kind not in SENT:
            return b""
        return _line({"kind": chunk.kind, "id": number, **fields(chunk)})

    def end(self, number: int, completion: Completion) -> bytes:
        """The line "end"."""
        return _line({"kind": "end", **verdict(completion)})

    def failed(self, number: int, fault: Fault) -> bytes:
        """The line "failure"."""
        return _line({"kind": "failure", **fault._asdict()})


def _line(value: dict[str, Any]) -> bytes:
    return to_json(value).encode() + b"\n"
