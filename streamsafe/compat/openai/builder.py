"""Builder: chunks of OpenAI's become the object that the API gives where no stream is asked for.

Here lives the adding up of deltas. It is general: what a server adds to a delta is in the message
as well, texts joined and lists one behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.providers.payloads import mapping, objects

#: Texts of a delta that are given once and not in pieces.
_ONCE = frozenset({"id", "name", "role", "type", "finish_reason"})


class ChatBuilder:
    """A ``chat.completion`` of its chunks."""

    OBJECT = "chat.completion"

    def __init__(self) -> None:
        self._whole: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, payload: Mapping[str, Any]) -> None:
        """Take the next chunk."""
        for choice in objects(payload.get("choices")):
            index = choice.get("index", 0)
            made = self._choices.setdefault(index, {"index": index, "finish_reason": None})
            merge(made, {name: value for name, value in choice.items() if value is not None})
        for name, value in payload.items():
            if name != "choices" and (value is not None or name not in self._whole):
                self._whole[name] = value

    def value(self) -> dict[str, Any]:
        """The whole answer."""
        choices = [self._choice(choice) for _, choice in sorted(self._choices.items())]
        return {**self._whole, "object": self.OBJECT, "choices": choices}

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        made = {"logprobs": None, **joined(choice)}
        message = {"role": "assistant", "content": None, "refusal": None, **made.pop("delta", {})}
        if message.get("tool_calls"):
            for call in message["tool_calls"]:
                call.pop("index", None)
            message["content"] = message["content"] or None
        return {**made, "message": message}


class CompletionsBuilder(ChatBuilder):
    """A ``text_completion`` of its chunks."""

    OBJECT = "text_completion"

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        return {"logprobs": None, "text": "", **joined(choice)}


class ResponsesBuilder:
    """A response: the last event has it whole."""

    def __init__(self) -> None:
        self._whole: dict[str, Any] = {}

    def add(self, payload: Mapping[str, Any]) -> None:
        """Take the next event."""
        if "response" in payload:
            self._whole = dict(payload["response"])

    def value(self) -> dict[str, Any]:
        """The whole response."""
        return self._whole


class Pieces(list[str]):
    """A text that is still coming."""


def merge(made: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta to what there is. Objects in a list with an ``index`` are put together by it."""
    for name, value in delta.items():
        if isinstance(value, str) and name not in _ONCE:
            _there(made, name, Pieces).append(value)
        elif isinstance(value, Mapping):
            merge(_there(made, name, dict), value)
        elif isinstance(value, list):
            _extend(_there(made, name, list), value)
        elif value is not None or name not in made:
            made[name] = value


def _there(made: dict[str, Any], name: str, kind: type) -> Any:
    """What is gathered under the name, begun where there is nothing of the kind."""
    if not isinstance(made.get(name), kind):
        made[name] = kind()
    return made[name]


def _extend(made: list[Any], items: list[Any]) -> None:
    for item in items:
        index = mapping(item).get("index")
        if not isinstance(index, int):
            made.append(item)
            continue
        one = next((known for known in made if known.get("index") == index), None)
        if one is None:
            one = {"index": index}
            made.append(one)
        merge(one, item)


def joined(value: Any) -> Any:
    """The same with its texts in one piece."""
    if isinstance(value, Pieces):
        return "".join(value)
    if isinstance(value, dict):
        return {name: joined(item) for name, item in value.items()}
    if isinstance(value, list):
        return [joined(item) for item in value]
    return value
