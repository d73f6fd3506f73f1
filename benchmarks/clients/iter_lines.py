"""requests and ``response.iter_lines()``, as most posts on the matter have it."""

from __future__ import annotations

import json
from typing import Callable

from benchmarks.clients.payloads import BODIES, PATHS, Take

PACKAGES = ("requests", "urllib3")
MODULES = ("requests",)
APIS = ("chat", "anthropic")
SHARE = 1.0


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    import requests

    session = requests.Session()
    body, url = BODIES[api], url + PATHS[api]

    def chat(take: Take) -> None:
        with session.post(url, json=body, stream=True) as response:
            for line in response.iter_lines():
                if not line.startswith(b"data: "):
                    continue
                data = line[6:]
                if data == b"[DONE]":
                    break
                delta = json.loads(data)["choices"][0]["delta"]
                text = delta.get("content")
                if text:
                    take(text)
                elif "tool_calls" in delta and delta["tool_calls"][0]["function"]["arguments"]:
                    take(delta["tool_calls"][0]["function"]["arguments"])

    def anthropic(take: Take) -> None:
        with session.post(url, json=body, stream=True) as response:
            for line in response.iter_lines():
                if not line.startswith(b"data: "):
                    continue
                payload = json.loads(line[6:])
                if payload["type"] == "content_block_delta":
                    take(payload["delta"]["text"])
                elif payload["type"] == "message_stop":
                    break

    return chat if api == "chat" else anthropic
