"""Anthropic's own SDK."""

from __future__ import annotations

from typing import Callable

from benchmarks.clients.payloads import BODIES, Take

PACKAGES = ("anthropic", "pydantic")
MODULES = ("anthropic",)
APIS = ("anthropic",)
SHARE = 0.2


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    import anthropic

    client = anthropic.Anthropic(api_key="k", base_url=url, timeout=60)
    body = BODIES[api]

    def stream(take: Take) -> None:
        with client.messages.create(**body) as events:
            for event in events:
                if event.type == "content_block_delta":
                    take(event.delta.text)

    return stream
