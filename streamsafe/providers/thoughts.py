"""Thoughts: reasoning that must be sent back as it came, where Chat Completions servers want that.

Here live the two forms: OpenRouter's ``reasoning_details`` beside the content, and the thinking
parts of Mistral's content lists. Both come in pieces and go back whole, with their signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.providers.halves import united
from streamsafe.providers.payloads import objects

#: Fields of a detail that come in pieces; of all others the last one counts.
_GROWS = ("text", "summary", "data")


class Thoughts:
    """The thoughts of one choice, as far as they came."""

    def __init__(self) -> None:
        self._details: dict[Any, _Thought] = {}
        self._parts: list[_Thought] = []

    def add(self, delta: Mapping[str, Any]) -> None:
        """Take what a delta has of them."""
        for detail in objects(delta.get("reasoning_details")):
            key = detail.get("type"), detail.get("index")
            self._details.setdefault(key, _Thought()).add(detail, _GROWS)
        for part in objects(delta.get("content")):
            if part.get("type") == "thinking":
                if not self._parts or self._parts[-1].fields.get("closed"):
                    self._parts.append(_Thought())
                self._parts[-1].add({**part, "thinking": thought_of(part)}, ("thinking",))

    def state(self) -> dict[str, Any]:
        """What there is, whole, by the name that ``Completion.provider_state`` has for it."""
        details = [thought.whole() for thought in self._details.values()]
        thinking = [part.whole() for part in self._parts]
        for part in thinking:
            part["thinking"] = [{"type": "text", "text": part["thinking"]}]
        found = {"reasoning_details": details, "thinking": thinking}
        return {name: value for name, value in found.items() if value}

    def message(self, text: str) -> dict[str, Any]:
        """What an assistant message has besides; its content, where thoughts are part of that."""
        state = self.state()
        parts = state.pop("thinking", None)
        if parts:
            state["content"] = [*parts, *([{"type": "text", "text": text}] if text else ())]
        return state


class _Thought:
    """One detail or part: its fields, and the pieces of those that grow."""

    __slots__ = ("fields", "_pieces")

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self._pieces: dict[str, list[str]] = {}

    def add(self, fields: Mapping[str, Any], grows: tuple[str, ...]) -> None:
        for name, value in fields.items():
            if name in grows and isinstance(value, str):
                self._pieces.setdefault(name, []).append(value)
            if value is not None or name not in self.fields:
                self.fields[name] = value

    def whole(self) -> dict[str, Any]:
        grown = {name: united("".join(pieces)) for name, pieces in self._pieces.items()}
        return {**self.fields, **grown}


def thought_of(part: Mapping[str, Any]) -> str:
    """The words of a thinking part: a text, or a list of texts."""
    inner = part.get("thinking")
    pieces = []
    for item in inner if isinstance(inner, list) else [inner]:
        text = item.get("text") if isinstance(item, dict) else item
        pieces.append(text if isinstance(text, str) else "")
    return "".join(pieces)
