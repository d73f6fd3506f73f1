"""Azure: ``AzureOpenAI``, as in the OpenAI SDK."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.compat.arguments import NOT_GIVEN
from streamsafe.compat.client import Key
from streamsafe.compat.exchange import Exchange
from streamsafe.compat.openai.client import OpenAI
from streamsafe.compat.openai.errors import translated
from streamsafe.errors import ConfigurationError


class AzureOpenAI(OpenAI):
    """The SDK's client for Azure: endpoint and version, and a key or a token of Entra's.

    ``azure_ad_token_provider`` is asked for each request. The deployment is the ``model`` of each
    call, or ``azure_deployment`` for all. Otherwise as ``OpenAI``.
    """

    def __init__(
        self,
        *,
        azure_endpoint: Optional[str] = None,
        azure_deployment: Optional[str] = None,
        api_version: Optional[str] = None,
        api_key: Key = None,
        azure_ad_token: Optional[str] = None,
        azure_ad_token_provider: Key = None,
        organization: Optional[str] = None,
        project: Optional[str] = None,
        base_url: Optional[str] = None,
        timeout: Any = NOT_GIVEN,
        max_retries: Any = NOT_GIVEN,
        default_headers: Optional[Mapping[str, str]] = None,
        default_query: Optional[Mapping[str, Any]] = None,
        http_client: Any = None,
        **options: Any,
    ) -> None:
        version = api_version or os.environ.get("OPENAI_API_VERSION")
        if not version:
            raise _wrong("pass api_version=... or set OPENAI_API_VERSION")
        super().__init__(
            api_key=_key(api_key, azure_ad_token, azure_ad_token_provider),
            organization=organization,
            project=project,
            base_url=base_url or _address(azure_endpoint, azure_deployment),
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query={"api-version": version, **(default_query or {})},
            http_client=http_client,
            preset="azure",
            **options,
        )

    def _address(self, api: str, body: Mapping[str, Any]) -> str:
        """Deployments have chat and completions; responses are the resource's own."""
        if api == "responses":
            return self.base_url.partition("/deployments/")[0]
        if api == "completions" and not _NAMED.search(self.base_url):
            return f"{self.base_url}/deployments/{body.get('model')}"
        return self.base_url


#: Addresses that need no deployment in their path: they have one, or are of the newer form.
_NAMED = re.compile(r"/deployments/|/openai/v1$")


def _wrong(message: str) -> Exception:
    return translated(ConfigurationError(message), Exchange())


def _address(endpoint: Optional[str], deployment: Optional[str]) -> str:
    found = endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
    if not found:
        raise _wrong("pass azure_endpoint=... or base_url=..., or set AZURE_OPENAI_ENDPOINT")
    base = f"{found.rstrip('/')}/openai"
    return f"{base}/deployments/{deployment}" if deployment else base


def _key(key: Key, token: Optional[str], tokens: Key) -> Key:
    """The one credential; a token is told from a key by its "Bearer "."""
    if sum(one is not None for one in (key, token, tokens)) > 1:
        raise _wrong("pass one of api_key, azure_ad_token and azure_ad_token_provider")
    if key is not None:
        return key
    token = token or os.environ.get("AZURE_OPENAI_AD_TOKEN")
    if tokens is not None:
        return lambda: f"Bearer {tokens() if callable(tokens) else tokens}"
    return f"Bearer {token}" if token else os.environ.get("AZURE_OPENAI_API_KEY")
