"""The format "openai": chunks of Chat Completions, for front ends that read these.

https://platform.openai.com/docs/api-reference/chat-streaming

Reasoning goes as ``reasoning_content``, as DeepSeek and vLLM have it. The usage stands in the last
chunk beside the finish reason, as with DeepSeek: a chunk without choices, which OpenAI sends to
those who ask for it, trips front ends that did not. ``[DONE]`` says that the answer is whole, so
there is none behind an error.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.models import Choice, Chunk, Completion, Usage
from streamsafe.web import sse
from streamsafe.web.fault import Fault
from streamsafe.web.formats.base import Opening, end_id, to_json

#: OpenAI's words for how an answer ends; a refusal has its text, or was filtered.
_FINISH = {"refusal": "content_filter", "error": "stop", None: "stop"}


class OpenAIChunks:
    """Chat Completions, streamed."""

    media_type = "text/event-stream"
    headers: Mapping[str, str] = {}
    heartbeat = sse.comment()
    takes_back = False
    keeps_state = False

    def __init__(self) -> None:
        self._frame: dict[str, Any] = {}

    def start(self, opening: Opening) -> bytes:
        """The chunk with the role, unless it was sent before."""
        self._frame = {
            "id": f"chatcmpl-{opening.stream_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": opening.model or "",
        }
        if opening.after:
            return b""
        delta = {"role": "assistant", "content": ""}
        return sse.event(self._chunk([_choice(0, delta)]), retry=opening.retry)

    def chunk(self, number: int, chunk: Chunk) -> bytes:
        """A chunk with the piece as its delta."""
        delta = _delta(chunk)
        if not delta:
            return b""
        return sse.event(self._chunk([_choice(chunk.index, delta)]), id=str(number))

    def end(self, number: int, completion: Completion) -> bytes:
        """The finish reasons, the usage and [DONE]."""
        choices = completion.choices or (Choice(0, finish_reason=completion.finish_reason),)
        said = [_choice(choice.index, {}, _finish(choice.finish_reason)) for choice in choices]
        usage = {"usage": _usage(completion.usage)} if completion.usage is not None else {}
        return sse.event(self._chunk(said, **usage)) + sse.event("[DONE]", id=end_id(number))

    def failed(self, number: int, fault: Fault) -> bytes:
        """The error object that OpenAI sends inside a stream."""
        message = f"{fault.message} {fault.hint}".strip()
        said = {"message": message, "type": fault.type, "param": None, "code": fault.code}
        return sse.event(to_json({"error": said}), id=end_id(number))

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> str:
        return to_json({**self._frame, "choices": choices, **more})


def _choice(index: int, delta: Mapping[str, Any], finish: Optional[str] = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def _delta(chunk: Chunk) -> dict[str, Any]:
    if chunk.kind == "text":
        return {"content": chunk.text}
    if chunk.kind == "reasoning":
        return {"reasoning_content": chunk.reasoning}
    if chunk.kind == "refusal":
        return {"refusal": chunk.refusal}
    if chunk.kind == "citation":
        return {"annotations": [chunk.citation]}
    if chunk.tool_call is None:
        return {}
    call = chunk.tool_call
    said: dict[str, Any] = {"index": call.index, "function": {"arguments": call.arguments}}
    if call.name:
        said["function"]["name"] = call.name
    if call.id:
        said.update(id=call.id, type="function")
    return {"tool_calls": [said]}


def _finish(reason: Optional[str]) -> str:
    return _FINISH.get(reason) or str(reason)


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens or usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
