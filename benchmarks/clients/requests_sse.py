"""requests-sse, and ``json``."""

from __future__ import annotations

from typing import Callable

from benchmarks.clients.payloads import BODIES, PATHS, READ, Take

PACKAGES = ("requests", "urllib3", "requests-sse")
MODULES = ("requests_sse",)
APIS = ("chat", "anthropic")
SHARE = 0.5


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    import requests
    from requests_sse import EventSource

    session = requests.Session()
    body, read, url = BODIES[api], READ[api], url + PATHS[api]

    def stream(take: Take) -> None:
        with EventSource(url, method="POST", json=body, session=session) as source:
            read(source, take)

    return stream
