"""Service: what the providers of all presets do alike.

Here live the parts that are the same whatever the API: errors and ids by the preset's data, and
what is put behind a call's messages to go on from an answer that broke off. How to ask, what
events mean and when an answer is finished is told by each API's own file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.errors import APIError, ConfigurationError
from streamsafe.models import Call
from streamsafe.providers.base import Profile
from streamsafe.providers.classify import http_error
from streamsafe.providers.presets import Preset

#: What asks the model to go on, in the user's next message.
GO_ON = (
    "Your previous response was interrupted. Continue it exactly where it left off: do not repeat "
    "anything, do not comment, do not start over."
)


class Service:
    """The base of providers: one preset of one API."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.name = preset.name
        self.framing = preset.framing

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """The typed error of an HTTP error response."""
        return http_error(status, headers, body, request_id=self.request_id(headers))

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """By the preset's headers, the first that is there."""
        return next((headers[n] for n in self.preset.request_ids if headers.get(n)), None)

    def profile(self, model: Optional[str]) -> Profile:
        """By the preset's table."""
        return self.preset.profile_of(model)

    def model_of(self, call: Call) -> str:
        """The model that is asked, or ConfigurationError."""
        model = (call.body or {}).get("model") or call.model
        if not model:
            raise ConfigurationError(f"{self.name} wants a model: pass model=...")
        return str(model)

    def no_way(self, how: str) -> ConfigurationError:
        """For a way of going on that the API does not have."""
        return ConfigurationError(f"{self.name} has no {how} to go on from")


def appended(call: Call, key: str, *added: Mapping[str, Any]) -> Call:
    """The call with messages behind its own, which stand under ``key`` in a body of the API's."""
    if call.body is None:
        return call.replace(messages=[*call.messages, *added])
    said = call.body.get(key)
    if isinstance(said, str):
        said = [{"role": "user", "content": said}]
    if not isinstance(said, Sequence):
        raise ConfigurationError(f"a body= without a list of {key!r} can't be continued")
    return call.replace(body={**call.body, key: [*said, *added]})


def sendable(text: str) -> str:
    """Text that can go back to a server: half a character at its end is left out."""
    return text.rstrip("\ufffd").encode("utf-8", "ignore").decode()
