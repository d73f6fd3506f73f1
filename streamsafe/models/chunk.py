"""Chunk: one piece of the answer as it is handed to the program.

Chunks are tuples underneath because a stream makes one for every token: a
NamedTuple is immutable and cheap. Providers make them; nobody changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.models.usage import Usage

#: The kinds that the answer is made of. Only these count as progress: they stop the
#: ``first_token`` and ``stall`` clocks and reset the count of failed attempts.
CONTENT_KINDS = frozenset({"text", "reasoning", "refusal", "tool_call", "citation"})


class ToolCallFragment(NamedTuple):
    """A piece of one tool call.

    ``index`` is unique and stable within a choice, whatever the server numbered; ``id``
    and ``name`` stand on the first fragment (later ones have ""); ``arguments`` is the
    next piece of the JSON text, to be concatenated.
    """

    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody wants here
    id: str = ""
    name: str = ""
    arguments: str = ""


class Chunk(NamedTuple):
    """One piece of the answer.

    ``kind`` is one of "text", "reasoning", "refusal", "tool_call", "citation", "usage",
    "finish", "restart", "other". ``text`` is "" unless the kind is "text"; likewise
    ``reasoning`` and ``refusal``. ``index`` is the choice (0 unless n > 1). ``raw`` is the
    decoded JSON payload that the chunk came from; chunks out of one payload share it.
    A "restart" chunk says that all earlier chunks are void: the answer begins anew.
    "other" carries a payload with nothing of the above in it (a role, log
    probabilities alone, an event of a kind not known here).
    """

    kind: str
    text: str = ""
    reasoning: str = ""
    tool_call: Optional[ToolCallFragment] = None
    usage: Optional[Usage] = None
    finish_reason: Optional[str] = None
    index: int = 0  # type: ignore[assignment]  # shadows tuple.index
    raw: Any = None
    refusal: str = ""
    citation: Optional[Mapping[str, Any]] = None
    raw_finish_reason: Optional[str] = None
