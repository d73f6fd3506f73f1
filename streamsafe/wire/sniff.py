"""Sniff: what a body really is, from its Content-Type and its first bytes.

Here lives the table; servers label event streams as plain text or JSON, and send web pages and
JSON errors under status 200. What is done about each is the attempt's business.
"""

from __future__ import annotations

import re
from typing import Optional

_BOM = b"\xef\xbb\xbf"

#: How an event stream can begin, behind a BOM and blank lines: a field's name or a comment.
_FIELD = re.compile(rb"(?:data|event|id|retry|error)[ \t]*(?::|\r|\n|$)|:")

#: The least that tells one: less than this may still become it.
_BEGUN = (b"data:", b"event:", b"id:", b"retry:", b"error:", _BOM)

_LINES = ("ndjson", "jsonl", "json-lines", "jsonlines", "json-seq")


def framing(content_type: str, head: bytes, wanted: str) -> Optional[str]:
    """"sse", "ndjson", "json", "document", "html" or "unknown"; None: more bytes are needed.

    ``wanted`` is the provider's framing. "json" is an array streamed by element, "document" one
    JSON value that must be had whole.
    """
    kind = content_type.split(";")[0].strip().lower()
    start = head.removeprefix(_BOM).lstrip()
    if not start:
        # White space alone says nothing yet; blank lines are legal heartbeats of an event stream.
        return "sse" if kind == "text/event-stream" and len(head) > 1024 else None
    if start[:1] == b"<":
        return "html"
    if _FIELD.match(start):
        return "sse"  # also as text/html, which is what PHP says if it is not told otherwise
    if kind == "text/html":
        return "html"
    if start[:1] in b"{[":
        if wanted == "json":
            return "json"
        if wanted == "ndjson" or any(mark in kind for mark in _LINES):
            return "ndjson" if start[:1] == b"{" else "document"
        # Also under text/event-stream: bare JSON is no event, and mostly an error.
        return "document"
    if kind == "text/event-stream":
        return "sse"
    return None if any(name.startswith(start) for name in _BEGUN) else "unknown"
