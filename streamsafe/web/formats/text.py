"""The format "text": the text of the answer and nothing else.

Plain text has no place for a heartbeat and none for an error: a browser that has gone is noticed
at the next piece, and an answer that breaks off is cut without the end that HTTP asks for,
so that the reader's own library raises instead of taking a part for the whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from streamsafe.models import Chunk, Completion
from streamsafe.web.fault import Fault
from streamsafe.web.formats.base import Opening


class Text:
    """Plain text of the first choice, a refusal's included."""

    media_type = "text/plain; charset=utf-8"
    #: Browsers hold back the first kilobyte of a text whose type they may still guess.
    headers: Mapping[str, str] = {"X-Content-Type-Options": "nosniff"}
    heartbeat = b""
    takes_back = False
    keeps_state = False

    def __init__(self) -> None:
        self._half = ""  # of a surrogate pair that was cut in two

    def start(self, opening: Opening) -> bytes:
        """Nothing."""
        return b""

    def chunk(self, number: int, chunk: Chunk) -> bytes:
        """The text."""
        text = "" if chunk.index else self._half + (chunk.text or chunk.refusal)
        self._half = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()

    def end(self, number: int, completion: Completion) -> bytes:
        """Nothing: that HTTP calls the body whole says it."""
        return b""

    def failed(self, number: int, fault: Fault) -> None:
        """Cannot be said."""
        return None
