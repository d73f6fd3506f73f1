"""Classify: which error a status, a code or a type means, and how long to wait. Pure tables.

Here lives what the vendors' documents say of failures, as data, for HTTP answers and for errors
inside a stream alike. Whether to try again is decided by ``engine.retry`` from what is said here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
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
    424: (ServerError, True),  # TGI: the generation failed
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
_VAGUE = frozenset({"invalid_request_error", "api_error", "server_error", "error", "timeout"})

#: By what the message says, where code and type say nothing.
_BY_MESSAGE: tuple[tuple[re.Pattern[str], type[APIError], bool], ...] = (
    (
        re.compile(
            r"prompt is too long|maximum context length|context (length|window|size)"
            r"|exceeds? the (available )?context|too many tokens.*context",
            re.I,
        ),
        ContextLengthError,
        False,
    ),
    (
        re.compile(
            r"insufficient balance|exceeded your current quota|credits? (are|is) depleted"
            r"|specified API usage limits|per[- ]?day|daily (limit|quota)|monthly (limit|quota)"
            r"|trial key",
            re.I,
        ),
        QuotaExceededError,
        False,
    ),
    (re.compile(r"overloaded|server busy|maximum pending requests", re.I), OverloadedError, True),
)

_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_IN_WORDS = re.compile(r"(?:retry|try again)\D{0,20}?(\d+(?:\.\d+)?)\s*(ms|s\b|sec|m\b|min)", re.I)


class Facts(NamedTuple):
    """What an error body says, in whatever shape."""

    message: str = ""
    code: Optional[str] = None
    type: Optional[str] = None
    status: Optional[int] = None


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
    """The typed error. ``retryable`` given goes before all tables but ``x-should-retry``."""
    kind, again = _kind(status, code, type, message)
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
    status: Optional[int], code: Optional[str], type: Optional[str], message: str
) -> tuple[type[APIError], bool]:
    words = [word.lower() for word in (code, type) if word]
    for word in words:
        if word in _BY_WORD and word not in _VAGUE:
            return _BY_WORD[word]
    for pattern, kind, again in _BY_MESSAGE:
        if pattern.search(message):
            return kind, again
    number = status if status is not None else next((int(w) for w in words if w.isdigit()), None)
    if number is not None and number >= 300:
        return _by_status(number)
    for word in words:
        if word in _BY_WORD:
            return _BY_WORD[word]
    # An error inside a stream that names no cause is the server's.
    return ServerError, True


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
    wall_now: Optional[float] = None,
) -> APIError:
    """The typed error of an HTTP answer outside 2xx, of any API whose body has a common shape."""
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
        request_id=request_id,
    )


def _shown(status: int, headers: Mapping[str, str], body: str) -> str:
    """What can be said of a body that is no JSON error."""
    if 300 <= status < 400:
        where = headers.get("location", "nowhere")
        return f"redirected to {where}, which is not followed with a POST; correct base_url"
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.I | re.S)
    text = title.group(1) if title else body
    return " ".join(text.split())[:200] or "the answer has no body"


def error_payload(body: str) -> Any:
    """The JSON of an error body, also inside ``data:`` or an array of one; None if it is none."""
    text = body.strip()
    if text.startswith("data:"):
        text = text[5:].split("\n")[0].strip()
    try:
        payload = json.loads(text)
    except ValueError:
        return None
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]
    return payload


def error_facts(payload: Any) -> Facts:
    """Message, code, type and status of an error object, in all the shapes that APIs use."""
    if isinstance(payload, str):
        return Facts(payload)
    if not isinstance(payload, Mapping):
        return Facts()
    error = payload.get("error")
    if isinstance(error, Mapping):
        inner = error_facts({"message": error.get("message"), **_without_error(error)})
        return inner._replace(message=inner.message or _text(payload.get("message")))
    message = _text(error) or _text(payload.get("message")) or _detail(payload.get("detail"))
    details = payload.get("details")
    fine = details.get("error_code") if isinstance(details, Mapping) else None
    code = fine or payload.get("code")
    status = payload.get("http_status_code") or payload.get("status_code") or payload.get("code")
    kind = payload.get("type") or payload.get("error_type") or payload.get("status")
    return Facts(message, _word(code), _word(kind), _number(status))


def _without_error(error: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in error.items() if name not in ("error", "message")}


def _detail(detail: Any) -> str:
    """The ``detail`` of FastAPI servers: a text, or a list of what is wrong where."""
    if isinstance(detail, list):
        return "; ".join(
            f"{'.'.join(map(str, item.get('loc', ())))}: {item.get('msg')}"
            for item in detail
            if isinstance(item, Mapping)
        )
    return _text(detail)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (Mapping, list)) else ""


def _word(value: Any) -> Optional[str]:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value)


def _number(value: Any) -> Optional[int]:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    return None


def retry_after(
    headers: Mapping[str, str], payload: Any = None, wall_now: Optional[float] = None
) -> Optional[float]:
    """Seconds that the server asks to wait, or None; the surest sign first.

    ``headers`` have lower-case names. ``wall_now``: seconds since the epoch, for HTTP dates.
    """
    now = time.time() if wall_now is None else wall_now
    ms = _float(headers.get("retry-after-ms"))
    if ms is not None:
        return ms / 1000
    value = headers.get("retry-after")
    if value:
        seconds = _float(value)
        return seconds if seconds is not None else _until(value, now)
    found = _from_body(payload)
    return found if found is not None else _from_resets(headers, now)


def _float(value: Optional[str]) -> Optional[float]:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None


def _until(value: str, now: float) -> Optional[float]:
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


def _from_body(payload: Any) -> Optional[float]:
    """Gemini's RetryInfo; the words "retry after N seconds" (Azure, Groq)."""
    error = payload.get("error") if isinstance(payload, Mapping) else None
    if not isinstance(error, Mapping):
        return None
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and "retryDelay" in detail:
            return duration(str(detail["retryDelay"]))
    match = _IN_WORDS.search(_text(error.get("message")))
    if match is None:
        return None
    unit = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "ms": 0.001}[match.group(2).lower()]
    return float(match.group(1)) * unit


def _from_resets(headers: Mapping[str, str], now: float) -> Optional[float]:
    """The reset of the limit that is used up, where the headers say which one is."""
    waits = []
    for name, value in headers.items():
        if "remaining" in name and _float(value) == 0:
            reset = headers.get(name.replace("remaining", "reset"))
            wait = _reset(reset, now) if reset else None
            if wait is not None:
                waits.append(wait)
    return max(waits) if waits else None


def _reset(value: str, now: float) -> Optional[float]:
    """A Go duration, an RFC 3339 time, an epoch, or seconds."""
    number = _float(value)
    if number is not None:
        return max(0.0, number - now) if number > 1e9 else number
    wait = duration(value)
    if wait is not None:
        return wait
    try:
        from datetime import datetime

        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now)


def duration(value: str) -> Optional[float]:
    """Seconds of a Go duration such as "6m0s" or "120ms"; None if it is none."""
    parts = _GO_DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        return None
    return sum(float(number) * _GO_UNITS[unit] for number, unit in parts)
