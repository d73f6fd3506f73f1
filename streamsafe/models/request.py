"""Request: one HTTP request, complete but for the connection it goes over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.models.frozen import Frozen


class Request(Frozen):
    """What a provider asks for.

    ``json`` is the body as a JSON value (None = no body); the transport encodes it. The
    headers are those the API wants, with credentials; the transport adds what HTTP wants.
    """

    __slots__ = ("method", "url", "headers", "json")

    method: str
    url: str
    headers: Mapping[str, str]
    json: Optional[Any]

    def __init__(
        self,
        method: str,
        url: str,
        headers: Optional[Mapping[str, str]] = None,
        json: Optional[Any] = None,
    ) -> None:
        self._set(method=method, url=url, headers=dict(headers or {}), json=json)
