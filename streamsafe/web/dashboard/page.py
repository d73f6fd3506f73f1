"""Page: the HTML with its style and its script inside, and the policy that lets only these run."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import NamedTuple

#: In this order they are one script.
SCRIPTS = ("format.js", "dom.js", "charts.js", "sections.js", "live.js")


class Page(NamedTuple):
    """The page, and its Content-Security-Policy."""

    body: bytes
    policy: str


@functools.lru_cache(maxsize=1)
def page() -> Page:
    """The page, the same for everybody: whatever differs comes in through the feed."""
    style = _read("dashboard.css")
    script = "\n".join(_read(name) for name in SCRIPTS)
    body = _read("page.html").replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(body.encode(), policy)


#: For a debugger's report, which has its style inside and no script: nothing may run or load.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
