"""Shape: what the first and last bytes of a body tell of how it is made, without its words.

Pure. The bytes themselves are not kept: an answer is nobody's business but the program's.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

BOM = b"\xef\xbb\xbf"

#: A body that begins with a field or a comment of an event stream.
_FIELD = re.compile(rb"(?:data|event|id|retry|):|(?:data|event)[\r\n]")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")

#: OpenAI's chat and legacy completions end in [DONE], and so do all that speak alike.
_WANTS_DONE = re.compile(
    rb'"object"\s*:\s*"(?:chat\.completion\.chunk|text_completion)"|"choices"\s*:\s*\['
)
_DONE = re.compile(rb"data: ?\[DONE\]")

_CONTINUATION = bytes(range(0x80, 0xC0))


class Shape(NamedTuple):
    """How a body is made.

    ``kind``: "sse", "json", "other", or "" of an empty one. ``bom``: it begins with a byte order
    mark. ``cr_only``: its lines end with CR alone. ``unseparated``: how many data lines, each a
    JSON object of its own, stand in a row where no blank line was found. ``done``: it ends with
    [DONE]; ``wants_done``: bodies of its kind do. ``unfinished``: bytes behind the last blank
    line. ``missing``: bytes that the last character lacks. ``not_utf8``: the first byte that is no
    UTF-8 and its place, in words. ``doubled``: how many events each come twice in a row, from the
    first on.
    """

    kind: str = ""
    bom: bool = False
    cr_only: bool = False
    unseparated: int = 0
    done: bool = False
    wants_done: bool = False
    unfinished: int = 0
    missing: int = 0
    not_utf8: Optional[str] = None
    doubled: int = 0


def shape(head: bytes, tail: bytes) -> Shape:
    """The shape of a body, from its beginning and its end."""
    if not head:
        return Shape()
    start = (head[len(BOM) :] if head.startswith(BOM) else head).lstrip()
    kind = "json" if start[:1] in (b"{", b"[") else "sse" if _FIELD.match(start) else "other"
    events = kind == "sse"
    return Shape(
        kind=kind,
        bom=head.startswith(BOM),
        cr_only=events and b"\r" in head and b"\n" not in head,
        unseparated=_unseparated(head) if events else 0,
        done=_DONE.search(tail) is not None,
        wants_done=events and _WANTS_DONE.search(head) is not None,
        unfinished=len(_BLANK_LINE.split(tail)[-1].strip()) if events else 0,
        missing=_missing(tail),
        not_utf8=_not_utf8(head, tail) if kind != "other" else None,
        doubled=_doubled(head) if events else 0,
    )


def _unseparated(head: bytes) -> int:
    if _BLANK_LINE.search(head.rstrip()):
        return 0
    values = [line[5:].strip() for line in _LINE_END.split(head) if line.startswith(b"data:")]
    return sum(value.startswith(b"{") and value.endswith(b"}") for value in values)


def _not_utf8(head: bytes, tail: bytes) -> Optional[str]:
    for part, data in (("beginning", head), ("end", tail)):
        # A piece may begin and end inside a character.
        whole = data if part == "beginning" else data.lstrip(_CONTINUATION)
        try:
            whole[:-3].decode()
        except UnicodeDecodeError as error:
            if error.end < len(whole) - 3:
                return f"0x{whole[error.start]:02x}, at the body's {part}"
    return None


def _doubled(head: bytes) -> int:
    """Pairs of equal events from the first on; 0 where one is none, or two pairs are equal."""
    first = _BLANK_LINE.split(head, 2)
    if len(first) < 3 or first[0] != first[1]:
        return 0
    events = _BLANK_LINE.split(head)[:-1]
    pairs = list(zip(events[::2], events[1::2]))
    if any(one != other for one, other in pairs):
        return 0
    return len(pairs) if all(a != b for (a, _), (b, _) in zip(pairs, pairs[1:])) else 0


def _missing(data: bytes) -> int:
    """How many bytes the UTF-8 sequence at the end lacks; 0 if it is whole."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        wanted = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return max(0, wanted - back)
    return 0
