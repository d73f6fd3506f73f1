"""Client: ``OpenAI``, as in the OpenAI SDK."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Optional

from streamsafe.compat.arguments import NOT_GIVEN
from streamsafe.compat.client import Client, Key
from streamsafe.compat.exchange import Exchange
from streamsafe.compat.openai.chat_resource import Chat
from streamsafe.compat.openai.completions_resource import Completions
from streamsafe.compat.openai.coverage import Covered
from streamsafe.compat.openai.errors import translated
from streamsafe.compat.openai.responses_resource import Responses
from streamsafe.errors import ConfigurationError
from streamsafe.providers import presets
from streamsafe.providers.base import Provider


#: Providers of chat completions.
_CHAT = ("openai_chat:OpenAIChat", "azure:Azure")


class OpenAI(Covered, Client):
    """The SDK's client; see ``streamsafe.compat.client.Client`` for ``timeout`` and
    ``max_retries``.

    Key, address, organisation and project come from the SDK's environment variables where they
    are not given. ``preset`` names the server, where it is another that speaks like OpenAI
    ("vllm", "deepseek" …): then streamsafe knows how its answers can be gone on with. ``options``
    are those of a StreamSession: ``resume``, ``observers``, ``journal``, ``http``, ``transport``,
    ``limits``. Raises OpenAIError where there is no key.
    """

    translated = staticmethod(translated)
    API = "chat"
    ALSO = ("organization", "project")

    def __init__(
        self,
        *,
        api_key: Key = None,
        organization: Optional[str] = None,
        project: Optional[str] = None,
        base_url: Optional[str] = None,
        timeout: Any = NOT_GIVEN,
        max_retries: Any = NOT_GIVEN,
        default_headers: Optional[Mapping[str, str]] = None,
        default_query: Optional[Mapping[str, Any]] = None,
        http_client: Any = None,
        preset: str = "openai",
        **options: Any,
    ) -> None:
        self.organization = organization or os.environ.get("OPENAI_ORG_ID")
        self.project = project or os.environ.get("OPENAI_PROJECT_ID")
        self._preset = _speaking_chat(preset)
        super().__init__(
            api_key=api_key,
            base_url=base_url or self._known_address(),
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            http_client=http_client,
            options=options,
        )

    def _known_address(self) -> str:
        named = (os.environ.get(name) for name in self._preset.urls)
        return next(filter(None, named), self._preset.base_url)

    @cached_property
    def chat(self) -> Chat:
        """``chat.completions.create``."""
        return Chat(self)

    @cached_property
    def completions(self) -> Completions:
        """``completions.create``."""
        return Completions(self)

    @cached_property
    def responses(self) -> Responses:
        """``responses.create``."""
        return Responses(self)

    def _provider(self, api: str) -> Provider:
        if api == "chat":
            return presets.provider(self._preset.name)
        return _at(self._preset, f"openai_{api}")

    def _own_headers(self) -> dict[str, str]:
        named = {"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}
        return {name: value for name, value in named.items() if value}


def _speaking_chat(name: str) -> presets.Preset:
    """The preset, if it is one whose server speaks as OpenAI's does."""
    known = [one.name for one in presets.PRESETS.values() if one.kind in _CHAT]
    if name not in known:
        error = ConfigurationError(f"preset={name!r}: expected one of {', '.join(known)}")
        raise translated(error, Exchange())
    return presets.PRESETS[name]


def _at(server: presets.Preset, name: str) -> Provider:
    """The provider of another of OpenAI's APIs, at the same server."""
    api = presets.provider(name)
    if server.name == "openai":
        return api
    same = ("name", "keys", "needs_key", "auth", "headers", "request_ids", "tokens")
    facts = {name: getattr(server, name) for name in same}
    made = getattr(api, "preset")._replace(**facts)
    return type(api)(made)  # type: ignore[call-arg]
