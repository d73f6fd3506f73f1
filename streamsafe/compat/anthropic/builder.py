"""Builder: the events of a message become the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from streamsafe.compat.partialjson import partial

#: Where a block keeps what its deltas bring, by the delta's type; and under what they bring it.
_GROWS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


class Block:
    """A content block as far as it came."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)
        self._pieces: dict[str, list[str]] = {}

    def add(self, delta: Mapping[str, Any]) -> None:
        """Take the next piece."""
        kind = str(delta.get("type"))
        if kind == "citations_delta":
            known = self._fields.get("citations") or []
            self._fields["citations"] = [*known, delta.get("citation")]
        elif kind == "input_json_delta":
            self._pieces.setdefault("input", []).append(delta.get("partial_json") or "")
        elif kind in _GROWS:
            name, given = _GROWS[kind]
            self._pieces.setdefault(name, []).append(delta.get(given) or "")

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
        return (self._fields.get(name) or "") + text


class MessageBuilder:
    """A message of its events."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self.blocks: dict[int, Block] = {}

    def add(self, payload: Mapping[str, Any]) -> None:
        """Take the next event."""
        kind = payload.get("type")
        if kind == "message_start":
            self._message = dict(payload.get("message") or {})
        elif kind == "content_block_start":
            self.blocks[payload["index"]] = Block(payload.get("content_block") or {})
        elif kind == "content_block_delta":
            self.blocks[payload["index"]].add(payload.get("delta") or {})
        elif kind == "message_delta":
            self._message.update(payload.get("delta") or {})
            said = {name: n for name, n in (payload.get("usage") or {}).items() if n is not None}
            self._message["usage"] = {**(self._message.get("usage") or {}), **said}

    def value(self) -> dict[str, Any]:
        """The message as far as it came."""
        content = [block.value() for _, block in sorted(self.blocks.items())]
        return {**self._message, "content": content}
