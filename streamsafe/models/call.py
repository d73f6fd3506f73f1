"""Call: what the program asked for, before a provider puts it into its API's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.models.frozen import Frozen


class Call(Frozen):
    """One question.

    ``messages`` are OpenAI-style (role, content, tool calls); a plain prompt is one user
    message. ``parameters`` are the arguments that go into the body under one name for all
    providers (``max_tokens``, ``temperature``, ``stop``, ``tools``, ``seed`` …); unknown ones go
    through as they are. ``body`` is a body in the provider's own words: where it is given, it
    is passed through untouched and ``messages`` is empty. ``extra`` is for what only the
    provider that made the call understands (a continuation, a cursor).
    """

    __slots__ = ("messages", "model", "parameters", "body", "extra")

    messages: tuple[Mapping[str, Any], ...]
    model: Optional[str]
    parameters: Mapping[str, Any]
    body: Optional[Mapping[str, Any]]
    extra: Mapping[str, Any]

    def __init__(
        self,
        messages: Sequence[Mapping[str, Any]] = (),
        model: Optional[str] = None,
        parameters: Optional[Mapping[str, Any]] = None,
        body: Optional[Mapping[str, Any]] = None,
        extra: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self._set(
            messages=tuple(messages),
            model=model,
            parameters=dict(parameters or {}),
            body=body,
            extra=dict(extra or {}),
        )
