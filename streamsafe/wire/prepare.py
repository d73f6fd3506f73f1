"""Prepare: a Request and a requests.Session to what is sent and the terms it is sent on.

Here the session's own settings (headers, params, auth, cookies, hooks, proxies, certificates)
are merged in. What requests works out anew for each request (half of the time of a short
``session.post``) is kept as long as all that it was worked out from is the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import requests
from requests.utils import default_headers

from streamsafe.errors import is_credential
from streamsafe.models import Request
from streamsafe.wire import body

#: What is kept at most. A session talks to a few URLs with a few sets of headers.
KEPT = 64

_ENVIRONMENT = tuple(
    name
    for lower in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for name in (lower, lower.upper())
) + ("REQUEST_METHOD", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Terms(NamedTuple):
    """How a request is sent: the settings that ``HTTPAdapter.send`` takes."""

    proxies: Mapping[str, str]
    verify: Any
    cert: Any


class Preparer:
    """Prepares requests for one session; for many threads at once.

    The session is only read. Two threads may work the same thing out twice: the dicts' single
    operations are atomic, and no lock is needed.
    """

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self._templates: dict[Any, tuple[Any, requests.PreparedRequest]] = {}
        self._terms: dict[str, tuple[Any, Terms]] = {}
        # A subclass may look at more than is compared here.
        kind = type(session)
        self._keeps_templates = kind.prepare_request is requests.Session.prepare_request
        self._keeps_terms = (
            kind.merge_environment_settings is requests.Session.merge_environment_settings
        )

    def request(self, request: Request) -> requests.PreparedRequest:
        """``request`` with the session's settings, ready to be sent.

        Raises ConfigurationError for a body that is no JSON, and what requests raises.
        """
        content = None if request.json is None else body.encode(request.json)
        if not self._plain(request):
            return self._prepared(request, content)
        key = (request.method, request.url, tuple(request.headers.items()), content is None)
        state = tuple(self._session.headers.items())
        found = self._templates.get(key)
        if found is None or found[0] != state:
            found = (state, self._prepared(request, content))
            _keep(self._templates, key, found)
        return _with_body(found[1], content)

    def terms(self, url: str) -> Terms:
        """On what terms a request to ``url`` is sent; ``session.verify`` comes first.

        requests lets REQUESTS_CA_BUNDLE override the bundle that a program set on its session.
        """
        session = self._session
        if not self._keeps_terms:
            return self._merged(url)
        state = (
            tuple(session.proxies.items()), session.verify, session.cert, session.trust_env,
            tuple(map(os.environ.get, _ENVIRONMENT)) if session.trust_env else None,
        )  # fmt: skip
        found = self._terms.get(url)
        if found is None or found[0] != state:
            found = (state, self._merged(url))
            _keep(self._terms, url, found)
        return found[1]

    def _merged(self, url: str) -> Terms:
        verify = self._session.verify
        merged = self._session.merge_environment_settings(
            url, {}, True, None if verify is True else verify, None
        )
        return Terms(merged["proxies"], merged["verify"], merged["cert"])

    def _plain(self, request: Request) -> bool:
        """True if nothing but URL, method and headers decides what is sent, the body aside."""
        session = self._session
        return (
            self._keeps_templates
            and not session.auth
            and not session.params
            and not session.hooks.get("response")
            and next(iter(session.cookies), None) is None
            and (not session.trust_env or any(map(is_credential, request.headers)))
        )

    def _prepared(self, request: Request, content: Optional[bytes]) -> requests.PreparedRequest:
        session = self._session
        # .netrc would replace the credentials that the request brings.
        own = not session.auth and any(map(is_credential, request.headers))
        headers = self._headers(request, content)
        return session.prepare_request(
            requests.Request(
                request.method, request.url, headers, data=content, auth=_as_it_is if own else None
            )
        )

    def _headers(self, request: Request, content: Optional[bytes]) -> dict[str, str]:
        wanted = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if content is not None:
            wanted["Content-Type"] = "application/json"
        given = {name.lower() for name in request.headers}
        usual, session = default_headers(), self._session.headers
        headers = {
            name: value
            for name, value in wanted.items()
            # What the program set on its session is meant; what requests sets there is not.
            if name.lower() not in given and session.get(name) in (None, usual.get(name))
        }
        headers.update(request.headers)
        return headers


def _with_body(
    template: requests.PreparedRequest, content: Optional[bytes]
) -> requests.PreparedRequest:
    # Not template.copy(): most of that is the copying of a cookie jar, which is empty here.
    new = requests.PreparedRequest()
    new.__dict__.update(template.__dict__)
    new.headers = template.headers.copy()
    if content is not None:
        new.body = content
        new.headers["Content-Length"] = str(len(content))
    return new


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _keep(kept: dict[Any, Any], key: Any, value: Any) -> None:
    if len(kept) >= KEPT:
        kept.clear()
    kept[key] = value
