"""Parts: what the answers of all APIs are made of: tokens, tool calls, events.

Here lives what does not depend on an API.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Union

Calls = Sequence[tuple[str, Union[str, Mapping[str, Any]]]]
Error = Union[str, Mapping[str, Any], None]

#: The prompt's tokens where a count is wanted and none was given.
INPUT = 12


def tokens(text: str) -> list[str]:
    """The text cut before its words, as models like to; joined again it is the text."""
    return re.findall(r"\s*\S+|\s+$", text)


def calls(tool_calls: Calls) -> Iterator[tuple[str, str]]:
    """Names and arguments, the arguments as JSON text."""
    for name, arguments in tool_calls:
        text = arguments if isinstance(arguments, str) else encoded(arguments).decode()
        yield name, text


def fragments(arguments: str) -> list[str]:
    """The pieces in which a model's arguments come."""
    # In pieces of 7 characters: the cuts fall inside names and escapes, as with real models.
    return [arguments[start : start + 7] for start in range(0, len(arguments), 7)]


def error_object(error: Union[str, Mapping[str, Any]], **fields: Any) -> dict[str, Any]:
    """A message with the API's fields round it; a whole object is taken as it is."""
    return {"message": error, **fields} if isinstance(error, str) else dict(error)


def named(payloads: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Events that are named by their payload's type."""
    return [b"event: %b\n%b" % (payload["type"].encode(), data(payload)) for payload in payloads]


def data(payload: Mapping[str, Any], end: str = "\n") -> bytes:
    """One event of a payload."""
    return b"data: %b%b" % (encoded(payload), (end * 2).encode())


def encoded(payload: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def only_text(answer: str, **given: object) -> None:
    """Raises ValueError if anything is given that this API's answers have no place for."""
    for name, value in given.items():
        if value:
            raise ValueError(f"{answer}({name}=...): this API's answers have none")


#: The words of ``prose``: with umlauts and wide characters, so that cuts fall inside of them.
_WORDS = (
    "the river answers slowly and the bridge forgets nothing über Straßen naïve 数据 stays "
    "whole 🌊 while every small word that was sent arrives once"
).split()


def prose(characters: int, seed: int = 0) -> str:
    """So many characters of words that mean nothing, the same for the same ``seed``.

    For answers that are large. Every seventh word is numbered, so that what is lost, doubled or
    out of place can be told. Raises ValueError for a negative number.
    """
    if characters < 0:
        raise ValueError(f"prose({characters}): expected a number of characters, 0 or more")
    drawn = random.Random(f"prose:{seed}")
    words: list[str] = []
    length = 0
    while length <= characters:
        number = str(len(words)) if len(words) % 7 == 6 else ""
        words.append(drawn.choice(_WORDS) + number)
        length += len(words[-1]) + 1
    return " ".join(words)[:characters]
