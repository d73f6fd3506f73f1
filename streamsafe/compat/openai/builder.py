"""Builder: chunks of OpenAI's become the object that the API gives where no stream is asked for.

Here lives the adding up of deltas. It is general: what a server adds to a delta is in the message
as well, texts joined and lists one behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.compat.openai.types import ChatCompletion, Completion, Response
from streamsafe.compat.record import Record
from streamsafe.providers.payloads import mapping, objects

#: Texts of a delta that are given once and not in pieces.
_ONCE = frozenset({"id", "name", "role", "type", "finish_reason"})


class ChatBuilder:
    """A ``chat.completion`` of its chunks."""

    OBJECT = "chat.completion"
    SHAPE: type[Record] = ChatCompletion

    def __init__(self) -> None:
        self._whole: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, payload: Mapping[str, Any]) -> None:
        """Take the next chunk."""
        for choice in objects(payload.get("choices")):
            index = choice.get("index")
            index = index if isinstance(index, int) else 0
            made = self._choices.setdefault(index, {"index": index, "finish_reason": None})
            merge(made, {name: value for name, value in choice.items() if value is not None})
        for name, value in payload.items():
            if name != "choices" and (value is not None or name not in self._whole):
                self._whole[name] = value

    def value(self) -> Record:
        """The whole answer."""
        choices = [self._choice(choice) for _, choice in sorted(self._choices.items())]
        return self.SHAPE({**self._whole, "object": self.OBJECT, "choices": choices})

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        made = {"logprobs": None, **joined(choice)}
        delta = mapping(made.pop("delta", None))
        message = {"role": "assistant", "content": None, "refusal": None, **delta}
        if message.get("tool_calls"):
            calls = [dict(call) for call in objects(message["tool_calls"])]
            for call in calls:
                call.pop("index", None)
            message["tool_calls"] = calls
            message["content"] = message["content"] or None
        return {**made, "message": message}


class CompletionsBuilder(ChatBuilder):
    """A ``text_completion`` of its chunks."""

    OBJECT = "text_completion"
    SHAPE = Completion

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        return {"logprobs": None, "text": "", **joined(choice)}


class ResponsesBuilder:
    """A response: the last event has it whole."""

    def __init__(self) -> None:
        self._whole: dict[str, Any] = {}

    def add(self, payload: Mapping[str, Any]) -> None:
        """Take the next event."""
        if "response" in payload:
            self._whole = dict(mapping(payload["response"]))

    def value(self) -> Response:
        """The whole response."""
        return Response(self._whole)


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
    if type(made.get(name)) is not kind:
        made[name] = kind()
    return made[name]


def _extend(made: list[Any], items: list[Any]) -> None:
    for item in items:
        index = mapping(item).get("index")
        if not isinstance(index, int):
            made.append(item)
            continue
        one = next((known for known in made if mapping(known).get("index") == index), None)
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
