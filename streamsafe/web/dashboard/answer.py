"""Answer: what the dashboard says to one request, and the headers that all answers have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

#: Of WSGI: what a server hands to an application.
Environ = Mapping[str, Any]
Headers = list[tuple[str, str]]

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

#: Figures of the moment are not to be kept; a page of ours is not to be framed, guessed at or
#: read by other sites, and tells nobody its address.
SAFE: Headers = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]


class Answer(NamedTuple):
    """A whole answer. ``status`` is as in the status line, "200 OK"."""

    status: str
    body: bytes
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def all_headers(self) -> Headers:
        """Its own headers, and those that all answers have."""
        length = ("Content-Length", str(len(self.body)))
        return [("Content-Type", self.content_type), length, *SAFE, *self.headers]


def refusal(status: str, text: str, *headers: tuple[str, str]) -> Answer:
    """An answer that says why not, in a line of plain text."""
    return Answer(status, f"{text}\n".encode(), TEXT, headers)


def redirect(location: str, *headers: tuple[str, str]) -> Answer:
    """Send the browser elsewhere with a GET."""
    return Answer("303 See Other", b"", TEXT, (("Location", location), *headers))


def home(environ: Environ) -> str:
    """The address of the page, relative to what was asked for: no proxy can get it wrong."""
    if environ.get("PATH_INFO"):
        return "./"
    # Mounted, and asked for without the slash.
    return str(environ.get("SCRIPT_NAME", "")).rpartition("/")[2] + "/"
