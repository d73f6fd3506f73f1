"""Redirects: whether and where a response sends the request, and what goes along.

A POST is never turned into a GET, and no credentials go to another origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from streamsafe.errors import is_credential

if TYPE_CHECKING:
    import requests

#: The most that are followed. The vendors' APIs send none; proxies and moved hosts one or two.
MOST = 5

_SAFE = frozenset({"GET", "HEAD"})
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_KEEP_METHOD = frozenset({307, 308})


def follow(
    session: requests.Session, request: requests.PreparedRequest, status: int, location: str
) -> Optional[requests.PreparedRequest]:
    """The request to make in place of this one, or None if the response is the answer.

    307 and 308 keep method and body; 301 to 303 are followed only where there was no body to
    lose. From https to http is never followed.
    """
    followed = _FOLLOWED if request.method in _SAFE else _KEEP_METHOD
    if not location or status not in followed:
        return None
    before = request.url or ""
    new = request.copy()
    try:
        target = _target(before, location)
        if not target.lower().startswith(("http://", "https://")):
            return None
        if before.lower().startswith("https:") and target.lower().startswith("http:"):
            return None
        new.prepare_url(target, None)
    except ValueError:  # no address, such as http://[ or http://a:99999
        return None
    if session.should_strip_auth(before, new.url or ""):  # type: ignore[no-untyped-call]
        for name in [n for n in new.headers if is_credential(n) or n.lower() == "host"]:
            del new.headers[name]
    return new


def _target(base: str, location: str) -> str:
    from urllib.parse import urljoin

    # http.client decodes headers as latin-1; what stands in a Location is UTF-8 by practice.
    try:
        location = location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        pass
    return urljoin(base, location)
