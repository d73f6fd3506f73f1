"""The clients that are measured: streamsafe, what people would use instead, and two limits.

Each module here has

* ``PACKAGES``: the distributions it needs, whose versions the report names;
* ``MODULES``: the modules that a program imports to use it;
* ``APIS``: the APIs whose answers it reads ("chat", "anthropic");
* ``SHARE``: the part of a long stream that is enough to tell what it costs (1, or less if slow);
* ``connect(url, api)``: the client as a program would set it up once, on which is imported what
  it needs. What it returns is called for each stream with ``take``, to which each token goes.
  streamsafe's takes a third argument: what to switch on.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any, Callable, Optional

#: In the order of the table. "streamsafe+..." is streamsafe with something switched on.
PEERS = (
    "streamsafe", "naive", "iter_lines", "requests_sse", "launchdarkly", "httpx_sse",
    "openai", "anthropic", "litellm", "limit", "floor",
)  # fmt: skip


def load(peer: str) -> Any:
    """The module of a peer; ValueError if there is none of this name."""
    name = peer.partition("+")[0]
    if name not in PEERS:
        raise ValueError(f"peer {peer!r}: expected one of {', '.join(PEERS)}")
    return importlib.import_module(f"benchmarks.clients.{name}")


def connector(peer: str) -> Callable[[str, str], Any]:
    """The peer's ``connect``, with what it is to switch on."""
    connect: Callable[..., Any] = load(peer).connect
    _, _, extra = peer.partition("+")
    if not extra:
        return connect
    return lambda url, api: connect(url, api, extra)


def versions(peer: str) -> Optional[dict[str, str]]:
    """What the peer is made of, or None if something of it is not installed."""
    try:
        return {name: metadata.version(name) for name in load(peer).PACKAGES}
    except metadata.PackageNotFoundError:
        return None
