"""What a program does with events that a library gives it: ``json.loads``, then look for the text.

For libraries whose events have ``.data``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Callable

Take = Callable[[str], object]

#: What a program sends in each API; the server throws it away.
BODIES: dict[str, dict[str, Any]] = {
    "chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "Tell me of rivers"}],
        "stream": True,
    },
    "anthropic": {
        "model": "m",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Tell me of rivers"}],
        "stream": True,
    },
}
PATHS = {"chat": "/v1/chat/completions", "anthropic": "/v1/messages"}


def chat(events: Iterable[Any], take: Take) -> None:
    """Chat Completions, up to [DONE]."""
    for event in events:
        if event.data == "[DONE]":
            break
        delta = json.loads(event.data)["choices"][0]["delta"]
        text = delta.get("content")
        if text:
            take(text)
        elif "tool_calls" in delta and delta["tool_calls"][0]["function"]["arguments"]:
            take(delta["tool_calls"][0]["function"]["arguments"])


def anthropic(events: Iterable[Any], take: Take) -> None:
    """Anthropic's Messages, up to message_stop."""
    for event in events:
        payload = json.loads(event.data)
        if payload["type"] == "content_block_delta":
            take(payload["delta"]["text"])
        elif payload["type"] == "message_stop":
            break


READ = {"chat": chat, "anthropic": anthropic}
