"""Rate limits: how much room a server says that it has left, in whatever headers it says so.

Here lives the reading of the headers. What follows from them is decided by whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

from streamsafe.providers.delays import until


class RateLimit(NamedTuple):
    """One of the limits: of requests or tokens, in a minute or a day.

    ``name`` is the header's that said what remains. ``reset`` is in seconds from now: until then
    all of it is there again. None where the server does not say.
    """

    name: str
    remaining: float
    limit: Optional[float] = None
    reset: Optional[float] = None


def rate_limits(headers: Mapping[str, str], wall_now: float) -> list[RateLimit]:
    """The limits that a response names, as OpenAI, Anthropic, Groq, Mistral and others do.

    ``headers`` have lower-case names. ``wall_now``: seconds since the epoch when they came, for
    resets that are times.
    """
    found = []
    for name, value in headers.items():
        if "ratelimit" in name and "remaining" in name:
            remaining = _number(value)
            if remaining is not None:
                reset = headers.get(name.replace("remaining", "reset"))
                limit = _number(headers.get(name.replace("remaining", "limit")))
                left = until(reset, wall_now) if reset else None
                found.append(RateLimit(name, remaining, limit, left))
    return found


def _number(value: Optional[str]) -> Optional[float]:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
