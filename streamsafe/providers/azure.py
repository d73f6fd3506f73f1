"""Azure OpenAI: chat completions at addresses of their own.

Here lives what differs from OpenAI's own API in asking: both forms of the URL. What Azure's filters
say in the chunks is told in ``chat_events``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.models import Call
from streamsafe.providers.base import Target
from streamsafe.providers.openai_chat import OpenAIChat
from streamsafe.providers.service import with_query

#: Asked for where the base_url names no other: the last that is generally available in this form.
#: One before 2024-09-01 knows no ``stream_options``: pass ``stream_options=None`` with it.
API_VERSION = "2024-10-21"


class Azure(OpenAIChat):
    """``…/openai/v1`` takes the deployment as the model and no version; the classic form names
    the deployment in its path and the version in its query."""

    def url(self, call: Call, target: Target, body: Mapping[str, Any]) -> str:
        """Of ``https://NAME.openai.azure.com``, what is missing is added."""
        base, _, query = target.base_url.partition("?")
        base = base.rstrip("/")
        if not base.endswith("/openai/v1"):
            if "/openai/deployments/" not in base:
                base = f"{base.removesuffix('/openai')}/openai/deployments/{body['model']}"
            if "api-version=" not in query:
                query = f"{query}&api-version={API_VERSION}".lstrip("&")
        return with_query(base + self.preset.path, query)
