"""Partial JSON: the value of a text that is still coming, as far as it can be told.

What is not whole yet is left out: a string without its end, a key without its value.
"""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+)', re.S)
_CLOSES = {"{": "}", "[": "]"}


def partial(text: str) -> Any:
    """The value so far; None where there is none yet. ValueError for what is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(_closed(text) or "null")


def _closed(text: str) -> str:
    """The longest beginning of the text that is JSON once its brackets are closed."""
    closers: list[str] = []
    whole, key, end = "", False, 0
    for found in _TOKEN.finditer(text):
        token = found[1]
        if found.start() != end:
            break  # a string that has no end yet
        end = found.end()
        if token in _CLOSES:
            closers.append(_CLOSES[token])
        elif token in "]}":
            if closers[-1:] != [token]:
                raise ValueError(f"{token!r} closes nothing: {text[:end]!r}")
            closers.pop()
        elif token in ",:":
            key = token == "," and closers[-1:] == ["}"]
            continue
        elif key or not _is_value(token):
            continue
        key = token == "{"
        whole = text[:end] + "".join(reversed(closers))
        if not closers:
            break
    return whole


def _is_value(token: str) -> bool:
    try:
        json.loads(token)
    except ValueError:
        return False
    return True
