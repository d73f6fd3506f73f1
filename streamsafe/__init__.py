"""streamsafe: LLM token streams that never hang and never lie about their end.

::

    from streamsafe import StreamSession

    session = StreamSession("openai")
    for chunk in session.stream("Tell me a story", model="gpt-4o-mini"):
        print(chunk.text, end="", flush=True)

The face: re-exports and ``__all__``, nothing else.
"""

from streamsafe.engine.retry import RetryBudget, RetryPolicy
from streamsafe.engine.timing import Timeouts
from streamsafe.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectError,
    ConnectionDroppedError,
    ContextLengthError,
    IncompleteStreamError,
    LimitExceededError,
    MalformedStreamError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ResumeError,
    ServerError,
    StorageError,
    StreamCancelledError,
    StreamingError,
    StreamInterruptedError,
    StreamTimeoutError,
)
from streamsafe.events import EventStream
from streamsafe.handle import StreamHandle
from streamsafe.limits import Limits
from streamsafe.models import (
    Attempt,
    Chunk,
    Completion,
    Outcome,
    Seam,
    ServerSentEvent,
    Timings,
    ToolCall,
    ToolCallFragment,
    Usage,
)
from streamsafe.session import StreamSession
from streamsafe.stream import Stream
from streamsafe.version import VERSION as __version__

__all__ = [
    "APIError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "Chunk",
    "Completion",
    "ConfigurationError",
    "ConnectError",
    "ConnectionDroppedError",
    "ContextLengthError",
    "EventStream",
    "IncompleteStreamError",
    "LimitExceededError",
    "Limits",
    "MalformedStreamError",
    "NotFoundError",
    "Outcome",
    "OverloadedError",
    "PermissionDeniedError",
    "QuotaExceededError",
    "RateLimitError",
    "ResumeError",
    "RetryBudget",
    "RetryPolicy",
    "Seam",
    "ServerError",
    "ServerSentEvent",
    "StorageError",
    "Stream",
    "StreamCancelledError",
    "StreamHandle",
    "StreamInterruptedError",
    "StreamSession",
    "StreamTimeoutError",
    "StreamingError",
    "Timeouts",
    "Timings",
    "ToolCall",
    "ToolCallFragment",
    "Usage",
    "__version__",
]
