"""What a body is: told by its first bytes before its Content-Type."""

from __future__ import annotations

from typing import Optional

import pytest

from streamsafe.wire.sniff import framing

SSE, JSON, NDJSON = "text/event-stream", "application/json", "application/x-ndjson"


@pytest.mark.parametrize(
    ("content_type", "head", "wanted", "kind"),
    [
        (SSE, b"data: {}\n\n", "sse", "sse"),
        ("text/plain", b"data: {}\n\n", "sse", "sse"),
        (JSON, b"event: x\ndata: {}\n\n", "sse", "sse"),
        ("", b": ping\n\n", "sse", "sse"),
        (SSE, b"\xef\xbb\xbfdata: x\n\n", "sse", "sse"),
        (SSE, b"\n\n", "sse", None),
        (SSE, b"", "sse", None),
        ("text/plain", b"dat", "sse", None),
        ("", b"\xef\xbb", "sse", None),
        (SSE, b"dat", "sse", "sse"),
        (SSE, b"\n" * 2000, "sse", "sse"),
        (SSE, b"something of a standard to come", "sse", "sse"),
        (f"{SSE}; charset=utf-8", b"x", "sse", "sse"),
        (SSE, b'{"error": {}}', "sse", "document"),
        (JSON, b' {"a": 1}', "sse", "document"),
        (JSON, b"[{", "sse", "document"),
        (JSON, b"[{", "json", "json"),
        (JSON, b'{"a"', "json", "json"),
        (NDJSON, b'{"a"', "ndjson", "ndjson"),
        (NDJSON, b'{"a"', "sse", "ndjson"),
        (JSON, b'{"a"', "ndjson", "ndjson"),
        (NDJSON, b"[1]", "sse", "document"),
        (SSE, b"<html>", "sse", "html"),
        ("text/html", b"Log in", "sse", "html"),
        ("text/html", b"data: {}", "sse", "sse"),
        ("text/plain", b"upstream connect error", "sse", "unknown"),
        ("text/plain", b"database: no", "sse", "unknown"),
    ],
)
def test_what_a_body_is(content_type: str, head: bytes, wanted: str, kind: Optional[str]) -> None:
    assert framing(content_type, head, wanted) == kind
