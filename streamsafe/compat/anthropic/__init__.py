"""The Anthropic SDK by its names, over streamsafe's streams.

::

    from streamsafe.compat.anthropic import Anthropic    # was: from anthropic import Anthropic
    from streamsafe.compat import anthropic              # was: import anthropic

Here live re-exports, and what is said of the names that are not covered.
"""

from __future__ import annotations

from typing import Any

from streamsafe.compat.answer import Answer as Stream
from streamsafe.compat.anthropic.client import Anthropic
from streamsafe.compat.anthropic.coverage import Covered
from streamsafe.compat.anthropic.errors import (
    AnthropicError,
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    RequestTooLargeError,
    ServiceUnavailableError,
    UnprocessableEntityError,
)
from streamsafe.compat.anthropic.messagestream import MessageStream, MessageStreamManager
from streamsafe.compat.arguments import NOT_GIVEN, NotGiven, Omit, omit
from streamsafe.compat.timeout import Timeout

Client = Anthropic

__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "Anthropic",
    "AnthropicError",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConflictError",
    "InternalServerError",
    "MessageStream",
    "MessageStreamManager",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OverloadedError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTooLargeError",
    "ServiceUnavailableError",
    "Stream",
    "Timeout",
    "UnprocessableEntityError",
    "omit",
]

_NOT_HERE = (
    "AnthropicBedrock", "AnthropicFoundry", "AnthropicVertex", "AsyncAnthropic", "AsyncClient",
    "AsyncStream", "beta_tool",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _NOT_HERE:
        # An ImportError: "from … import AsyncAnthropic" then shows it, and not one of its own.
        raise ImportError(
            f"streamsafe.compat.anthropic has no {name}: it covers {Covered.COVERED}. Take it from "
            "the vendor's SDK (pip install anthropic)"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
