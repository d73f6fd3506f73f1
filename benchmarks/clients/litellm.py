"""LiteLLM, which asks through OpenAI's SDK."""

from __future__ import annotations

import os
from typing import Callable

from benchmarks.clients.payloads import BODIES, Take

PACKAGES = ("litellm", "openai")
MODULES = ("litellm",)
APIS = ("chat",)
SHARE = 0.02


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    # Else it asks the internet for a table of prices when it is imported.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    body = {**BODIES[api], "model": "openai/m"}

    def stream(take: Take) -> None:
        for chunk in litellm.completion(api_key="k", api_base=url + "/v1", timeout=60, **body):
            delta = chunk.choices[0].delta
            if delta.content:
                take(delta.content)
            elif delta.tool_calls and delta.tool_calls[0].function.arguments:
                take(delta.tool_calls[0].function.arguments)

    return stream
