"""Style: colours and line breaks for a terminal, plain text for anything else."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def put_utf8(text: str) -> None:
    """Print what is for programs (JSON, a page): UTF-8, whatever the terminal's encoding is."""
    data = f"{text}\n".encode("utf-8", "replace")
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        print(data.decode(), end="", flush=True)
        return
    sys.stdout.flush()
    buffer.write(data)
    buffer.flush()


class Style:
    """Paints for one stream of output.

    Colours only on a terminal that knows them (not TERM=dumb), and not where NO_COLOR is set
    (https://no-color.org); symbols in ASCII where the output's encoding has no others.
    """

    def __init__(self, out: TextIO) -> None:
        able = out.isatty() and os.environ.get("TERM") != "dumb"
        self._colours = able and not os.environ.get("NO_COLOR")
        self._unicode = "utf" in (getattr(out, "encoding", None) or "").lower()
        self.width = max(40, min(100, shutil.get_terminal_size((80, 24)).columns))

    def paint(self, text: str, *names: str) -> str:
        """The text in these colours: bold, dim, red, green, yellow, cyan."""
        if not self._colours:
            return text
        codes = ";".join(_CODES[name] for name in names)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def symbol(self, wanted: str, plain: str) -> str:
        """``wanted`` if the output can show it, else ``plain``."""
        return wanted if self._unicode else plain


class Margin:
    """Writes flowing text behind a margin, broken at words; ``line`` stands on its own."""

    def __init__(self, out: TextIO, margin: str, width: int) -> None:
        self._out, self._margin, self._width = out, margin, width
        self._column = 0
        self._space = ""

    def flow(self, text: str) -> None:
        """Go on with the text, where it was left or on a new line of the margin."""
        for piece in re.findall(r"\s+|\S+", text):
            if not piece.isspace():
                self._word(piece)
            elif "\n" in piece:
                self._break()
            else:
                self._space = " "
        self._out.flush()

    def line(self, text: str) -> None:
        """One line by itself, without the margin."""
        self._break()
        self._out.write(text + "\n")
        self._out.flush()

    def _word(self, word: str) -> None:
        if self._column and self._column + len(self._space) + len(word) > self._width:
            self._break()
        start = self._space if self._column else self._margin
        self._out.write(start + word)
        self._column += len(word) + (len(self._space) if self._column else 0)
        self._space = ""

    def _break(self) -> None:
        if self._column:
            self._out.write("\n")
        self._column, self._space = 0, ""
