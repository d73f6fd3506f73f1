"""Weave: one unbroken answer in OpenAI's own chunks, of the chunks of several attempts.

Here lives the giving back of payloads as they came, and the making of those that a repaired answer
wants: the first attempt's ids, no second role, no second finish. Chat and legacy completions
differ in what a choice looks like alone; responses have a weave of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

from streamsafe.compat.openai.types import ChatCompletionChunk, Completion, ResponseStreamEvent
from streamsafe.compat.record import Record
from streamsafe.models import Attempt, Chunk
from streamsafe.providers.payloads import mapping, objects, word

#: Of a payload, what is not the same in all of them.
_CONTENT = frozenset({"choices", "usage"})


class ChatWeave:
    """The weave of chat completions."""

    shape: Callable[[Mapping[str, Any]], Record] = ChatCompletionChunk
    OBJECT = "chat.completion.chunk"

    def __init__(self) -> None:
        self.over = False
        self._broken = False
        self._last: Any = None
        self._envelope: dict[str, Any] = {}
        self._finished: set[int] = set()

    def again(self, attempt: Attempt) -> None:
        """From now on chunks are put under the ids that the program knows, if it has seen any."""
        self._broken = bool(self._envelope)

    def __call__(self, chunk: Chunk) -> list[Mapping[str, Any]]:
        """The payload as it came, once; where it can't stay so, one for the chunk."""
        raw = chunk.raw
        if raw is not None and raw is self._last:
            return []
        if isinstance(raw, Mapping) and not self._envelope and raw.get("choices"):
            kept = {name: value for name, value in raw.items() if name not in _CONTENT}
            self._envelope = {**kept, "object": self.OBJECT}
        if self._broken or not isinstance(raw, Mapping):
            return self._made(chunk)
        choice = _choice_of(chunk)
        if chunk.kind == "text" and self._text(choice) != chunk.text:
            return self._made(chunk)  # half a character was put to its other half
        self._last = raw
        if chunk.kind == "finish":
            self._finished.add(chunk.index)
        return [self._streamed(raw) if self._is_document(choice) else raw]

    def _made(self, chunk: Chunk) -> list[Mapping[str, Any]]:
        raw = mapping(chunk.raw)
        counted = {"usage": raw["usage"]} if raw.get("usage") else {}
        if chunk.kind == "usage":
            return [] if raw.get("choices") else [{**self._envelope, "choices": [], **counted}]
        if chunk.kind == "finish":
            if chunk.index in self._finished:
                return []
            self._finished.add(chunk.index)
        elif chunk.kind == "other":
            return []
        return [{**self._envelope, "choices": [self._choice(chunk)], **counted}]

    def _text(self, choice: Mapping[str, Any]) -> Any:
        return mapping(choice.get("delta")).get("content")

    def _is_document(self, choice: Mapping[str, Any]) -> bool:
        """True for an answer that came in one piece: the server does not stream."""
        return "message" in choice

    def _streamed(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        choices = []
        for choice in objects(raw.get("choices")):
            delta = dict(mapping(choice.get("message")))
            if delta.get("tool_calls"):
                calls = enumerate(objects(delta["tool_calls"]))
                delta["tool_calls"] = [{"index": index, **call} for index, call in calls]
            rest = {name: value for name, value in choice.items() if name != "message"}
            choices.append({**rest, "delta": delta})
        return {**raw, "object": self.OBJECT, "choices": choices}

    def _choice(self, chunk: Chunk) -> dict[str, Any]:
        finish = chunk.raw_finish_reason if chunk.kind == "finish" else None
        return {"index": chunk.index, "delta": _delta(chunk), "finish_reason": finish}


class CompletionsWeave(ChatWeave):
    """The weave of legacy completions."""

    shape = Completion
    OBJECT = "text_completion"

    def _text(self, choice: Mapping[str, Any]) -> Any:
        return choice.get("text")

    def _is_document(self, choice: Mapping[str, Any]) -> bool:
        return "delta" in choice  # the decoder's: a choice of this API has none

    def _streamed(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        choices = [dict(choice) for choice in objects(raw.get("choices"))]
        for choice in choices:
            choice.pop("delta", None)
        return {**raw, "choices": choices}

    def _choice(self, chunk: Chunk) -> dict[str, Any]:
        finish = chunk.raw_finish_reason if chunk.kind == "finish" else None
        return {"index": chunk.index, "text": chunk.text, "finish_reason": finish}


def _choice_of(chunk: Chunk) -> Mapping[str, Any]:
    """The choice in the payload that the chunk came from."""
    choices = objects(mapping(chunk.raw).get("choices"))
    return next((one for one in choices if one.get("index", 0) == chunk.index), {})


def _delta(chunk: Chunk) -> dict[str, Any]:
    """The delta that brings what the chunk brings."""
    came = mapping(_choice_of(chunk).get("delta"))
    if chunk.kind == "text":
        return {"content": chunk.text}
    if chunk.kind == "reasoning":
        # The name is the server's own, no field of OpenAI's.
        return {"reasoning" if "reasoning" in came else "reasoning_content": chunk.reasoning}
    if chunk.kind == "refusal":
        return {"refusal": chunk.refusal}
    if chunk.kind == "citation":
        return {"annotations": [dict(chunk.citation or {})]}
    if chunk.kind != "tool_call" or chunk.tool_call is None:
        return {}
    call = chunk.tool_call
    function = {"name": call.name} if call.name else {}
    function["arguments"] = call.arguments
    if "function_call" in came:
        return {"function_call": function}
    head = {"id": call.id, "type": "function"} if call.id else {}
    return {"tool_calls": [{"index": call.index, **head, "function": function}]}


class ResponsesWeave:
    """The weave of responses.

    Their events are numbered and name their items; a stream that the server keeps goes on exactly.
    Where a response is asked for again, no beginning is told twice and its numbers go on.
    """

    shape = ResponseStreamEvent
    #: Where in a response something is.
    _PLACE = ("output_index", "content_index", "summary_index")

    def __init__(self) -> None:
        self.over = False
        self._broken = False
        self._last: Any = None
        self._number = -1
        self._told: set[tuple[Optional[str], ...]] = set()
        self._delta: dict[str, Any] = {"type": "response.output_text.delta"}

    def again(self, attempt: Attempt) -> None:
        """From now on what was told is not told again."""
        self._broken = True

    def __call__(self, chunk: Chunk) -> list[dict[str, Any]]:
        """The event as it came, once; or one for the chunk."""
        raw = chunk.raw
        if raw is not None and raw is self._last:
            return []
        if not isinstance(raw, Mapping) or "type" not in raw:
            return self._of_document(chunk)
        kind = word(raw["type"]) or ""
        if kind in ("response.failed", "response.cancelled", "error"):
            return []  # which is raised
        if chunk.kind == "text":
            return self._text(chunk, kind, raw)
        self._last = raw
        told = (kind, *(word(raw.get(name)) for name in self._PLACE))
        if self._broken and told in self._told and not kind.endswith(".delta"):
            return []
        self._told.add(told)
        return [self._numbered(dict(raw))]

    def _text(self, chunk: Chunk, kind: str, raw: Mapping[str, Any]) -> list[dict[str, Any]]:
        if kind == "response.output_text.delta":
            self._delta = dict(raw)
            if raw.get("delta") == chunk.text:
                self._last = raw
                return [self._numbered(dict(raw))]
        made = {**self._delta, "sequence_number": raw.get("sequence_number"), "delta": chunk.text}
        if kind == "response.output_text.delta":
            return [self._numbered(made)]
        self._last = raw  # it repeats the text whole, and brought what of it was missing
        return [self._numbered(made), self._numbered(dict(raw))]

    def _numbered(self, payload: dict[str, Any]) -> dict[str, Any]:
        number = payload.get("sequence_number")
        if isinstance(number, int):
            self._number = max(number, self._number + 1 if self._broken else number)
            payload["sequence_number"] = self._number
        return payload

    def _of_document(self, chunk: Chunk) -> list[dict[str, Any]]:
        """Events for a response that came as one document."""
        if chunk.kind == "text":
            return [{**self._delta, "delta": chunk.text}]
        if chunk.kind != "finish" or not isinstance(chunk.raw, Mapping):
            return []
        kind = "incomplete" if chunk.raw.get("status") == "incomplete" else "completed"
        return [{"type": f"response.{kind}", "response": dict(chunk.raw)}]
