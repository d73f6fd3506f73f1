"""Ollama's own answers, lines of JSON: /api/chat and /api/generate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.testing.answers.parts import (
    INPUT,
    Calls,
    Error,
    calls,
    encoded,
    error_object,
    only_text,
    tokens,
)


def ollama(
    text: str = "",
    *,
    model: str = "llama-test",
    id: str = "",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """Ollama's own /api/chat: a JSON object a line. Content type application/x-ndjson.

    It has no ``id``; the argument is taken so that all answers are asked for alike.
    """

    def message(content: str = "", **fields: Any) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": content, **fields}}

    lines = [_line(model, message(thinking=token)) for token in tokens(reasoning)]
    lines += [_line(model, message(token)) for token in tokens(text)]
    for name, arguments in calls(tool_calls):
        call = {"function": {"name": name, "arguments": json.loads(arguments)}}
        lines.append(_line(model, message(tool_calls=[call])))
    counts = usage or (INPUT, len(tokens(reasoning + text)))
    return [*lines, *_end(model, message(), finish_reason, counts, error)]


def ollama_generate(
    text: str = "",
    *,
    model: str = "llama-test",
    id: str = "",
    finish_reason: str = "",
    usage: Optional[tuple[int, int]] = None,
    reasoning: str = "",
    tool_calls: Calls = (),
    error: Error = None,
) -> list[bytes]:
    """Ollama's own /api/generate: a JSON object a line. Content type application/x-ndjson.

    Raises ValueError for ``tool_calls``: this API has none.
    """
    only_text("ollama_generate", tool_calls=tool_calls)
    lines = [_line(model, {"response": "", "thinking": token}) for token in tokens(reasoning)]
    lines += [_line(model, {"response": token}) for token in tokens(text)]
    counts = usage or (INPUT, len(tokens(reasoning + text)))
    return [*lines, *_end(model, {"response": ""}, finish_reason, counts, error)]


def _end(
    model: str,
    empty: Mapping[str, Any],
    finish_reason: str,
    counts: tuple[int, int],
    error: Error,
) -> list[bytes]:
    """The last line: that all is done, or the error."""
    if error is not None:
        return [encoded({"error": error_object(error)["message"]}) + b"\n"]
    last = {"done_reason": finish_reason or "stop", "prompt_eval_count": counts[0],
            "eval_count": counts[1]}  # fmt: skip
    return [_line(model, empty, done=True, **last)]


def _line(model: str, said: Mapping[str, Any], done: bool = False, **last: Any) -> bytes:
    stamp = {"model": model, "created_at": "2026-01-01T00:00:00Z"}
    text = encoded({**stamp, **said, "done": done, **last})
    # As Go's encoder does; clients that split with str.splitlines() lean on it.
    for mark in ("\u2028", "\u2029"):
        text = text.replace(mark.encode(), b"\\u%04x" % ord(mark))
    return text + b"\n"
