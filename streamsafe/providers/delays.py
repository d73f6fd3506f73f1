"""Delays: how long a server asks to wait, in whatever way it says so.

Here lives the reading of headers, bodies and words into seconds. Whether they are slept through is
decided by ``engine.retry``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.providers.facts import error_facts

_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

#: "Please retry after 12 seconds." (Azure), "Please try again in 7m12.5s." (OpenAI, Groq)
_IN_WORDS = re.compile(
    r"(?:retry|try again)\D{0,20}?(?:(?P<go>(?:\d+(?:\.\d+)?(?:ms|h|m|s))+(?![a-z]))"
    r"|(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|milli|sec|min|hour|[smh]\b))",
    re.I,
)
_WORD_UNITS = {**_UNITS, "milli": 0.001, "sec": 1.0, "min": 60.0, "hour": 3600.0}

#: Larger numbers are milliseconds since the epoch (OpenRouter), smaller than _EPOCH are seconds.
_EPOCH_MS = 1e11
_EPOCH = 1e9


def retry_after(
    headers: Mapping[str, str], payload: Any = None, wall_now: Optional[float] = None
) -> Optional[float]:
    """Seconds that the server asks to wait, or None; the surest sign first.

    ``headers`` have lower-case names. ``payload`` is the decoded body. ``wall_now``: seconds since
    the epoch for dates, None = now.
    """
    now = time.time() if wall_now is None else wall_now
    milliseconds = _float(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    for found in (
        _from_header(headers.get("retry-after"), now),
        _from_details(payload),
        _from_words(error_facts(payload).message),
    ):
        if found is not None:
            return found
    return _from_resets(headers, now)


def _float(value: Optional[str]) -> Optional[float]:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None


def _from_header(value: Optional[str], now: float) -> Optional[float]:
    """Retry-After: seconds, also with a fraction, or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    seconds = _float(value)
    if seconds is not None:
        return seconds
    from datetime import timezone
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, moment.timestamp() - now)


def _from_details(payload: Any) -> Optional[float]:
    """Gemini: ``details[]`` with a google.rpc.RetryInfo."""
    error = payload.get("error") if isinstance(payload, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and "retryDelay" in detail:
            return duration(str(detail["retryDelay"]))
    return None


def _from_words(message: str) -> Optional[float]:
    match = _IN_WORDS.search(message)
    if match is None:
        return None
    if match.group("go"):
        return duration(match.group("go").lower())
    return float(match.group("number")) * _WORD_UNITS[match.group("unit").lower()]


def _from_resets(headers: Mapping[str, str], now: float) -> Optional[float]:
    """The reset of the limit that is used up, where the headers say which one is."""
    waits, told = [], False
    for name, value in headers.items():
        if "ratelimit" not in name or "remaining" not in name:
            continue
        told = True
        reset = headers.get(name.replace("remaining", "reset"))
        wait = until(reset, now) if reset and _float(value) == 0 else None
        if wait is not None:
            waits.append(wait)
    if not told and "x-ratelimit-reset" in headers:  # Cohere
        return until(headers["x-ratelimit-reset"], now)
    return max(waits) if waits else None


def until(value: str, now: float) -> Optional[float]:
    """Seconds until a reset: a Go duration, an RFC 3339 time, an epoch, or seconds; ``now`` is
    seconds since the epoch."""
    number = _float(value)
    if number is not None:
        if number > _EPOCH_MS:
            number /= 1000
        return max(0.0, number - now) if number > _EPOCH else number
    wait = duration(value)
    if wait is not None:
        return wait
    from datetime import datetime, timezone

    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, moment.timestamp() - now)


def duration(value: str) -> Optional[float]:
    """Seconds of a Go duration such as "6m0s" or "120ms"; None if it is none."""
    parts = _GO_DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
