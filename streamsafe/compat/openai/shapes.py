"""Shapes: which of the SDK's objects a payload is, by what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.compat.openai import types
from streamsafe.compat.record import Record

_BY_OBJECT = {
    "chat.completion": types.ChatCompletion,
    "chat.completion.chunk": types.ChatCompletionChunk,
    "text_completion": types.Completion,
    "response": types.Response,
}


def shape(payload: Mapping[str, Any]) -> Record:
    """The payload as the SDK's object."""
    kind = _BY_OBJECT.get(payload.get("object", ""))
    if kind is not None:
        return kind(payload)
    return types.ResponseStreamEvent(payload)
