"""The formats that a relay can write, by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, Union

from streamsafe.errors import ConfigurationError
from streamsafe.web.fault import Fault
from streamsafe.web.formats.base import Format, Opening
from streamsafe.web.formats.events import Events
from streamsafe.web.formats.lines import Lines
from streamsafe.web.formats.openai import OpenAIChunks
from streamsafe.web.formats.text import Text
from streamsafe.web.formats.vercel import VercelParts

__all__ = ["FORMATS", "Fault", "Format", "Opening", "made"]

FORMATS: Mapping[str, Callable[[], Format]] = {
    "streamsafe": Events,
    "openai": OpenAIChunks,
    "text": Text,
    "ndjson": Lines,
    "vercel": VercelParts,
}


def made(format: Union[str, Callable[[], Format]]) -> Format:
    """A new format of that name, or by a class of the program's own."""
    if callable(format):
        return format()
    if format not in FORMATS:
        raise ConfigurationError(f"format={format!r}: expected one of {', '.join(FORMATS)}")
    return FORMATS[format]()
