"""The OpenAI SDK by its names, over streamsafe's streams.

::

    from streamsafe.compat.openai import OpenAI          # was: from openai import OpenAI
    from streamsafe.compat import openai                 # was: import openai

Here live re-exports, and what is said of the names that are not covered.
"""

from __future__ import annotations

from typing import Any

from streamsafe.compat.answer import Answer as Stream
from streamsafe.compat.arguments import NOT_GIVEN, NotGiven, Omit, omit
from streamsafe.compat.missing import no_such_name
from streamsafe.compat.openai.azure import AzureOpenAI
from streamsafe.compat.openai.client import OpenAI
from streamsafe.compat.openai.coverage import Covered
from streamsafe.compat.openai.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    OpenAIError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from streamsafe.compat.timeout import Timeout

Client = OpenAI

__all__ = [
    "NOT_GIVEN",
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "AzureOpenAI",
    "BadRequestError",
    "Client",
    "ConflictError",
    "InternalServerError",
    "NotFoundError",
    "NotGiven",
    "Omit",
    "OpenAI",
    "OpenAIError",
    "PermissionDeniedError",
    "RateLimitError",
    "Stream",
    "Timeout",
    "UnprocessableEntityError",
    "omit",
]

# No module here has the name of a part of the SDK's client for all ("openai.chat"): it would be
# taken for that.
_KNOWN = (
    "AsyncAzureOpenAI", "AsyncClient", "AsyncOpenAI", "AsyncStream", "BaseModel",
    "DefaultHttpxClient", "audio", "beta", "chat", "completions", "embeddings", "files", "images",
    "models", "moderations", "pydantic_function_tool", "responses",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    no_such_name(name, Covered.SDK, Covered.COVERED, _KNOWN)
