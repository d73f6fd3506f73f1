"""Completion: the answer put together from its chunks, and how it ended.

The accumulator makes it; the program, the journal and the errors carry it.
"""

from __future__ import annotations

import copy
import enum
import html
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.models.attempt import Attempt
from streamsafe.models.frozen import Frozen
from streamsafe.models.toolcall import ToolCall
from streamsafe.models.usage import Usage


class Outcome(enum.Enum):
    """The verdict of a stream. PENDING stands until there is one."""

    PENDING = "pending"
    COMPLETE = "complete"
    TRUNCATED = "truncated"
    FILTERED = "filtered"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Seam(NamedTuple):
    """Where a resumed answer was joined.

    ``at`` is the offset in the text; ``how`` is "cursor", "prefill", "user_message" or "restart";
    ``confidence`` from 0.0 to 1.0 is how sure the join is (1.0: exact by the protocol);
    ``dropped`` is what was received again and left out; ``attempt`` is the attempt that follows.
    """

    at: int
    how: str
    confidence: float = 1.0
    dropped: str = ""
    attempt: int = 0


class Choice(NamedTuple):
    """One of n answers; the completion's own fields are those of choice 0."""

    index: int  # type: ignore[assignment]  # shadows tuple.index
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    citations: tuple[Mapping[str, Any], ...] = ()
    finish_reason: Optional[str] = None
    raw_finish_reason: Optional[str] = None


class Timings(NamedTuple):
    """Seconds, None where there was nothing to measure.

    ``ttft`` runs from the first request to the first content. The gaps are those between
    network reads that brought content. ``held`` is how long the program kept the stream
    waiting. ``tokens_per_second`` is the usage's output tokens over the time from the first
    content to the end, without what the program held.
    """

    ttft: Optional[float] = None
    gap_p50: Optional[float] = None
    gap_p90: Optional[float] = None
    gap_p99: Optional[float] = None
    gap_max: Optional[float] = None
    duration: float = 0.0
    held: float = 0.0
    tokens_per_second: Optional[float] = None


class Completion(Frozen):
    """An answer, whole or as far as it came.

    ``finish_reason`` is "stop", "length", "tool_calls", "content_filter", "refusal", "error" or
    None; ``raw_finish_reason`` is the API's own word. ``usage`` is that of the attempt that
    finished (estimated where the server gave none), ``usage_total`` the sum over all attempts.
    ``provider_state`` is what has to be sent back in the next turn (signatures, encrypted
    reasoning); ``to_message()`` puts it in its place.
    """

    __slots__ = (
        "text", "reasoning", "refusal", "tool_calls", "citations", "finish_reason",
        "raw_finish_reason", "outcome", "usage", "usage_total", "model", "id", "provider",
        "choices", "seams", "attempts", "timings", "provider_state", "stream_id", "message",
        "text_chars", "malformed",
    )  # fmt: skip

    text: str
    reasoning: str
    refusal: str
    tool_calls: tuple[ToolCall, ...]
    citations: tuple[Mapping[str, Any], ...]
    finish_reason: Optional[str]
    raw_finish_reason: Optional[str]
    outcome: Outcome
    usage: Optional[Usage]
    usage_total: Optional[Usage]
    model: Optional[str]
    id: Optional[str]
    provider: str
    choices: tuple[Choice, ...]
    seams: tuple[Seam, ...]
    attempts: tuple[Attempt, ...]
    timings: Timings
    provider_state: Mapping[str, Any]
    stream_id: str
    message: Optional[Mapping[str, Any]]
    text_chars: int
    malformed: int

    def __init__(
        self,
        text: str = "",
        reasoning: str = "",
        refusal: str = "",
        tool_calls: tuple[ToolCall, ...] = (),
        citations: tuple[Mapping[str, Any], ...] = (),
        finish_reason: Optional[str] = None,
        raw_finish_reason: Optional[str] = None,
        outcome: Outcome = Outcome.PENDING,
        usage: Optional[Usage] = None,
        usage_total: Optional[Usage] = None,
        model: Optional[str] = None,
        id: Optional[str] = None,
        provider: str = "",
        choices: tuple[Choice, ...] = (),
        seams: tuple[Seam, ...] = (),
        attempts: tuple[Attempt, ...] = (),
        timings: Timings = Timings(),
        provider_state: Optional[Mapping[str, Any]] = None,
        stream_id: str = "",
        message: Optional[Mapping[str, Any]] = None,
        text_chars: Optional[int] = None,
        malformed: int = 0,
    ) -> None:
        self._set(
            text=text, reasoning=reasoning, refusal=refusal, tool_calls=tool_calls,
            citations=citations, finish_reason=finish_reason,
            raw_finish_reason=raw_finish_reason, outcome=outcome, usage=usage,
            usage_total=usage_total, model=model, id=id, provider=provider, choices=choices,
            seams=seams, attempts=attempts, timings=timings,
            provider_state=dict(provider_state or {}), stream_id=stream_id, message=message,
            text_chars=len(text) if text_chars is None else text_chars, malformed=malformed,
        )  # fmt: skip

    def __str__(self) -> str:
        return self.text

    @property
    def complete(self) -> bool:
        """True if the protocol said that the answer is whole."""
        return self.outcome is Outcome.COMPLETE

    def to_message(self) -> dict[str, Any]:
        """The assistant message to append to ``messages`` for the next turn.

        In the form that the provider which answered takes, with what it wants sent back
        (signatures, encrypted reasoning). A new dict at each call.
        """
        if self.message is not None:
            return copy.deepcopy(dict(self.message))
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.refusal:
            message["refusal"] = self.refusal
        if self.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in self.tool_calls
            ]
        return message

    def _repr_html_(self) -> str:
        """How a notebook shows it: the text, then one line with the verdict and figures."""
        facts = [self.outcome.value, self.finish_reason or "", self.model or ""]
        if self.usage:
            about = "about " if self.usage.estimated else ""
            facts.append(f"{about}{self.usage.output_tokens} tokens")
        facts.append(f"{self.timings.duration:.2f} s")
        if len(self.attempts) > 1:
            facts.append(f"{len(self.attempts)} attempts")
        line = " · ".join(html.escape(str(fact)) for fact in facts if fact)
        return (
            f'<div style="white-space:pre-wrap">{html.escape(self.text)}</div>'
            f'<div style="opacity:.65;font-size:85%;margin-top:.5em">{line}</div>'
        )
