"""Body: a request's JSON value to the bytes that are sent."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.errors import ConfigurationError


def encode(value: Any) -> bytes:
    """``value`` as compact JSON in UTF-8; a lone surrogate, which UTF-8 lacks, as its escape.

    Raises ConfigurationError that names the place of what JSON cannot say.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(_reason(value, error)) from error
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _reason(value: Any, error: Exception) -> str:
    # json says "Circular reference detected" or runs out of stack: no place to look for.
    if isinstance(error, RecursionError) or "Circular" in str(error):
        return "the request's body contains itself, or is nested too deep for JSON"
    return _wrong(value, "") or f"the request's body is no JSON: {error}"


def _wrong(value: Any, path: str) -> Optional[str]:
    """What is wrong with the first part of ``value`` that JSON cannot say, and where it is."""
    if value is None or isinstance(value, (str, int)):
        return None
    if isinstance(value, float):
        if math.isfinite(value):
            return None
        return f"the request's body has {value} at {path or 'its top'}: JSON has no such number"
    if isinstance(value, dict):
        for name, item in value.items():
            if name is not None and not isinstance(name, (str, int, float)):
                kind = type(name).__name__
                return f"the request's body has a key of type {kind} at {path or 'its top'}"
            found = _wrong(item, f"{path}.{name}" if path else str(name))
            if found:
                return found
        return None
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            found = _wrong(item, f"{path}[{index}]")
            if found:
                return found
        return None
    kind = type(value).__name__
    hint = "; make it a dict" if isinstance(value, Mapping) else ""
    return f"the request's body has a {kind} at {path or 'its top'}: expected JSON values{hint}"
