"""Joint: how the chunks of a new attempt are joined to what was delivered.

Here lives what drops, of a new answer, the part that the program has already. A joint is fed the
new attempt's chunks, list by list, and gives those that the program is to see. Which joint an
attempt gets is said by ``resume``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Protocol

from streamsafe.engine.accumulator import channels, has_tail_alone
from streamsafe.models import Choice, Chunk, Completion, Seam

Key = tuple[Any, ...]


class Joint(Protocol):
    """``feed`` for every list of chunks, ``end`` once the attempt ended well.

    ``seam`` is set when the join is made; ``discarded`` counts characters that were received
    again and dropped, ``kept`` those behind a "restart" that an earlier attempt wrote.
    """

    kept: int

    @property
    def seam(self) -> Optional[Seam]:
        """The join, once it is made."""

    @property
    def discarded(self) -> int:
        """Characters dropped so far."""

    def feed(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """What the program is to see of these."""

    def end(self) -> list[Chunk]:
        """What was held back and is to be seen after all."""


class Restart:
    """The answer asked for again from its start: what is equal to the delivered is dropped.

    At the first difference, or if the new answer ends before the delivered part does, one
    "restart" chunk says that all earlier chunks are void, and the new answer follows whole from
    its first word. Compared are text, reasoning, refusal and tool calls, each by itself.
    """

    kept = 0

    def __init__(self, delivered: Completion, attempt: int) -> None:
        self.seam: Optional[Seam] = None
        self.discarded = 0
        # What the new answer has not come to the end of, and how far it is in it.
        self._left = channels(delivered.choices or (Choice(0, delivered.text),))
        self._met: dict[Key, int] = {}
        self._blind = has_tail_alone(delivered)  # its beginning can't be compared
        self._citations = sum(len(choice.citations) for choice in delivered.choices)
        self._delivered = delivered
        self._attempt = attempt
        self._held: list[Chunk] = []
        self._open = False

    def feed(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """What is new of these chunks; all since the answer's start behind a "restart" chunk."""
        if self._open:
            return list(chunks)
        if self._blind:
            return self._void() + list(chunks)
        seen: list[Chunk] = []
        for place, chunk in enumerate(chunks):
            self._held.append(chunk)
            fresh = self._fresh(chunk)
            if fresh is None:
                return self._void() + list(chunks[place + 1 :])
            seen += fresh
            if not self._left and not self._citations:
                self._join()
                return seen + list(chunks[place + 1 :])
        return seen

    def end(self) -> list[Chunk]:
        """A new answer that ended inside the delivered part is a different one."""
        return self._void() if self._left else []

    def _fresh(self, chunk: Chunk) -> Optional[list[Chunk]]:
        """The part of a chunk that was not delivered yet; None at a difference."""
        if chunk.kind == "finish":
            ended = any(key[1] == chunk.index for key in self._left)
            return None if ended else [chunk]
        if chunk.kind == "citation":
            if self._citations:
                self._citations -= 1
                return []
            return [chunk]
        key, piece = _channel(chunk)
        if key is None:
            # A role or usage: the program had the like; usage is that of the attempt.
            return [chunk] if chunk.usage else []
        if key not in self._left:
            return [chunk]
        text, at = self._left[key], self._met.get(key, 0)
        if text.startswith(piece, at):
            self._advance(key, at + len(piece), len(piece))
            return []
        left = len(text) - at
        if left < len(piece) and piece.startswith(text[at:]):
            self._advance(key, len(text), left)
            return [_cut(chunk, left)]
        return None

    def _advance(self, key: Key, to: int, by: int) -> None:
        self.discarded += by
        self._met[key] = to
        if to == len(self._left[key]):
            del self._left[key]

    def _join(self) -> None:
        self._open = True
        self._held.clear()
        self.seam = Seam(self._delivered.text_chars, "restart", 1.0, "", self._attempt)

    def _void(self) -> list[Chunk]:
        self._open = True
        self._left.clear()
        self.discarded = 0
        held, self._held = self._held, []
        return [Chunk("restart"), *held]


def _channel(chunk: Chunk) -> tuple[Optional[Key], str]:
    """The channel a chunk adds to, as ``accumulator.channels`` names it, and what it adds."""
    if chunk.kind == "text":
        return ("text", chunk.index), chunk.text
    if chunk.kind == "reasoning":
        return ("reasoning", chunk.index), chunk.reasoning
    if chunk.kind == "refusal":
        return ("refusal", chunk.index), chunk.refusal
    if chunk.kind == "tool_call" and chunk.tool_call is not None:
        fragment = chunk.tool_call
        named = f"{fragment.name}\0" if fragment.name else ""
        return ("tool_call", chunk.index, fragment.index), named + fragment.arguments
    return None, ""


def _cut(chunk: Chunk, chars: int) -> Chunk:
    """The chunk without the first characters of what it adds."""
    if chunk.kind == "text":
        return chunk._replace(text=chunk.text[chars:])
    if chunk.kind == "reasoning":
        return chunk._replace(reasoning=chunk.reasoning[chars:])
    if chunk.kind == "refusal":
        return chunk._replace(refusal=chunk.refusal[chars:])
    fragment = chunk.tool_call
    assert fragment is not None  # only these four kinds have a channel
    named = f"{fragment.name}\0" if fragment.name else ""
    whole = (named + fragment.arguments)[chars:]
    return chunk._replace(tool_call=fragment._replace(name="", arguments=whole))
