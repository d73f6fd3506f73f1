"""Serving: the dashboard on a small threaded server of the standard library's.

Here lives what the command needs; a site in production has a server of its own.
"""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from streamsafe.web.dashboard.application import Dashboard


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each request. ``port`` 0 takes a free one; raises OSError if it can't listen."""

    #: A browser that keeps its connection must not keep the program.
    daemon_threads = True

    def __init__(self, host: str, port: int, dashboard: Dashboard) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)
        self._dashboard = dashboard
        self.set_app(self._threaded)

    def server_bind(self) -> None:
        """Without the look-up of the host's full name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def _threaded(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # wsgiref says no, for it does not know of the threads.
        environ["wsgi.multithread"] = True
        return self._dashboard(environ, start_response)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser that goes away in the middle of an answer is no error of ours."""


class Handler(WSGIRequestHandler):
    """One connection of one request."""

    #: Seconds for a request to arrive; what is sent has no limit but the page's own.
    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for every poll would bury what the command says."""
