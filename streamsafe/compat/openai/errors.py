"""The errors of the OpenAI SDK by their names, each one of streamsafe's as well.

::

    OpenAIError                            all of them; also a streamsafe.StreamingError
    └── APIError                           .message .code .param .type .body
        ├── APIStatusError                 .status_code .request_id .response: by HTTP status
        │   ├── BadRequestError 400 · AuthenticationError 401 · PermissionDeniedError 403
        │   ├── NotFoundError 404 · ConflictError 409 · UnprocessableEntityError 422
        │   └── RateLimitError 429 · InternalServerError 5xx
        └── APIConnectionError             no connection, or the answer broke off
            └── APITimeoutError            also a TimeoutError

An error inside the stream is an APIError, as in the SDK.
"""

from __future__ import annotations

from typing import Any, Optional

from streamsafe import errors
from streamsafe.compat.exchange import Exchange
from streamsafe.compat.failure import Failure


class OpenAIError(Failure):
    """The base; itself for what is none of the others: a wrong call, a limit, a cancel."""

    SDK = "openai"


class APIError(OpenAIError):
    """The API, or the way to it, failed. ``body`` is the error object that the server sent."""

    body: Any = None
    code: Optional[str] = None
    param: Optional[str] = None
    type: Optional[str] = None

    def __init__(self, message: str = "", request: Any = None, *, body: Any = None) -> None:
        super().__init__(message)
        self.request = request
        self._take(body)

    def _take(self, body: Any) -> None:
        self.body = _error_of(body)
        said = self.body if isinstance(self.body, dict) else {}
        for name in ("code", "param", "type"):
            value = said.get(name)
            setattr(self, name, None if value is None else str(value))


class APIStatusError(APIError):
    """The server answered with a status from 400 on."""

    def __init__(self, message: str, *, response: Any, body: Any = None) -> None:
        super().__init__(message, getattr(response, "request", None), body=body)
        self.response = response
        self.request_id = response.headers.get("x-request-id")

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self.response.status_code if self.response is not None else 0


class APIConnectionError(APIError):
    """No connection, or the answer broke off: what came is on ``partial``."""

    def __init__(self, *, message: str = "Connection error.", request: Any = None) -> None:
        super().__init__(message, request)


class APITimeoutError(APIConnectionError, TimeoutError):
    """One of the clocks ran out; the message says which."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(message="Request timed out.", request=request)


class BadRequestError(APIStatusError):
    """400: the request is wrong as it is."""


class AuthenticationError(APIStatusError):
    """401: the key is missing, wrong or expired."""


class PermissionDeniedError(APIStatusError):
    """403: the key may not do this."""


class NotFoundError(APIStatusError):
    """404: no such model, deployment or path."""


class ConflictError(APIStatusError):
    """409."""


class UnprocessableEntityError(APIStatusError):
    """422: the request is wrong as it is."""


class RateLimitError(APIStatusError):
    """429: too many requests for now, or no credit (``code`` "insufficient_quota")."""


class InternalServerError(APIStatusError):
    """5xx: the fault is the server's."""


_BY_STATUS = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def _error_of(body: Any) -> Any:
    """The error object in a body, or what there is."""
    return body.get("error") or body if isinstance(body, dict) else body


def translated(error: errors.StreamingError, exchange: Exchange) -> OpenAIError:
    """The SDK's error for one of streamsafe's."""
    if isinstance(error, errors.APIError):
        said = _error_of(error.body)
        message = said.get("message") if isinstance(said, dict) else None
        message = message or error.message
        if error.in_stream:
            return APIError.of(error, message, exchange)
        status = error.status or 0
        kind = _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
        return kind.of(error, f"Error code: {status} - {message}", exchange)
    if isinstance(error, errors.StreamTimeoutError):
        return APITimeoutError.of(error, error.message, exchange)
    if isinstance(error, errors.StreamInterruptedError):
        return APIConnectionError.of(error, error.message, exchange)
    return OpenAIError.of(error, error.message, exchange)
