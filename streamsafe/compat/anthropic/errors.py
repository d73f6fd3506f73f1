"""The errors of the Anthropic SDK by their names, each one of streamsafe's as well.

::

    AnthropicError                         all of them; also a streamsafe.StreamingError
    └── APIError                           .message .body
        ├── APIStatusError                 .status_code .request_id .type .response
        │   ├── BadRequestError 400 · AuthenticationError 401 · PaymentRequiredError 402
        │   ├── PermissionDeniedError 403 · NotFoundError 404 · RequestTimeoutError 408
        │   ├── ConflictError 409 · ContentTooLargeError 413 · UnprocessableEntityError 422
        │   ├── RateLimitError 429
        │   └── InternalServerError 5xx: HTTPNotImplementedError 501 · ServiceUnavailableError 503
        │                                GatewayTimeoutError 504 · OverloadedError 529
        └── APIConnectionError             no connection, or the answer broke off
            └── APITimeoutError            also a TimeoutError

An error inside the stream is an APIStatusError with the status 200, as in the SDK.
"""

from __future__ import annotations

from typing import Any, Optional

from streamsafe import errors
from streamsafe.compat.exchange import Exchange
from streamsafe.compat.failure import Failure


class AnthropicError(Failure):
    """The base; itself for what is none of the others: a wrong call, a limit, a cancel."""

    SDK = "anthropic"


class APIError(AnthropicError):
    """The API, or the way to it, failed. ``body`` is what the server sent."""

    body: Any = None

    def __init__(self, message: str = "", request: Any = None, *, body: Any = None) -> None:
        super().__init__(message)
        self.request = request
        self._take(body)

    def _take(self, body: Any) -> None:
        self.body = body


class APIStatusError(APIError):
    """The server said no: by a status from 400 on, or inside the stream. ``type`` is the API's
    own word for it, such as "overloaded_error", ``api_message`` its sentence."""

    type: Optional[str] = None
    api_message: Optional[str] = None

    def __init__(self, message: str, *, response: Any, body: Any = None) -> None:
        super().__init__(message, getattr(response, "request", None), body=body)
        self.response = response
        self.request_id = response.headers.get("request-id")

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self.response.status_code if self.response is not None else 0

    def _take(self, body: Any) -> None:
        super()._take(body)
        error = body.get("error") if isinstance(body, dict) else None
        said = error if isinstance(error, dict) else {}
        self.type, self.api_message = said.get("type"), said.get("message")


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


class PaymentRequiredError(APIStatusError):
    """402: the account has no credit."""


class PermissionDeniedError(APIStatusError):
    """403: the key may not do this."""


class NotFoundError(APIStatusError):
    """404: no such model or path."""


class RequestTimeoutError(APIStatusError):
    """408: the request took too long to come."""


class ConflictError(APIStatusError):
    """409."""


class ContentTooLargeError(APIStatusError):
    """413: the request has too many bytes."""


#: Its older name.
RequestTooLargeError = ContentTooLargeError


class UnprocessableEntityError(APIStatusError):
    """422: the request is wrong as it is."""


class RateLimitError(APIStatusError):
    """429: too many requests for now, or the spending limit is met."""


class InternalServerError(APIStatusError):
    """5xx: the fault is the server's."""


class HTTPNotImplementedError(InternalServerError):
    """501."""


class ServiceUnavailableError(InternalServerError):
    """503."""


class GatewayTimeoutError(InternalServerError):
    """504: what stands before the server did not wait for it."""


#: Its older name.
DeadlineExceededError = GatewayTimeoutError


class OverloadedError(InternalServerError):
    """529: the server has no capacity at the moment."""


_BY_STATUS = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: RequestTimeoutError,
    409: ConflictError,
    413: ContentTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    501: HTTPNotImplementedError,
    503: ServiceUnavailableError,
    504: GatewayTimeoutError,
    529: OverloadedError,
}


def translated(error: errors.StreamingError, exchange: Exchange) -> AnthropicError:
    """The SDK's error for one of streamsafe's."""
    if isinstance(error, errors.APIError):
        if error.in_stream:
            return APIStatusError.of(error, str(error.body), exchange)
        status = error.status or 0
        kind = _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
        said = f"Error code: {status} - {error.body}" if error.body else f"Error code: {status}"
        return kind.of(error, said if isinstance(error.body, dict) else error.message, exchange)
    if isinstance(error, errors.StreamTimeoutError):
        return APITimeoutError.of(error, error.message, exchange)
    if isinstance(error, errors.StreamInterruptedError):
        return APIConnectionError.of(error, error.message, exchange)
    return AnthropicError.of(error, error.message, exchange)
