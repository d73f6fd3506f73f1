"""Gemini's answers, and Vertex AI's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.testing.answers.parts import INPUT, Calls, Error, calls, data, error_object, tokens


def gemini(
    text: str = "",
    *,
    model: str = "gemini-test",
    id: str = "response-test",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """Gemini's streamGenerateContent?alt=sse: CRLF line ends, no end mark, whole tool calls.

    Content type text/event-stream.
    """
    into, out = usage or (INPUT, len(tokens(text)))
    counts = {
        "promptTokenCount": into, "candidatesTokenCount": out, "totalTokenCount": into + out
    }  # fmt: skip

    def chunk(part: Mapping[str, Any], **finish: str) -> bytes:
        candidate = {"content": {"parts": [part], "role": "model"}, "index": 0, **finish}
        return data(
            {"candidates": [candidate], "usageMetadata": counts, "modelVersion": model,
             "responseId": id}, end="\r\n",
        )  # fmt: skip

    events = [chunk({"text": token, "thought": True}) for token in tokens(reasoning)]
    events += [chunk({"text": token}) for token in tokens(text)]
    for name, arguments in calls(tool_calls):
        events.append(chunk({"functionCall": {"name": name, "args": json.loads(arguments)}}))
    if error is not None:
        broken = error_object(error, code=503, status="UNAVAILABLE")
        return [*events, data({"error": broken}, end="\r\n")]
    return [*events, chunk({"text": ""}, finishReason=finish_reason or "STOP")]
