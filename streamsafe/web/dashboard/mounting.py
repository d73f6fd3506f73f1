"""Mounting: one WSGI application under a prefix of another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from streamsafe.errors import ConfigurationError

#: A WSGI application: called with the environment and ``start_response``.
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def mount(outer: Application, prefix: str, inner: Application) -> Application:
    """``outer``, with ``inner`` answering all paths under ``prefix`` ("/streams").

    For frameworks that have no mounting of their own, such as Django. What ``outer`` does to its
    requests (log-in, middleware) does not happen to those of ``inner``: give that a token.
    Raises ConfigurationError for a prefix that does not begin with a slash, or is nothing else.
    """
    prefix = prefix.rstrip("/")
    if not prefix.startswith("/"):
        raise ConfigurationError(f"mount(prefix={prefix!r}): expected a path such as '/streams'")

    def application(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path != prefix and not path.startswith(prefix + "/"):
            return outer(environ, start_response)
        script = environ.get("SCRIPT_NAME", "") + prefix
        return inner(
            {**environ, "SCRIPT_NAME": script, "PATH_INFO": path[len(prefix) :]}, start_response
        )

    return application
