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
    ContentTooLargeError,
    DeadlineExceededError,
    GatewayTimeoutError,
    HTTPNotImplementedError,
    InternalServerError,
    NotFoundError,
    OverloadedError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    RequestTooLargeError,
    ServiceUnavailableError,
    UnprocessableEntityError,
)
from streamsafe.compat.anthropic.messagestream import MessageStream, MessageStreamManager
from streamsafe.compat.arguments import NOT_GIVEN, NotGiven, Omit, omit
from streamsafe.compat.missing import no_such_name
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
    "ContentTooLargeError",
    "DeadlineExceededError",
    "GatewayTimeoutError",
    "HTTPNotImplementedError",
    "InternalServerError",
    "MessageStream",
    "MessageStreamManager",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OverloadedError",
    "PaymentRequiredError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "ServiceUnavailableError",
    "Stream",
    "Timeout",
    "UnprocessableEntityError",
    "omit",
]

_KNOWN = (
    "AnthropicBedrock", "AnthropicFoundry", "AnthropicVertex", "AsyncAnthropic", "AsyncClient",
    "AsyncStream", "BaseModel", "DefaultHttpxClient", "beta_tool",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    no_such_name(name, Covered.SDK, Covered.COVERED, _KNOWN)
