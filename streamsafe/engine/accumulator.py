"""Accumulator: chunk after chunk becomes a completion.

Here lives the joining of chunks, and nothing of how they came. Text is kept once: pieces are
gathered and appended to one string now and then, in place, so that an answer of 100 MB needs
little more than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.models import Choice, Chunk, Completion, ToolCall, Usage

#: Pieces gathered before they are joined: 400,000 tokens then cost 6.5 MB instead of 26.
FOLD = 1024

#: What ``keep="tail"`` keeps of the text, in characters: enough to find a seam in.
TAIL_CHARS = 8192


class Gatherer:
    """One growing text. ``add`` is the list's own append: the cheapest there is."""

    __slots__ = ("pieces", "add", "_text", "_dropped", "_keep")

    def __init__(self, keep: Optional[int] = None) -> None:
        self.pieces: list[str] = []
        self.add = self.pieces.append
        self._text = ""
        self._dropped = 0
        self._keep = keep

    def fold(self) -> str:
        """Join what was gathered; the text so far (its tail, where only that is kept)."""
        pieces = self.pieces
        # Only so many: the reading thread may add to them at this moment.
        count = len(pieces)
        if count:
            # With one reference, in a local name, CPython extends the string in place; as an
            # attribute it would be copied each time, and the whole be quadratic.
            text = self._text
            self._text = ""
            text += "".join(pieces[:count])
            del pieces[:count]
            if self._keep is not None and len(text) > 2 * self._keep:
                self._dropped += len(text) - self._keep
                text = text[-self._keep :]
            self._text = text
        return self._text

    @property
    def chars(self) -> int:
        """Characters in all, also of what was not kept."""
        return len(self.fold()) + self._dropped


class _Call:
    """A tool call as far as its fragments came."""

    __slots__ = ("id", "name", "arguments")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = Gatherer()


class _Choice:
    """One of n answers as far as it came."""

    __slots__ = (
        "text", "reasoning", "refusal", "calls", "citations", "finish_reason", "raw_finish_reason",
    )  # fmt: skip

    def __init__(self, keep: Optional[int]) -> None:
        self.text = Gatherer(keep)
        self.reasoning = Gatherer(keep)
        self.refusal = Gatherer(keep)
        self.calls: dict[int, _Call] = {}
        self.citations: list[Mapping[str, Any]] = []
        self.finish_reason: Optional[str] = None
        self.raw_finish_reason: Optional[str] = None

    def arguments(self) -> list[Gatherer]:
        """Those of its tool calls."""
        return [call.arguments for call in self.calls.values()]

    def value(self, index: int) -> Choice:
        calls = tuple(
            ToolCall(call.id, call.name, call.arguments.fold())
            for _, call in sorted(self.calls.items())
        )
        return Choice(
            index,
            self.text.fold(),
            self.reasoning.fold(),
            self.refusal.fold(),
            calls,
            tuple(self.citations),
            self.finish_reason,
            self.raw_finish_reason,
        )


class Accumulator:
    """Joins the chunks of one stream, over all its attempts.

    ``keep``: how many characters of each text to keep at least, None = all. Used by the
    reading thread; ``choices`` may be taken by another, which then sees a moment of it.
    """

    def __init__(self, keep: Optional[int] = None) -> None:
        self._keep = keep
        self.clear()

    def clear(self) -> None:
        """Begin anew: what was added is void."""
        self._choices: dict[int, _Choice] = {0: _Choice(self._keep)}
        self.usage: Optional[Usage] = None
        self.has_content = False

    @property
    def first_text(self) -> Gatherer:
        """The text of choice 0, for whoever adds to it directly and sets ``has_content``."""
        return self._choices[0].text

    def add(self, chunk: Chunk) -> None:
        """Join one chunk; a "restart" chunk clears."""
        kind = chunk.kind
        if kind == "restart":
            self.clear()
            return
        choice = self._choices.get(chunk.index)
        if choice is None:
            choice = self._choices[chunk.index] = _Choice(self._keep)
        if kind == "text":
            choice.text.add(chunk.text)
        elif kind == "reasoning":
            choice.reasoning.add(chunk.reasoning)
        elif kind == "refusal":
            choice.refusal.add(chunk.refusal)
        elif kind == "tool_call":
            self._add_call(choice, chunk)
        elif kind == "citation":
            choice.citations.append(chunk.citation or {})
        else:
            self._add_fact(choice, chunk)
            return
        self.has_content = True

    @staticmethod
    def _add_call(choice: _Choice, chunk: Chunk) -> None:
        fragment = chunk.tool_call
        if fragment is None:
            return
        call = choice.calls.get(fragment.index)
        if call is None:
            call = choice.calls[fragment.index] = _Call()
        call.id = call.id or fragment.id
        call.name = call.name or fragment.name
        call.arguments.add(fragment.arguments)

    def _add_fact(self, choice: _Choice, chunk: Chunk) -> None:
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.kind == "finish":
            choice.finish_reason = chunk.finish_reason
            choice.raw_finish_reason = chunk.raw_finish_reason

    def fold(self) -> None:
        """Join what was gathered where it has become much; call it once a read."""
        for choice in self._choices.values():
            for growing in (choice.text, choice.reasoning, *choice.arguments()):
                if len(growing.pieces) >= FOLD:
                    growing.fold()

    @property
    def text_chars(self) -> int:
        """Characters of choice 0's text in all, also of what was not kept."""
        return self._choices[0].text.chars

    @property
    def finish_reason(self) -> Optional[str]:
        """Why choice 0 has ended; None before it has."""
        return self._choices[0].finish_reason

    def choices(self) -> tuple[Choice, ...]:
        """The answers so far, by index."""
        return tuple(choice.value(index) for index, choice in sorted(self._choices.items()))

    def output_chars(self) -> int:
        """Characters of all that the model wrote, for an estimate of its tokens."""
        total = 0
        for choice in self._choices.values():
            total += choice.text.chars + choice.reasoning.chars + choice.refusal.chars
            total += sum(len(call.name) for call in choice.calls.values())
            total += sum(arguments.chars for arguments in choice.arguments())
        return total

    def completion(self, **facts: Any) -> Completion:
        """The completion so far, with the ``facts`` that only the stream knows."""
        choices = self.choices()
        first = choices[0]
        facts.setdefault("usage", self.usage)
        return Completion(
            text=first.text,
            reasoning=first.reasoning,
            refusal=first.refusal,
            tool_calls=first.tool_calls,
            citations=first.citations,
            finish_reason=first.finish_reason,
            raw_finish_reason=first.raw_finish_reason,
            choices=choices,
            text_chars=self.text_chars,
            **facts,
        )


def estimate_usage(input_chars: int, output_chars: int) -> Usage:
    """A guess where the server gave no figures: four characters a token, as OpenAI's own rule
    of thumb for English has it; other scripts and code have more tokens."""
    asked, written = -(-input_chars // 4), -(-output_chars // 4)
    return Usage(asked, written, total_tokens=asked + written, estimated=True)


def channels(choices: Sequence[Choice]) -> dict[tuple[Any, ...], str]:
    """The texts of an answer, by (kind, choice index[, tool call index])."""
    found: dict[tuple[Any, ...], str] = {}
    for choice in choices:
        found["text", choice.index] = choice.text
        found["reasoning", choice.index] = choice.reasoning
        found["refusal", choice.index] = choice.refusal
        for place, call in enumerate(choice.tool_calls):
            found["tool_call", choice.index, place] = call.name + "\0" + call.arguments
    return {key: text for key, text in found.items() if text}


def has_tail_alone(completion: Completion) -> bool:
    """Whether the beginning of the text was not kept."""
    return completion.text_chars > len(completion.text)
