"""Limits: the bounds on what a stream may take, each with its setting."""

from __future__ import annotations

from typing import Optional

from streamsafe.errors import ConfigurationError
from streamsafe.models import Frozen


class Limits(Frozen):
    """Bounds that end in ``LimitExceededError`` when they are met.

    ``max_event_bytes`` and ``max_event_lines`` bound one event on the wire (a base64 image in
    one event is a few MiB; 10,000 lines because the field parser is quadratic in them);
    ``max_text_chars`` the text of the answer (None = no limit); ``max_queue`` the chunks that a
    background reader keeps ahead (it then waits: backpressure, no error);
    ``max_header_bytes`` the response's headers; ``max_error_body`` how much of an error's
    body is read and kept. Raises ConfigurationError for a value that is no positive int.
    """

    __slots__ = (
        "max_event_bytes", "max_event_lines", "max_text_chars", "max_queue",
        "max_header_bytes", "max_error_body",
    )  # fmt: skip

    max_event_bytes: int
    max_event_lines: int
    max_text_chars: Optional[int]
    max_queue: int
    max_header_bytes: int
    max_error_body: int

    def __init__(
        self,
        max_event_bytes: int = 16 * 1024 * 1024,
        max_event_lines: int = 10_000,
        max_text_chars: Optional[int] = None,
        max_queue: int = 1024,
        max_header_bytes: int = 64 * 1024,
        max_error_body: int = 64 * 1024,
    ) -> None:
        given = {
            "max_event_bytes": max_event_bytes,
            "max_event_lines": max_event_lines,
            "max_text_chars": max_text_chars,
            "max_queue": max_queue,
            "max_header_bytes": max_header_bytes,
            "max_error_body": max_error_body,
        }
        for name, value in given.items():
            if name == "max_text_chars" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"Limits({name}={value!r}): expected an int of at least 1")
        self._set(**given)
