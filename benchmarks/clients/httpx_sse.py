"""httpx with httpx-sse, and ``json``."""

from __future__ import annotations

from typing import Callable

from benchmarks.clients.payloads import BODIES, PATHS, READ, Take

PACKAGES = ("httpx", "httpx-sse")
MODULES = ("httpx", "httpx_sse")
APIS = ("chat", "anthropic")
SHARE = 0.5


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    import httpx
    import httpx_sse

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx.Client(timeout=60, limits=limits)
    body, read, url = BODIES[api], READ[api], url + PATHS[api]

    def stream(take: Take) -> None:
        with httpx_sse.connect_sse(client, "POST", url, json=body) as source:
            read(source.iter_sse(), take)

    return stream
