"""The format "vercel": the UI message stream of Vercel's AI SDK, for ``useChat``.

https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol#data-stream-protocol

Parts are opened and closed, so what is written depends on what was open. The SDK refuses parts
with fields that it does not know: the verdict goes as ``messageMetadata``. One message is shown,
so only the first choice is sent; a refusal is shown as its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.models import Chunk, Completion, ToolCall, ToolCallFragment
from streamsafe.web import sse
from streamsafe.web.fault import Fault
from streamsafe.web.formats.base import Opening, end_id, to_json, verdict


class VercelParts:
    """The AI SDK's parts, version 1."""

    media_type = "text/event-stream"
    headers: Mapping[str, str] = {"x-vercel-ai-ui-message-stream": "v1"}
    heartbeat = sse.comment()
    takes_back = False
    keeps_state = True

    def __init__(self) -> None:
        self._open: Optional[tuple[str, str]] = None  # kind and id of the part that is open
        self._parts = 0
        self._calls: dict[int, list[str]] = {}  # id, name and arguments so far

    def start(self, opening: Opening) -> bytes:
        """The message and its only step begin, unless they did before."""
        if opening.after:
            return b""
        parts = [{"type": "start", "messageId": opening.stream_id}, {"type": "start-step"}]
        return _written(parts, None, retry=opening.retry)

    def chunk(self, number: int, chunk: Chunk) -> bytes:
        """A delta of the part that is open, or of a new one."""
        if chunk.index:
            return b""
        if chunk.kind in ("text", "refusal"):
            return _written(self._delta("text", chunk.text or chunk.refusal), number)
        if chunk.kind == "reasoning":
            return _written(self._delta("reasoning", chunk.reasoning), number)
        if chunk.tool_call is not None:
            parts = self._tool(chunk.tool_call)
            return _written(parts, number) if parts else b""
        if chunk.citation is not None:
            source = _source(number, chunk.citation)
            return _written([source], number) if source else b""
        return b""

    def end(self, number: int, completion: Completion) -> bytes:
        """All that is open is closed; the tools' input is whole; the verdict; [DONE]."""
        parts = self._close()
        parts += [_input(ToolCall(*call)) for call in self._calls.values()]
        parts.append({"type": "finish-step"})
        parts.append({"type": "finish", "messageMetadata": verdict(completion)})
        return _written(parts, None) + sse.event("[DONE]", id=end_id(number))

    def failed(self, number: int, fault: Fault) -> bytes:
        """The error; or, if the answer was stopped, that."""
        text = f"{fault.message} {fault.hint}".strip()
        part = {"type": "error", "errorText": text}
        if fault.code == "cancelled":
            part = {"type": "abort"}
        return _written([*self._close(), part], None) + sse.event("[DONE]", id=end_id(number))

    def _delta(self, kind: str, delta: str) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        if self._open is None or self._open[0] != kind:
            parts = self._close()
            self._parts += 1
            self._open = (kind, f"{kind}-{self._parts}")
            parts.append({"type": f"{kind}-start", "id": self._open[1]})
        parts.append({"type": f"{kind}-delta", "id": self._open[1], "delta": delta})
        return parts

    def _close(self) -> list[dict[str, Any]]:
        if self._open is None:
            return []
        (kind, part), self._open = self._open, None
        return [{"type": f"{kind}-end", "id": part}]

    def _tool(self, piece: ToolCallFragment) -> list[dict[str, Any]]:
        parts = self._close()
        call = self._calls.get(piece.index)
        if call is None:
            call = self._calls[piece.index] = [piece.id or f"call-{piece.index}", piece.name, ""]
            parts.append(
                {"type": "tool-input-start", "toolCallId": call[0], "toolName": piece.name}
            )
        call[2] += piece.arguments
        if piece.arguments:
            said = {"toolCallId": call[0], "inputTextDelta": piece.arguments}
            parts.append({"type": "tool-input-delta", **said})
        return parts


def _input(call: ToolCall) -> dict[str, Any]:
    said = {"toolCallId": call.id, "toolName": call.name}
    try:
        return {"type": "tool-input-available", **said, "input": call.parsed()}
    except ValueError:
        wrong = {"input": call.arguments, "errorText": "The arguments are not JSON."}
        return {"type": "tool-input-error", **said, **wrong}


def _source(number: int, citation: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    inner = citation.get("url_citation", citation)
    url = inner.get("url") if isinstance(inner, Mapping) else None
    if not isinstance(url, str):
        return None
    part = {"type": "source-url", "sourceId": f"source-{number}", "url": url}
    if isinstance(inner.get("title"), str):
        part["title"] = inner["title"]
    return part


def _written(
    parts: list[dict[str, Any]], number: Optional[int], retry: Optional[float] = None
) -> bytes:
    """The id stands on the last part: who has seen only some of them gets all of them again."""
    *most, last = [to_json(part) for part in parts]
    id = None if number is None else str(number)
    events = [sse.event(part, retry=retry) for part in most]
    return b"".join([*events, sse.event(last, id=id)])
