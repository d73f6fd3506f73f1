"""Watch the streams of running programs in a browser.

The programs share their figures, the dashboard shows the whole:

  StreamSession(..., observers=[StreamMonitor(share="monitor.db")])
  streamsafe dashboard monitor.db

It only reads. It listens on this machine alone unless --host says otherwise, and then asks for a
token. With --demo it shows streams that are made for it, through faults of all kinds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from typing import Optional

from streamsafe.cli.style import Style
from streamsafe.errors import ConfigurationError
from streamsafe.web import dashboard
from streamsafe.web.dashboard.guard import LOCAL_HOSTS

TOKEN_VARIABLE = "STREAMSAFE_DASHBOARD_TOKEN"
#: Addresses at which nobody but this machine can reach a server.
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "where", nargs="?", metavar="STORE",
        help="what the programs have in StreamMonitor(share=...): a path, or a redis:// URL",
    )  # fmt: skip
    parser.add_argument(
        "--demo", action="store_true", help="show streams that are made for it; no key needed"
    )
    parser.add_argument(
        "--host", default="127.0.0.1",
        help="listen there (default: 127.0.0.1, this machine alone; 0.0.0.0: all networks)",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8787, help="0: a free one (default: 8787)")
    parser.add_argument(
        "--token",
        help="only who has it may look (default: none on 127.0.0.1, else a new one); better in "
        f"{TOKEN_VARIABLE}, for all users of a machine see arguments",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if args.demo == bool(args.where):
        raise ConfigurationError(
            "expected the path or URL of a shared store, or --demo",
            hint="streamsafe dashboard monitor.db, streamsafe dashboard --demo",
        )
    local = args.host in LOOPBACK
    token = args.token or os.environ.get(TOKEN_VARIABLE)
    if token is None and not local:
        token = secrets.token_urlsafe(16)
    with _app(args.where, token, local) as app:
        _serve(app, args.host, args.port, token)
    return 0


@contextlib.contextmanager
def _app(where: Optional[str], token: Optional[str], local: bool) -> Iterator[dashboard.Dashboard]:
    hosts = LOCAL_HOSTS if local else None
    if where is not None:
        yield dashboard.app(store=where, token=token, hosts=hosts)
        return
    from streamsafe.cli.traffic import Traffic

    with Traffic() as traffic:
        yield dashboard.app(traffic.monitor, traffic.debugger, token, hosts=hosts)


def _serve(app: dashboard.Dashboard, host: str, port: int, token: Optional[str]) -> None:
    from streamsafe.web.dashboard.serving import Server

    try:
        server = Server(host, port, app)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"can't listen on {host} port {port}: {error}",
            hint="another program may have the port: give another --port, or 0 for a free one",
        ) from error
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)
    query = f"?token={token}" if token else ""
    style = Style(sys.stdout)
    address = style.paint(f"http://{shown}:{server.server_port}/{query}", "bold")
    print(f"Dashboard at {address}  (Ctrl-C ends it)", flush=True)
    with server, contextlib.suppress(KeyboardInterrupt):
        try:
            server.serve_forever(poll_interval=0.2)
        finally:
            app.close()
