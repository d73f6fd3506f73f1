r"""Halves: characters whose two surrogates came in two events.

Here lives the joining of what servers cut in two: JSON escapes such as "\ud83d" and "\ude00" in the
texts of two events are one character, and neither can be printed or sent by itself. A half that
never finds its other one stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamsafe.models import Chunk


def is_whole(text: str) -> bool:
    """Whether a text that is not empty needs nothing of its neighbours."""
    return not ("\udc00" <= text[0] <= "\udfff" or "\ud800" <= text[-1] <= "\udbff")


def united(text: str) -> str:
    """The text with pairs of surrogates as the characters that they are."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


class Halves:
    """Holds the first half of a character back until what comes next is known.

    ``kept`` is what is held, by what it belongs to: while there is some, all chunks must pass
    through ``mend``.
    """

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: dict[Any, tuple[Chunk, str]] = {}

    def wanted(self, chunks: Sequence[Chunk]) -> bool:
        """Whether these chunks need ``mend``."""
        if self.kept:
            return True
        for chunk in chunks:
            _, text = _said(chunk)
            if text and not text.isascii() and not is_whole(text):
                return True
        return False

    def mend(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """The chunks with whole characters; those that would be empty are "other"."""
        made: list[Chunk] = []
        for chunk in chunks:
            if chunk.kind == "finish":
                made += self.rest()
            key, piece = _said(chunk)
            if key is None:
                made.append(chunk)
                continue
            kept = self.kept.pop(key, None)
            text = united(kept[1] + piece if kept else piece)
            if text and "\ud800" <= text[-1] <= "\udbff":
                self.kept[key] = chunk, text[-1]
                text = text[:-1]
            made.append(_with(chunk, text))
        return made

    def rest(self) -> list[Chunk]:
        """What is still held, as it is."""
        made = [_with(chunk, half) for chunk, half in self.kept.values()]
        self.kept.clear()
        return made


def _said(chunk: Chunk) -> tuple[Any, str]:
    """What a chunk belongs to and what it adds to that; (None, "") for one that adds no text."""
    if chunk.tool_call is not None:
        return (chunk.kind, chunk.index, chunk.tool_call.index), chunk.tool_call.arguments
    if chunk.kind in ("text", "reasoning", "refusal"):
        return (chunk.kind, chunk.index), chunk.text or chunk.reasoning or chunk.refusal
    return None, ""


def _with(chunk: Chunk, text: str) -> Chunk:
    if chunk.tool_call is not None:
        return chunk._replace(tool_call=chunk.tool_call._replace(arguments=text))
    if not text:
        return Chunk("other", index=chunk.index, raw=chunk.raw)
    if chunk.kind == "text":
        return chunk._replace(text=text)
    if chunk.kind == "reasoning":
        return chunk._replace(reasoning=text)
    return chunk._replace(refusal=text)
