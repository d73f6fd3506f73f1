"""Environment: what the proxy variables say of a URL, as the transport takes them.

Here lives the looking-up alone, for those who explain a connection; the transport's own way is
``prepare``'s.
"""

from __future__ import annotations

from typing import Optional


def proxy_of(url: str) -> Optional[str]:
    """The proxy that the environment names for a URL (NO_PROXY respected), or None."""
    from requests.utils import get_environ_proxies, select_proxy

    return select_proxy(url, get_environ_proxies(url))
