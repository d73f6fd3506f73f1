"""requests and sseclient-py as in the README of the latter, and ``json``."""

from __future__ import annotations

from typing import Callable

from benchmarks.clients.payloads import BODIES, PATHS, READ, Take

PACKAGES = ("requests", "urllib3", "sseclient-py")
MODULES = ("requests", "sseclient")
APIS = ("chat", "anthropic")
SHARE = 1.0


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    import requests
    import sseclient

    session = requests.Session()
    headers = {"Accept": "text/event-stream"}
    body, read, url = BODIES[api], READ[api], url + PATHS[api]

    def stream(take: Take) -> None:
        response = session.post(url, json=body, stream=True, headers=headers)
        read(sseclient.SSEClient(response).events(), take)

    return stream
