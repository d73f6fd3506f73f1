"""Fault: what a browser is told of an error.

Here lives the line between the log and the public. An error's own words may hold the names of
hosts, accounts, files and more that only those who run the site should read, so none of them is
shown: every kind of error has a sentence of its own, and a kind that is not known here has the
last one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from streamsafe import errors

#: What a machine can compare and no sentence fits into. The rest of what servers put into their
#: ``code`` fields is not shown.
_CODE = re.compile(r"[a-z][a-z0-9_.]{0,63}")


class Fault(NamedTuple):
    """``type`` is the error's class, ``code`` the API's own word or ours, ``message`` and ``hint``
    are for the person who waits, ``retryable`` says whether asking again may help."""

    type: str
    code: str
    message: str
    hint: str
    retryable: bool


_AGAIN = "Ask again."
_LATER = "Wait a moment and ask again."
_TELL = "Whoever runs this site finds the reason in its log."

_SENTENCES: dict[type[BaseException], tuple[str, str, str]] = {
    errors.ContextLengthError: (
        "context_length_exceeded",
        "The conversation is longer than the model can read.",
        "Shorten it, or begin a new one.",
    ),
    errors.BadRequestError: (
        "bad_request", "The service does not take the question as it is.", "Put it another way."
    ),
    errors.RateLimitError: ("rate_limited", "Too much is being asked at the moment.", _LATER),
    errors.OverloadedError: ("overloaded", "The service is overloaded.", _LATER),
    errors.ServerError: ("server_error", "The service has failed.", _LATER),
    errors.APIError: ("unavailable", "The service is not available.", _TELL),
    errors.ConnectError: ("unreachable", "The service cannot be reached.", _LATER),
    errors.StreamTimeoutError: ("timeout", "The answer took too long.", _AGAIN),
    errors.StreamInterruptedError: ("interrupted", "The answer broke off.", _AGAIN),
    errors.LimitExceededError: ("too_long", "The answer is longer than is allowed here.", ""),
    errors.ResumeError: ("not_resumable", "The answer cannot be gone on with.", _AGAIN),
    errors.StreamCancelledError: ("cancelled", "The answer was stopped.", ""),
    Exception: ("internal", "Something went wrong here.", _TELL),
}  # fmt: skip


def fault_of(error: BaseException) -> Fault:
    """What may be shown of the error."""
    kinds = (*type(error).__mro__, Exception)
    code, message, hint = next(_SENTENCES[kind] for kind in kinds if kind in _SENTENCES)
    said = getattr(error, "code", None)
    if isinstance(error, errors.APIError) and isinstance(said, str) and _CODE.fullmatch(said):
        code = said
    if not isinstance(error, errors.StreamingError):
        return Fault("InternalError", code, message, hint, False)
    return Fault(type(error).__name__, code, message, hint, error.retryable)


def interrupted() -> errors.StreamingError:
    """The process that read the answer has gone, and nobody has gone on with it yet."""
    return errors.StreamInterruptedError("the process that read the stream has gone")


def begun_anew() -> errors.StreamingError:
    """A "restart" came, and what was sent cannot be taken back in the format."""
    return errors.ResumeError(
        "the model began its answer anew, which this format cannot say",
        hint="format='streamsafe' and 'ndjson' can",
        retryable=True,
    )


def recalled(status: str, told: str) -> errors.StreamingError:
    """The error of a stream that another process has ended, as a journal tells it."""
    if status == "cancelled":
        return errors.StreamCancelledError()
    name, _, message = told.partition(": ")
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.StreamingError)):
        return errors.StreamingError(told)
    error: errors.StreamingError = kind.__new__(kind)
    errors.StreamingError.__init__(error, message)
    return error
