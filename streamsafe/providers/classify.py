"""Classify: which error a status, a code or a type means, and how long to wait. Pure tables.

Here lives what the vendors' documents say of failures, as data, for HTTP answers and for errors
inside a stream alike. Whether to try again is decided by ``engine.retry`` from what is said here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from streamsafe.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from streamsafe.providers.delays import retry_after
from streamsafe.providers.facts import body_shown, error_facts, error_payload

#: By HTTP status: the class, and whether another try may help.
_BY_STATUS: dict[int, tuple[type[APIError], bool]] = {
    400: (BadRequestError, False),
    401: (AuthenticationError, False),
    402: (QuotaExceededError, False),
    403: (PermissionDeniedError, False),
    404: (NotFoundError, False),
    405: (BadRequestError, False),
    408: (ServerError, True),
    409: (ServerError, True),  # a lock that timed out; the vendors' SDKs retry it as well
    413: (BadRequestError, False),
    422: (BadRequestError, False),
    424: (ServerError, False),  # but TGI's "generation", see below
    425: (ServerError, True),
    429: (RateLimitError, True),
    498: (OverloadedError, True),  # Groq: flex capacity
    499: (APIError, False),  # the client closed the request
    501: (ServerError, False),
    503: (OverloadedError, True),
    529: (OverloadedError, True),  # Anthropic
}

#: By the API's own ``code`` or ``type`` (lower case): before the status, since a 429 may be a
#: quota and a 400 a context that is too long.
_BY_WORD: dict[str, tuple[type[APIError], bool]] = {
    # no credit, no waiting
    "insufficient_quota": (QuotaExceededError, False),
    "credit_balance_exhausted": (QuotaExceededError, False),
    "organization_spend_limit_exceeded": (QuotaExceededError, False),
    "project_spend_limit_exceeded": (QuotaExceededError, False),
    "organization_usage_limit_exceeded": (QuotaExceededError, False),
    "billing_error": (QuotaExceededError, False),
    "enforced_spend_limit_reached": (QuotaExceededError, False),
    "contract_spend_limit_reached": (QuotaExceededError, False),
    # OpenRouter's 402 for what is in flight: passes with a delay that the server names
    "openrouter_in_flight_budget": (QuotaExceededError, True),
    "billing_hard_limit_reached": (QuotaExceededError, False),
    # too long
    "context_length_exceeded": (ContextLengthError, False),
    "context_window_exceeded": (ContextLengthError, False),
    "exceed_context_size_error": (ContextLengthError, False),
    # the request
    "invalid_request_error": (BadRequestError, False),
    "badrequesterror": (BadRequestError, False),
    "invalid_prompt": (BadRequestError, False),
    "invalid_argument": (BadRequestError, False),
    "failed_precondition": (BadRequestError, False),
    "content_policy_violation": (BadRequestError, False),
    "content_filter": (BadRequestError, False),
    "validation": (BadRequestError, False),
    "request_too_large": (BadRequestError, False),
    "data_residency_mismatch": (BadRequestError, False),
    "bio_policy": (BadRequestError, False),
    # a mishap of the model's; one more try is sensible
    "tool_use_failed": (BadRequestError, True),
    # who is asking
    "invalid_api_key": (AuthenticationError, False),
    "authentication_error": (AuthenticationError, False),
    "unauthenticated": (AuthenticationError, False),
    "permission_error": (PermissionDeniedError, False),
    "permission_denied": (PermissionDeniedError, False),
    # what is asked for
    "model_not_found": (NotFoundError, False),
    "not_found_error": (NotFoundError, False),
    "notfounderror": (NotFoundError, False),
    "not_found": (NotFoundError, False),
    "deploymentnotfound": (NotFoundError, False),
    # for now
    "rate_limit_exceeded": (RateLimitError, True),
    "rate_limit_error": (RateLimitError, True),
    "ratelimitreached": (RateLimitError, True),
    "resource_exhausted": (RateLimitError, True),
    "slow_down": (RateLimitError, True),
    "ramp_limit_exceeded": (RateLimitError, True),
    "1300": (RateLimitError, True),  # Mistral
    "overloaded_error": (OverloadedError, True),
    "overloaded": (OverloadedError, True),
    "server_is_overloaded": (OverloadedError, True),
    "service_unavailable_error": (OverloadedError, True),
    "unavailable": (OverloadedError, True),
    "unavailable_error": (OverloadedError, True),
    "nocapacity": (OverloadedError, True),
    "3505": (OverloadedError, True),  # Mistral: capacity of the service tier
    "insufficient_system_resource": (OverloadedError, True),  # DeepSeek
    # theirs
    "server_error": (ServerError, True),
    "api_error": (ServerError, True),
    "internal": (ServerError, True),
    "internalservererror": (ServerError, True),
    "internal_server_error": (ServerError, True),
    "timeout_error": (ServerError, True),
    "timeout": (ServerError, True),
    "deadline_exceeded": (ServerError, True),
    "conflict_error": (ServerError, True),
    "vector_store_timeout": (ServerError, True),
    "generation": (ServerError, True),
    "incomplete_generation": (ServerError, True),
    "network_error": (ServerError, True),
    "abort": (ServerError, True),
    "error": (ServerError, True),
}

#: Words that name only a family: the status says more, where there is one.
_VAGUE = frozenset(
    {
        "invalid_request_error", "badrequesterror", "invalid_argument", "api_error",
        "server_error", "error", "timeout",
    }
)  # fmt: skip

_STATUS = re.compile(r"[3-5]\d\d")

#: Words that can be waited for only where the server says how long.
_WITH_DELAY = frozenset({"openrouter_in_flight_budget"})


class _Reading(NamedTuple):
    """What a message says of an error that code and status made one of ``among``."""

    pattern: re.Pattern[str]
    among: tuple[type[APIError], ...]
    kind: type[APIError]
    retryable: bool
    #: Only where the server names no delay: one who does expects us back.
    without_delay: bool = False


def _reading(pattern: str, *rest: Any) -> _Reading:
    return _Reading(re.compile(pattern, re.I), *rest)


_BY_MESSAGE: tuple[_Reading, ...] = (
    _reading(
        r"prompt is too long|maximum context length|context (length|window|size)"
        r"|exceeds? the (available )?context|exceeds the maximum number of tokens",
        (BadRequestError, ServerError),
        ContextLengthError,
        False,
    ),
    _reading(
        # Too much at once for the limit per minute: waiting does not make it less.
        r"request too large",
        (RateLimitError,),
        RateLimitError,
        False,
    ),
    _reading(r"perday|credits? (are|is) depleted", (RateLimitError,), QuotaExceededError, False),
    _reading(
        r"insufficient balance|exceeded your current quota|per day|daily (limit|quota)"
        r"|monthly (limit|quota)|trial key.*month",
        (RateLimitError,),
        QuotaExceededError,
        False,
        True,
    ),
    _reading(r"api key not valid", (BadRequestError,), AuthenticationError, False),  # Gemini's 400
    _reading(r"specified API usage limits", (BadRequestError,), QuotaExceededError, False),
    _reading(
        r"overloaded|server busy|maximum pending requests", (ServerError,), OverloadedError, True
    ),
)


def api_error(
    message: str,
    *,
    status: Optional[int] = None,
    code: Optional[str] = None,
    type: Optional[str] = None,
    body: Any = None,
    headers: Optional[Mapping[str, str]] = None,
    retry_after: Optional[float] = None,
    in_stream: bool = False,
    request_id: Optional[str] = None,
    hint: Optional[str] = None,
    retryable: Optional[bool] = None,
) -> APIError:
    """The typed error of what an API said, in an HTTP answer or inside a stream.

    ``headers`` have lower-case names. ``retryable`` given goes before all tables but
    ``x-should-retry``. Inside a stream a code or type of three digits counts as the status.
    """
    kind, again = _kind(status, code, type, message, retry_after is not None)
    forced = (headers or {}).get("x-should-retry", "").lower()
    if retryable is not None:
        again = retryable
    if forced in ("true", "false"):
        again = forced == "true"
    return kind(
        message or f"HTTP {status}",
        status=200 if in_stream and status is None else status,
        code=code,
        type=type,
        body=body,
        headers=headers,
        retry_after=retry_after,
        in_stream=in_stream,
        request_id=request_id,
        hint=hint,
        retryable=again,
    )


def _kind(
    status: Optional[int],
    code: Optional[str],
    type: Optional[str],
    message: str,
    has_delay: bool,
) -> tuple[type[APIError], bool]:
    """Code and type, status, then what the message adds to them."""
    words = [word.lower() for word in (code, type) if word]
    kind, again = _by_words(status, words, has_delay)
    said = " ".join([message, *words])
    for reading in _BY_MESSAGE:
        if kind in reading.among and reading.pattern.search(said):
            if not (reading.without_delay and has_delay):
                return reading.kind, reading.retryable
    return kind, again


def _by_words(
    status: Optional[int], words: Sequence[str], has_delay: bool
) -> tuple[type[APIError], bool]:
    known = [word for word in words if word in _BY_WORD]
    for word in known:
        if word not in _VAGUE:
            kind, again = _BY_WORD[word]
            return kind, again and (has_delay or word not in _WITH_DELAY)
    if status is None:
        status = next((int(word) for word in words if _STATUS.fullmatch(word)), None)
    if status is not None and status >= 300:
        return _by_status(status)
    # An error inside a stream that names no cause is the server's.
    return _BY_WORD[known[0]] if known else (ServerError, True)


def _by_status(status: int) -> tuple[type[APIError], bool]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServerError, True
    return (BadRequestError, False) if status >= 400 else (APIError, False)


def http_error(
    status: int,
    headers: Mapping[str, str],
    body: str,
    *,
    request_id: Optional[str] = None,
    retryable: Optional[bool] = None,
    hint: Optional[str] = None,
    wall_now: Optional[float] = None,
) -> APIError:
    """The typed error of an HTTP answer outside 2xx, of any API whose body has a common shape.

    ``headers`` have lower-case names. ``retryable`` and ``hint`` are for an API that knows better
    than the tables. ``wall_now``: seconds since the epoch for dates, None = now.
    """
    payload = error_payload(body)
    facts = error_facts(payload)
    message = facts.message or _shown(status, headers, body)
    return api_error(
        f"{status}: {message}",
        status=status,
        code=facts.code,
        type=facts.type,
        body=payload if payload is not None else body,
        headers=headers,
        retry_after=retry_after(headers, payload, wall_now),
        request_id=request_id or facts.request_id,
        retryable=retryable,
        hint=hint,
    )


def _shown(status: int, headers: Mapping[str, str], body: str) -> str:
    if 300 <= status < 400:
        where = headers.get("location", "nowhere")
        return f"redirected to {where}, which is not followed with a POST; correct base_url"
    return body_shown(body)
