"""The errors of streamsafe, named by what the caller can do.

::

    StreamingError(Exception)              anything below; .partial holds what had arrived
    ├── ConfigurationError(ValueError)     mend the call: nothing was sent
    ├── APIError                           the server said no, by status or inside a 200 stream
    │   ├── AuthenticationError            401: set or renew the key
    │   ├── PermissionDeniedError          403: the key may not do this
    │   ├── NotFoundError                  404: wrong model, deployment or base_url
    │   ├── BadRequestError                400/413/422: mend the request
    │   │   └── ContextLengthError         shorten the prompt or take a larger model
    │   ├── RateLimitError                 429: retried; slow down if it persists
    │   ├── QuotaExceededError             no credit left: waiting does not help
    │   ├── OverloadedError                503/529: retried; try another model
    │   └── ServerError                    5xx: retried
    ├── StreamInterruptedError             the answer broke off
    │   ├── ConnectError                   no connection: name, refusal, proxy, TLS
    │   ├── ConnectionDroppedError         the connection broke
    │   ├── IncompleteStreamError          the body ended before the answer did
    │   ├── MalformedStreamError           what came is not what the API sends
    │   └── StreamTimeoutError(TimeoutError)   a clock ran out: .clock .limit .elapsed
    ├── LimitExceededError                 one of Limits; the message names the setting
    ├── StorageError                       journal or sink could not keep what came
    ├── ResumeError                        the answer can't be gone on with
    └── StreamCancelledError               cancel() was called

Here live the types alone. What error a status or a payload means is said by the
provider, what a socket's failure means by the transport, whether to try again by retry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.models import Attempt, Completion

_MASK = "***"

_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie|credential|password|signature", re.I)

#: A shorter secret is a placeholder, such as "x" for a local server: masked everywhere it would eat
#: other words, so it is masked where it stands alone.
_LEAST = 8


class StreamingError(Exception):
    """The base of all errors here.

    ``partial`` is the completion as far as it came; ``attempts`` are the records of all tries;
    ``stream_id`` and ``request_id`` are for the logs of both sides; ``retryable`` says whether
    another try may help, ``will_retry`` whether streamsafe is about to make one, ``given_up`` why
    it makes none though one may help; ``hint`` is the remedy in plain words.
    """

    retryable: bool = False
    hint: str = ""
    given_up: str = ""

    def __init__(
        self,
        message: str = "",
        *,
        hint: Optional[str] = None,
        retryable: Optional[bool] = None,
        request_id: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.partial: Completion = Completion()
        self.attempts: tuple[Attempt, ...] = ()
        self.stream_id: str = ""
        self.request_id: Optional[str] = request_id
        self.will_retry: bool = False
        if hint is not None:
            self.hint = hint
        if retryable is not None:
            self.retryable = retryable

    @property
    def message(self) -> str:
        """What was wrong, without the hint."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        why = f"given up: {self.given_up}" if self.given_up else ""
        notes = "; ".join(filter(None, (self.hint, why)))
        return f"{self.message} [{notes}]" if notes else self.message

    def __reduce__(self) -> Any:
        # The state by itself, behind the object: it holds attempts, which hold the error again.
        return (_bare, (type(self), self.args), self.__dict__)

    def mask(self, secrets: tuple[str, ...]) -> None:
        """Put *** wherever one of the secrets stands: servers echo keys in their errors."""
        self.args = tuple(masked(arg, secrets) for arg in self.args)
        for name, value in list(self.__dict__.items()):
            if name not in ("partial", "attempts"):
                setattr(self, name, masked(value, secrets))


class ConfigurationError(StreamingError, ValueError):
    """The call is wrong as written; nothing was sent."""


class APIError(StreamingError):
    """The server refused or failed, and said so.

    ``status`` is the HTTP status (200 where the error stood inside the stream: ``in_stream`` is
    then True); ``code`` and ``type`` are the API's own; ``body`` is the decoded JSON error or the
    text of the body, cut at ``Limits.max_error_body``; ``headers`` are the response's;
    ``retry_after`` is in seconds, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: Optional[int] = None,
        code: Optional[str] = None,
        type: Optional[str] = None,
        body: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        retry_after: Optional[float] = None,
        in_stream: bool = False,
        hint: Optional[str] = None,
        retryable: Optional[bool] = None,
        request_id: Optional[str] = None,
    ) -> None:
        super().__init__(message, hint=hint, retryable=retryable, request_id=request_id)
        self.status = status
        self.code = code
        self.type = type
        self.body = body
        self.headers: Mapping[str, str] = dict(headers or {})
        self.retry_after = retry_after
        self.in_stream = in_stream


class AuthenticationError(APIError):
    """401: the key is missing, wrong or expired."""

    hint = "check the API key and that it belongs to this base_url"


class PermissionDeniedError(APIError):
    """403: the key is known but may not do this."""

    hint = "check the key's project, region and access to the model"


class NotFoundError(APIError):
    """404: no such model, deployment or path."""

    hint = "check the model's name and that base_url ends where the preset's does"


class BadRequestError(APIError):
    """400, 413, 422: the request is wrong as it is."""

    hint = "mend the request; sending it again gives the same answer"


class ContextLengthError(BadRequestError):
    """Prompt and answer do not fit into the model's context."""

    hint = "shorten the prompt, lower max_tokens or take a model with a larger context"


class RateLimitError(APIError):
    """429: too many requests or tokens for now."""

    retryable = True
    hint = "send fewer requests at a time or share a RetryBudget between sessions"


class QuotaExceededError(APIError):
    """The account's credit or spending limit is used up; waiting does not help."""

    hint = "check the plan, the credit and the spending limits of the account"


class OverloadedError(APIError):
    """503, 529: the server has no capacity at the moment."""

    retryable = True
    hint = "the service is short of capacity; another model or a fallback may have some"


class ServerError(APIError):
    """5xx, or an error of the server's own inside the stream."""

    retryable = True
    hint = "the fault is the server's; quote the request id to its support if it stays"


class StreamInterruptedError(StreamingError):
    """The answer broke off, or never began."""

    retryable = True


class ConnectError(StreamInterruptedError):
    """No connection came about: name look-up, refusal, proxy or TLS."""

    hint = "check base_url, the network, the proxy variables and that the server is up"


class ConnectionDroppedError(StreamInterruptedError):
    """The connection broke while the answer was awaited or read."""

    hint = "a network fault, or a proxy that cuts idle or long connections"


class IncompleteStreamError(StreamInterruptedError):
    """The body ended without the sign that the answer is whole."""

    hint = "the server or a proxy cut the answer; what had arrived is on .partial"


class MalformedStreamError(StreamInterruptedError):
    """What came is not what this API sends: not an event stream, or not JSON inside it."""

    hint = "check that base_url points at the API and not at a web page or another service"


class StreamTimeoutError(StreamInterruptedError, TimeoutError):
    """A clock of ``Timeouts`` ran out.

    ``clock`` is the setting's name, ``limit`` its seconds, ``elapsed`` the seconds measured.
    """

    _HINTS = {
        "connect": "the server is unreachable or slow to accept; see Timeouts.connect",
        "first_token": "the model is slow to begin; a longer prompt wants a higher "
        "Timeouts.first_token",
        "inactivity": "the server went silent; a model that thinks in silence wants a higher "
        "Timeouts.inactivity",
        "stall": "the server sends only heartbeats; see Timeouts.stall",
        "total": "the whole answer took too long; see Timeouts.total",
    }

    def __init__(self, clock: str, limit: float, elapsed: float) -> None:
        message = f"the {clock} clock ran out: {elapsed:.2f} s of {limit:g} s"
        super().__init__(message, hint=self._HINTS.get(clock, ""))
        self.clock = clock
        self.limit = limit
        self.elapsed = elapsed
        # The total covers all attempts: there is no time left for another.
        self.retryable = clock != "total"


class LimitExceededError(StreamingError):
    """One of ``Limits`` was met, or of the settings ``owner``: ``limit`` names it; ``value`` met
    ``setting``, its bound."""

    def __init__(
        self, limit: str, value: int, setting: int, what: str = "", owner: str = "Limits"
    ) -> None:
        super().__init__(
            f"{what or 'the stream'} is over {owner}.{limit}: {value:,} met, {setting:,} allowed",
            hint=f"raise it with {owner}({limit}=...) if that much is expected",
        )
        self.limit = limit
        self.value = value
        self.setting = setting


class StorageError(StreamingError):
    """A journal or a sink could not keep what came: a full disk, a damaged or locked file."""


class ResumeError(StreamingError):
    """The answer can't be gone on with: unknown, finished, or without a continuation."""


class StreamCancelledError(StreamingError):
    """``cancel()`` was called. ``reason`` is what it was given, or None."""

    def __init__(self, reason: Optional[str] = None) -> None:
        super().__init__("the stream was cancelled" + (f": {reason}" if reason else ""))
        self.reason = reason


def is_credential(header: str) -> bool:
    """True if a header of this name is likely to hold a secret."""
    return _CREDENTIAL.search(header) is not None


def masked(value: Any, secrets: tuple[str, ...]) -> Any:
    """The value with *** wherever one of the secrets stands in its texts."""
    if isinstance(value, str):
        for secret in secrets:
            if len(secret) >= _LEAST:
                value = value.replace(secret, _MASK)
            elif secret and secret in value:
                value = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _MASK, value)
        return value
    if isinstance(value, Mapping):
        return {name: masked(item, secrets) for name, item in value.items()}
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(masked(item, secrets) for item in value)
    return value


def _bare(kind: type, args: tuple[Any, ...]) -> StreamingError:
    # Not through __init__: the subclasses' differ, and all they set is in the state.
    error: StreamingError = kind.__new__(kind, *args)
    error.args = args
    return error
