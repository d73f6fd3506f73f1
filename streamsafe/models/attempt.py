"""Attempt: the record of one HTTP request and the reading of its response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from streamsafe.models.frozen import Frozen
from streamsafe.models.usage import Usage


class Attempt(Frozen):
    """What became of one try.

    ``number`` counts from 1. ``started`` is seconds since the epoch. ``status`` is the HTTP
    status or None if no answer came. ``outcome`` is "complete", "truncated", "filtered",
    "failed" or "cancelled" ("" while it runs). ``error`` is the failure, or None. ``waited`` is
    how many seconds of backoff preceded the attempt. ``sent`` is True once the request had
    gone out, so that a repeat may be billed twice. ``reused`` says that a pooled connection
    served it. ``provider`` and ``model`` are whom it was put to. ``usage`` is what the attempt
    cost (estimated where the server did not say), ``discarded`` how many characters of its text
    were thrown away.
    """

    __slots__ = (
        "number", "started", "status", "request_id", "outcome", "error", "waited",
        "sent", "reused", "duration", "provider", "model", "usage", "discarded", "headers",
    )  # fmt: skip

    number: int
    started: float
    status: Optional[int]
    request_id: Optional[str]
    outcome: str
    error: Optional[BaseException]
    waited: float
    sent: bool
    reused: bool
    duration: float
    provider: str
    model: Optional[str]
    usage: Optional[Usage]
    discarded: int
    headers: Mapping[str, str]

    def __init__(
        self,
        number: int,
        started: float,
        status: Optional[int] = None,
        request_id: Optional[str] = None,
        outcome: str = "",
        error: Optional[BaseException] = None,
        waited: float = 0.0,
        sent: bool = False,
        reused: bool = False,
        duration: float = 0.0,
        provider: str = "",
        model: Optional[str] = None,
        usage: Optional[Usage] = None,
        discarded: int = 0,
        headers: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._set(
            number=number, started=started, status=status, request_id=request_id,
            outcome=outcome, error=error, waited=waited, sent=sent, reused=reused,
            duration=duration, provider=provider, model=model, usage=usage,
            discarded=discarded, headers=dict(headers or {}),
        )  # fmt: skip
