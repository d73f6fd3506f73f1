"""Address: which preset speaks under a URL, and where its base URL ends. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional
from urllib.parse import unquote, urlsplit, urlunsplit


class Address(NamedTuple):
    """``preset`` is None where the URL does not tell. ``model`` is the one in the URL, if any."""

    preset: Optional[str]
    base_url: str
    model: Optional[str] = None


#: How the paths of requests end, and what of them is no part of the base URL.
_ENDS = (
    ("/chat/completions", "openai_compatible"),
    ("/completions", "openai_completions"),
    ("/responses", "openai_responses"),
    ("/v1/messages", "anthropic"),
    ("/v2/chat", "cohere"),
    ("/api/chat", "ollama"),
    ("/api/generate", "ollama_generate"),
)
#: What is asked of an answer that the server keeps: OpenAI's Responses in the background.
_KEPT = re.compile(r"/responses/[^/]+$")
_GEMINI = re.compile(r"(/v1beta)?/models/([^/:]+):\w+$")


def address_of(url: str) -> Address:
    """What is spoken under a URL, by the end of its path; its query is left out."""
    scheme, netloc, path, _, _ = urlsplit(url)
    path = _KEPT.sub("/responses", path.rstrip("/"))
    found = _GEMINI.search(path)
    if found is not None:
        base = urlunsplit((scheme, netloc, path[: found.start()], "", ""))
        preset = "vertex" if "/publishers/" in path else "gemini"
        return Address(preset, base, unquote(found[2]))
    for end, preset in _ENDS:
        if path.endswith(end):
            base = urlunsplit((scheme, netloc, path[: -len(end)], "", ""))
            return Address(preset, base)
    return Address(None, urlunsplit((scheme, netloc, path, "", "")))
