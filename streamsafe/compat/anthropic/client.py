"""Client: ``Anthropic``, as in the Anthropic SDK."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Optional

from streamsafe.compat.anthropic.coverage import Covered
from streamsafe.compat.anthropic.errors import translated
from streamsafe.compat.anthropic.messages import Messages
from streamsafe.compat.arguments import NOT_GIVEN
from streamsafe.compat.client import Client, Key
from streamsafe.providers import presets
from streamsafe.providers.base import Provider


class Anthropic(Covered, Client):
    """The SDK's client; see ``streamsafe.compat.client.Client`` for ``timeout`` and
    ``max_retries``.

    Key or token, and address, come from the SDK's environment variables where they are not given.
    ``options`` are those of a StreamSession: ``resume``, ``observers``, ``journal``, ``http``,
    ``transport``, ``limits``. Raises AnthropicError where there is no key.
    """

    translated = staticmethod(translated)
    API = "messages"

    def __init__(
        self,
        *,
        api_key: Key = None,
        auth_token: Optional[str] = None,
        base_url: Optional[str] = None,
        timeout: Any = NOT_GIVEN,
        max_retries: Any = NOT_GIVEN,
        default_headers: Optional[Mapping[str, str]] = None,
        default_query: Optional[Mapping[str, Any]] = None,
        http_client: Any = None,
        **options: Any,
    ) -> None:
        preset = presets.PRESETS["anthropic"]
        key = api_key or (None if auth_token else os.environ.get("ANTHROPIC_API_KEY"))
        self.auth_token = auth_token or (
            None if key else os.environ.get("ANTHROPIC_AUTH_TOKEN")
        )
        super().__init__(
            # A token goes in a header of its own, beside which no key is sent.
            api_key=key or self.auth_token,
            base_url=base_url or os.environ.get("ANTHROPIC_BASE_URL") or preset.base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            http_client=http_client,
            options=options,
        )

    def with_options(
        self, *, api_key: Key = None, auth_token: Optional[str] = None, **options: Any
    ) -> Anthropic:
        """As for all clients; a key takes the place of a token, and a token that of a key."""
        other = super().with_options(api_key=api_key or auth_token, **options)
        if api_key or auth_token:
            other.auth_token = None if api_key else auth_token
        return other

    copy = with_options

    @cached_property
    def messages(self) -> Messages:
        """``messages.create`` and ``messages.stream``."""
        return Messages(self)

    def _provider(self, api: str) -> Provider:
        return presets.provider("anthropic")

    def _own_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.auth_token}"} if self.auth_token else {}
