"""Resume: how to go on with an answer that broke off. Pure: no request is made here.

Here lives the ladder: from the call, what has been delivered, and what the provider says of the
model, to the next call and the joint that fits it, or to the reason why there is none.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from streamsafe.engine.joint import Joint, Restart
from streamsafe.errors import ConfigurationError
from streamsafe.models import Call, Completion
from streamsafe.providers.base import Provider

MODES = ("auto", "continue", "restart", "never")


class Plan(NamedTuple):
    """The next call and how its answer is joined; or ``refusal``, the reason why not."""

    call: Call
    joint: Optional[Joint] = None
    refusal: str = ""


def mode_of(value: object) -> str:
    """A valid ``resume=``, or ConfigurationError."""
    if value not in MODES:
        raise ConfigurationError(f"resume={value!r}: expected one of {', '.join(MODES)}")
    return str(value)


def plan(
    mode: str, call: Call, delivered: Completion, has_content: bool, provider: Provider, number: int
) -> Plan:
    """The way on after a failure. ``delivered`` is what the program has; ``number`` the next attempt's.

    Nothing delivered: always a plain retry.
    """
    if not has_content:
        return Plan(call)
    if mode == "restart":
        return Plan(call, Restart(delivered, number))
    return Plan(call, refusal=f"part of the answer was delivered (resume={mode!r})")
