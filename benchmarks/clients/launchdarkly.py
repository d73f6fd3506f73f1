"""launchdarkly-eventsource, and ``json``. It can only GET, which our server takes as well."""

from __future__ import annotations

from typing import Callable

from benchmarks.clients.payloads import PATHS, READ, Take

PACKAGES = ("urllib3", "launchdarkly-eventsource")
MODULES = ("ld_eventsource",)
APIS = ("chat", "anthropic")
SHARE = 0.5


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    import urllib3
    from ld_eventsource import SSEClient
    from ld_eventsource.config import ConnectStrategy

    pool = urllib3.PoolManager(maxsize=1024)
    read, url = READ[api], url + PATHS[api]

    def stream(take: Take) -> None:
        client = SSEClient(connect=ConnectStrategy.http(url, pool=pool))
        try:
            read(client.events, take)
        finally:
            client.close()

    return stream
