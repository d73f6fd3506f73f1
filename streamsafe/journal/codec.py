"""Codec: chunks, calls and attempts as JSON, without loss and without secrets.

Here lives the written form that all journals share. A chunk's ``raw`` payload is left out unless
asked for: it is several times the chunk, and the chunk says all that the answer is made of.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.models import Attempt, Call, Chunk, ToolCallFragment, Usage

_FIELDS = (
    "text", "reasoning", "refusal", "finish_reason", "raw_finish_reason", "index", "citation",
)  # fmt: skip
_EMPTY = ("", None, 0)

#: Names under which a request carries a secret, wherever they stand.
_SECRET = ("authorization", "api_key", "api-key", "x-api-key", "x-goog-api-key", "cookie", "token",
           "access_token", "password", "secret", "key", "signature", "sig")  # fmt: skip

MASK = "***"


def chunks_to_json(chunks: Sequence[Chunk], keep_raw: bool = False) -> str:
    """A list of chunks; plain pieces of text, which most are, as the text alone."""
    return _dumps([_pack(chunk, keep_raw) for chunk in chunks])


def chunks_from_json(text: str) -> list[Chunk]:
    """The list again."""
    return [_unpack(item) for item in json.loads(text)]


def _pack(chunk: Chunk, keep_raw: bool) -> Any:
    if chunk.kind == "text" and not chunk.index and not keep_raw:
        return chunk.text
    packed: dict[str, Any] = {"kind": chunk.kind}
    for name in _FIELDS:
        value = getattr(chunk, name)
        if value not in _EMPTY:
            packed[name] = value
    if chunk.tool_call is not None:
        packed["tool_call"] = list(chunk.tool_call)
    if chunk.usage is not None:
        packed["usage"] = list(chunk.usage)
    if keep_raw and chunk.raw is not None:
        packed["raw"] = chunk.raw
    return packed


def _unpack(packed: Any) -> Chunk:
    if isinstance(packed, str):
        return Chunk("text", packed)
    packed = dict(packed)
    if "tool_call" in packed:
        packed["tool_call"] = ToolCallFragment(*packed["tool_call"])
    if "usage" in packed:
        packed["usage"] = Usage(*packed["usage"])
    return Chunk(**packed)


def call_to_json(call: Call) -> str:
    """The question; secrets in it are masked."""
    return _dumps(masked({name: value for name, value in call.fields().items() if value}))


def call_from_json(text: str) -> Call:
    """The question again."""
    return Call(**json.loads(text))


def attempt_to_json(attempt: Attempt) -> str:
    """The record of an attempt, its error as text."""
    fields = attempt.fields()
    fields["error"] = None if attempt.error is None else f"{attempt.error!r}"
    fields["usage"] = None if attempt.usage is None else list(attempt.usage)
    return _dumps(masked(fields))


def state_to_json(state: Optional[Mapping[str, Any]]) -> Optional[str]:
    """The provider's cursor; None for none."""
    return _dumps(state) if state else None


def masked(value: Any, name: str = "") -> Any:
    """The value with *** in place of what stands under the name of a secret."""
    if isinstance(value, Mapping):
        return {key: masked(item, str(key).lower()) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item, name) for item in value]
    if name in _SECRET and isinstance(value, str):
        return MASK
    return value


def _dumps(value: Any) -> str:
    # ASCII, so that half a surrogate pair, which servers do send, can be stored.
    return json.dumps(value, separators=(",", ":"), default=str)
