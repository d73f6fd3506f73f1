"""Dashboard: the WSGI application. Here live the addresses and what is answered at each."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Callable, Optional
from urllib.parse import parse_qs

from streamsafe.errors import ConfigurationError
from streamsafe.web.dashboard.answer import (
    HTML,
    JSON,
    SAFE,
    Answer,
    Environ,
    home,
    redirect,
    refusal,
)
from streamsafe.web.dashboard.feed import Feed, Live
from streamsafe.web.dashboard.guard import Guard
from streamsafe.web.dashboard.page import REPORT_POLICY, page
from streamsafe.web.dashboard.parts import Parts
from streamsafe.web.dashboard.source import Debugger, Source

#: Browsers with a connection of their own at a time; each holds a thread of the server.
MAX_LIVE = 16

#: Nginx would gather the events of a page before it hands them on.
_EVENTS = [
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("X-Accel-Buffering", "no"),
    *SAFE,
]


def app(
    monitor: Optional[Source] = None,
    debugger: Optional[Debugger] = None,
    token: Optional[str] = None,
    store: Optional[str] = None,
    *,
    hosts: Optional[Collection[str]] = None,
    max_live: int = MAX_LIVE,
) -> Dashboard:
    """The dashboard as a WSGI application, for any server, also under a prefix.

    ``monitor`` is a StreamMonitor; with its ``share`` the page shows all processes. In its place
    ``store`` names a shared store, as the path of its SQLite file or its ``redis://`` URL. With
    a ``debugger`` (StreamDebugger) failures come with their diagnosis and report, which show
    what was asked unless it has ``mask_bodies=True``.

    ``token``: only who has it may look; None = whoever reaches the address. It is sent as
    ``Authorization: Bearer``, or once as ``?token=``. ``hosts``: the Host names that are answered
    to (any if None); give those of this machine if it listens on localhost without a token.
    ``max_live``: browsers that are served live at a time; others, and all where a worker serves one
    request at a time, ask every few seconds instead.

    Raises ConfigurationError for arguments that can't be right.
    """
    if (monitor is None) == (store is None):
        raise ConfigurationError("dashboard.app: expected a monitor or a store, one of the two")
    if not isinstance(max_live, int) or max_live < 0:
        raise ConfigurationError(f"max_live={max_live!r}: expected an int of at least 0")
    if monitor is None:
        from streamsafe.monitor import SharedFigures

        monitor = SharedFigures(store or "")
    return Dashboard(Parts(monitor, debugger), Guard(token, hosts), max_live)


class Dashboard:
    """A WSGI application that only reads. Made by ``app``; any thread may call it."""

    def __init__(self, parts: Parts, guard: Guard, max_live: int) -> None:
        self._parts = parts
        self._guard = guard
        self._feed = Feed(parts.all, max_live)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer one request, as PEP 3333 has it."""
        found = self._guard.stop(environ) or self._answer(environ)
        if isinstance(found, Live):
            start_response("200 OK", list(_EVENTS))
            return found
        start_response(found.status, found.all_headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [found.body]

    def close(self) -> None:
        """End all live connections within a moment, as before a server's end."""
        self._feed.close()

    def _answer(self, environ: Environ) -> Answer | Live:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return refusal("405 Method Not Allowed", "Only GET and HEAD.", ("Allow", "GET, HEAD"))
        path = environ.get("PATH_INFO", "")
        if path == "":
            return redirect(home(environ))
        if path == "/":
            body, policy = page()
            return Answer("200 OK", body, HTML, (("Content-Security-Policy", policy),))
        if path == "/snapshot":
            return Answer("200 OK", self._feed.snapshot(), JSON)
        if path == "/live":
            return self._live(environ)
        if path == "/report":
            return self._report(environ)
        return refusal("404 Not Found", "There is nothing here.")

    def _live(self, environ: Environ) -> Answer | Live:
        # A server that handles one request at a time would handle no other any more.
        threads = environ.get("wsgi.multithread") and environ["REQUEST_METHOD"] == "GET"
        live = self._feed.live() if threads else None
        if live is None:
            return refusal("503 Service Unavailable", "Ask for snapshot.", ("Retry-After", "60"))
        return live

    def _report(self, environ: Environ) -> Answer:
        asked = parse_qs(environ.get("QUERY_STRING", "")).get("stream", [""])[0]
        text = self._parts.report(asked)
        if text is None:
            return refusal("404 Not Found", "No report of this stream is kept.")
        policy = ("Content-Security-Policy", REPORT_POLICY)
        return Answer("200 OK", text.encode(), HTML, (policy,))
