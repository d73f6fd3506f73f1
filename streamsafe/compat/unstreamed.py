"""Unstreamed: a provider that is asked for one JSON document and not for a stream.

For models that refuse to be streamed: answers that are asked for whole are streamed behind the
scenes, so that a silent server is noticed, and this is the way out where the server says no.
"""

from __future__ import annotations

from typing import Any

from streamsafe.models import Call, Request
from streamsafe.providers.base import Provider, Target

#: What goes with a stream alone.
_OF_STREAMS = ("stream", "stream_options")


class Unstreamed:
    """A provider like the other, whose requests do not ask for a stream."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def request(self, call: Call, target: Target) -> Request:
        """The other's request without what goes with a stream."""
        request = self._provider.request(call, target)
        body: dict[str, Any] = dict(request.json or {})
        kept = {name: value for name, value in body.items() if name not in _OF_STREAMS}
        return request.replace(json=kept)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)
