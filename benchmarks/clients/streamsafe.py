"""streamsafe with all that is on by default, and, on demand, with what is not."""

from __future__ import annotations

from typing import Callable

from benchmarks.clients.payloads import Take

PACKAGES = ("requests", "urllib3", "sseclient-py")
MODULES = ("streamsafe",)
APIS = ("chat", "anthropic")
SHARE = 1.0


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    from streamsafe import StreamSession

    if api == "chat":
        session = StreamSession("openai_compatible", base_url=url + "/v1", api_key="k", model="m")
    else:
        session = StreamSession("anthropic", base_url=url, api_key="k", model="m")

    def stream(take: Take) -> None:
        for chunk in session.stream("Tell me of rivers"):
            if chunk.text:
                take(chunk.text)
            elif chunk.tool_call and chunk.tool_call.arguments:
                take(chunk.tool_call.arguments)

    return stream
