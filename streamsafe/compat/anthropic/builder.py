"""Builder: the events of a message become the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from streamsafe.compat.anthropic.types import Message
from streamsafe.compat.partialjson import partial
from streamsafe.providers.payloads import mapping

#: Where a block keeps what its deltas bring, by the delta's type; and under what they bring it.
_GROWS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
    "input_json_delta": ("input", "partial_json"),
}


class Block:
    """A content block as far as it came."""

    def __init__(self, fields: Any) -> None:
        self._fields = dict(mapping(fields))
        self._pieces: dict[str, list[str]] = {}

    def add(self, delta: Mapping[str, Any]) -> None:
        """Take the next piece."""
        kind = str(delta.get("type"))
        if kind == "citations_delta":
            known = self._fields.get("citations")
            known = known if isinstance(known, list) else []
            self._fields["citations"] = [*known, delta.get("citation")]
        elif kind in _GROWS:
            name, given = _GROWS[kind]
            self._pieces.setdefault(name, []).append(_text(delta.get(given)))

    def now(self, name: str) -> Callable[[], Any]:
        """What tells, whenever it is called, what the field holds at this moment."""
        pieces = self._pieces.get(name)
        if pieces is None:
            value = self._fields.get(name)
            return lambda: value
        count = len(pieces)
        return lambda: self._field(name, pieces[:count])

    def value(self) -> dict[str, Any]:
        """The block."""
        grown = {name: self._field(name, pieces) for name, pieces in self._pieces.items()}
        return {**self._fields, **grown}

    def _field(self, name: str, pieces: list[str]) -> Any:
        text = "".join(pieces)
        if name == "input":
            found = partial(text)
            return self._fields.get("input") if found is None else found
        return _text(self._fields.get(name)) + text


class MessageBuilder:
    """A message of its events."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self.blocks: dict[int, Block] = {}

    def add(self, payload: Mapping[str, Any]) -> None:
        """Take the next event."""
        kind = payload.get("type")
        if kind == "message_start":
            self._message = dict(mapping(payload.get("message")))
        elif kind == "content_block_start":
            self.blocks[payload["index"]] = Block(payload.get("content_block"))
        elif kind == "content_block_delta":
            self.blocks[payload["index"]].add(mapping(payload.get("delta")))
        elif kind == "message_delta":
            self._message.update(mapping(payload.get("delta")))
            counts = mapping(payload.get("usage"))
            said = {name: count for name, count in counts.items() if count is not None}
            self._message["usage"] = {**mapping(self._message.get("usage")), **said}

    def value(self) -> Message:
        """The message as far as it came."""
        content = [block.value() for _, block in sorted(self.blocks.items())]
        return Message({**self._message, "content": content})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
