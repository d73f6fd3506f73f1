"""Format: how an answer is written for those who read it over HTTP.

Here live the protocol and what the formats share: JSON, and a chunk's fields. A format is made
for each response and gives bytes for what it is told; it waits for nothing and knows no stream.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional, Protocol

from streamsafe.models import Chunk, Completion, Usage
from streamsafe.web.fault import Fault

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=dict).encode

#: The kinds of chunks that are sent; "other" is the API's own and stays here.
SENT = frozenset(
    ("text", "reasoning", "refusal", "tool_call", "citation", "usage", "finish", "restart")
)


class Opening(NamedTuple):
    """What is known before the first chunk. ``after``: the number behind which this response
    begins, 0 for all; ``retry``: seconds after which a browser is to come again."""

    stream_id: str
    model: Optional[str]
    after: int
    retry: float


class Format(Protocol):
    """One way of writing an answer; b"" where there is nothing to say.

    ``takes_back``: whether it can say that what was sent is void. ``keeps_state``: whether what it
    writes depends on earlier chunks, so that it has to be told them again in a response that
    begins behind them. ``heartbeat`` is what readers pass over, or b"" if there is no such thing.
    """

    media_type: str
    headers: Mapping[str, str]
    heartbeat: bytes
    takes_back: bool
    keeps_state: bool

    def start(self, opening: Opening) -> bytes:
        """The response begins."""

    def chunk(self, number: int, chunk: Chunk) -> bytes:
        """A piece of the answer and its number."""

    def end(self, number: int, completion: Completion) -> bytes:
        """The answer has its verdict; ``number`` is the last piece's."""

    def failed(self, number: int, fault: Fault) -> Optional[bytes]:
        """The answer broke off. None: the format cannot say so, and the connection is cut."""


def to_json(value: Any) -> str:
    """Compact JSON that can be encoded: half a surrogate pair, which a server may well cut a
    smiley into, is escaped, and whole again where the halves are joined."""
    text = _encode(value)
    return text if text.isascii() or _encodable(text) else json.dumps(value, default=dict)


def end_id(number: int) -> str:
    """The id of a stream's last event: who comes again with it has seen all."""
    return f"{number}:end"


def fields(chunk: Chunk) -> dict[str, Any]:
    """What a chunk says, under the names of ``Chunk``, without the API's own payload."""
    said: dict[str, Any] = {
        name: getattr(chunk, name)
        for name in ("text", "reasoning", "refusal", "finish_reason", "citation")
        if getattr(chunk, name)
    }
    if chunk.tool_call is not None:
        said["tool_call"] = chunk.tool_call._asdict()
    if chunk.usage is not None:
        said["usage"] = counts(chunk.usage)
    if chunk.index:
        said["index"] = chunk.index
    return said


def verdict(completion: Completion) -> dict[str, Any]:
    """How the answer ended. With ``text_chars`` a reader can tell that it has all of it."""
    return {
        "outcome": completion.outcome.value,
        "finish_reason": completion.finish_reason,
        "model": completion.model,
        "usage": completion.usage and counts(completion.usage),
        "text_chars": completion.text_chars,
    }


def counts(usage: Usage) -> dict[str, Any]:
    """A usage's counts."""
    said = usage._asdict()
    del said["raw"]
    return said


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
