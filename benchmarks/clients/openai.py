"""OpenAI's own SDK."""

from __future__ import annotations

from typing import Callable

from benchmarks.clients.payloads import BODIES, Take

PACKAGES = ("openai", "pydantic")
MODULES = ("openai",)
APIS = ("chat",)
SHARE = 0.1


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    import openai

    client = openai.OpenAI(api_key="k", base_url=url + "/v1", timeout=60)
    body = BODIES[api]

    def stream(take: Take) -> None:
        with client.chat.completions.create(**body) as chunks:
            for chunk in chunks:
                delta = chunk.choices[0].delta
                if delta.content:
                    take(delta.content)
                elif delta.tool_calls and delta.tool_calls[0].function.arguments:
                    take(delta.tool_calls[0].function.arguments)

    return stream
