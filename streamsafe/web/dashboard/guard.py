"""Guard: who may look. Here live the check of the Host header and that of the token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from typing import Optional
from urllib.parse import parse_qs, quote

from streamsafe.errors import ConfigurationError
from streamsafe.web.dashboard.answer import Answer, Environ, home, redirect, refusal

COOKIE = "streamsafe-dashboard"

#: The names under which a browser on this machine finds a server on this machine.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """Lets a request pass, or has an answer for it.

    ``token``: None lets everybody pass. A program sends it as ``Authorization: Bearer``; a browser
    once in the query, from where it goes into a cookie that scripts cannot read. ``hosts``: the
    names that a Host header may have, without port; None = any.
    """

    def __init__(self, token: Optional[str], hosts: Optional[Collection[str]]) -> None:
        if token is not None and not token:
            raise ConfigurationError("token='': expected a text that is not empty, or None")
        self._token = None if token is None else token.encode()
        self._hosts = None if hosts is None else {host.lower() for host in hosts}

    def stop(self, environ: Environ) -> Optional[Answer]:
        """The answer for a request that may not pass; None lets it pass."""
        if self._hosts is not None and _host(environ) not in self._hosts:
            # A page of another site whose name was made to point here (DNS rebinding) reads what
            # this one may read, unless the name is looked at.
            return refusal(
                "403 Forbidden",
                f"This dashboard answers to {', '.join(sorted(self._hosts))} only.",
            )
        if self._token is None or self._is_token(_bearer(environ)):
            return None
        if hmac.compare_digest(_cookie(environ).encode(), self._cookie_value()):
            return None
        if self._is_token(_in_query(environ)):
            return redirect(home(environ), ("Set-Cookie", self._set_cookie(environ)))
        return refusal(
            "401 Unauthorized",
            "This dashboard wants its token: open it with ?token=..., or send "
            "Authorization: Bearer ...",
            ("WWW-Authenticate", "Bearer"),
        )

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token or b"")

    def _cookie_value(self) -> bytes:
        # Not the token itself, which may be good for more than this page.
        digest = hmac.new(self._token or b"", COOKIE.encode(), hashlib.sha256)
        return digest.hexdigest().encode()

    def _set_cookie(self, environ: Environ) -> str:
        secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
        path = quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1") + "/"
        value = self._cookie_value().decode()
        return f"{COOKIE}={value}; Path={path}; HttpOnly; SameSite=Strict{secure}"


def _host(environ: Environ) -> str:
    host = str(environ.get("HTTP_HOST", "")).lower()
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _bearer(environ: Environ) -> str:
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookie(environ: Environ) -> str:
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
    except CookieError:
        return ""
    return str(found.value) if found is not None else ""


def _in_query(environ: Environ) -> str:
    return str(parse_qs(environ.get("QUERY_STRING", "")).get("token", [""])[0])
