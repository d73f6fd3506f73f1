"""Routes: which adapter serves a URL, and whether its connections are under a scope."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.utils import select_proxy
from urllib3.util import Retry

from streamsafe.wire.connections import ScopedAdapter
from streamsafe.wire.prepare import Terms


class Route(NamedTuple):
    """``send`` takes a prepared request and the adapter's keyword arguments.

    ``scoped``: a scope reaches its connections in every phase. ``whole``: the session's own
    ``send``, which sees to hooks and cookies itself.
    """

    send: Callable[..., requests.Response]
    scoped: bool
    whole: bool = False


class Routes:
    """The routes of one session, which is only read."""

    def __init__(
        self, session: requests.Session, pool_maxsize: int, keepalive: Optional[float]
    ) -> None:
        self._session = session
        self._pool_maxsize = pool_maxsize
        self._keepalive = keepalive
        # By the session's adapter, what serves in its place. Two threads may make two: the
        # first one stays (setdefault is atomic).
        self._stand_ins: dict[BaseAdapter, BaseAdapter] = {}

    def find(self, url: str, terms: Terms) -> Route:
        """The route for a request to ``url``. Raises requests' InvalidSchema."""
        session = self._session
        # Overridden in a subclass or replaced by a mock: then it is meant to be called.
        if getattr(session.send, "__module__", "") != "requests.sessions":
            return Route(session.send, scoped=False, whole=True)
        adapter = session.get_adapter(url)
        if not isinstance(adapter, ScopedAdapter):
            adapter = self._stand_ins.get(adapter) or self._stand_ins.setdefault(
                adapter, self._stand_in(adapter)
            )
        scoped = isinstance(adapter, ScopedAdapter) and not _over_socks(url, terms)
        return Route(adapter.send, scoped)

    def close(self) -> None:
        """Close the idle connections of the stand-ins."""
        for adapter in list(self._stand_ins.values()):
            if isinstance(adapter, ScopedAdapter):
                adapter.close()

    def _stand_in(self, adapter: BaseAdapter) -> BaseAdapter:
        if type(adapter) is HTTPAdapter:
            options = dict(adapter.poolmanager.connection_pool_kw)
            maxsize = max(options.pop("maxsize", 0), self._pool_maxsize)
            if not options.pop("block", False):
                return ScopedAdapter(
                    pool_maxsize=maxsize, keepalive=self._keepalive, pool_options=options
                )
        if isinstance(adapter, HTTPAdapter):
            # The same pools and settings, but for the repeating, which is not its business here.
            single: Any = type(adapter).__new__(type(adapter))
            single.__dict__.update(adapter.__dict__)
            single.max_retries = Retry(0, read=False)
            return single  # type: ignore[no-any-return]
        return adapter


def _over_socks(url: str, terms: Terms) -> bool:
    """True if PySocks makes the connections."""
    if not terms.proxies:
        return False
    return (select_proxy(url, terms.proxies) or "").lower().startswith("socks")
