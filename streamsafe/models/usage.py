"""Usage: what an answer cost in tokens, as the server says or as estimated here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional


class Usage(NamedTuple):
    """Token counts; 0 where nothing was said of a count.

    ``reasoning_tokens`` are part of ``output_tokens`` and ``cached_tokens`` part of
    ``input_tokens``, as all APIs but Gemini count them (Gemini's are brought to that
    form). ``estimated`` is True where the server gave no figures and the counts were
    guessed from the length of the text. ``raw`` is the server's own object, merged over
    the stream, or None.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    total_tokens: int = 0
    estimated: bool = False
    raw: Optional[Mapping[str, Any]] = None

    def plus(self, other: Usage) -> Usage:
        """The sum of two attempts' usage; estimated if either is."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cached_tokens + other.cached_tokens,
            self.total_tokens + other.total_tokens,
            self.estimated or other.estimated,
        )
