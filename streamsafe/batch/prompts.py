"""Prompts: the files that a batch is read from.

Here lives the reading of lines. What a line's value means is told in ``item``. A line that can't
be read is given out as the ConfigurationError that says why, so that it has its place among the
results like any other.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Optional

from streamsafe.errors import ConfigurationError

#: The forms of a file, and the endings of its name that tell them.
FORMS = ("jsonl", "csv", "text")
_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".txt": "text"}


class PromptFile:
    """The prompts in a file, one a line; empty lines are none. It can be iterated again.

    ``form``: "jsonl" (a str, a list of messages or a mapping a line; see ``item.item_of``), "text"
    (the line is the prompt), "csv" (a header with "prompt" and perhaps "id"; other columns are not
    looked at), or None: as its name ends, else "jsonl". Raises ConfigurationError for a file that
    can't be opened.
    """

    def __init__(self, path: str, form: Optional[str] = None) -> None:
        self._path = path
        self._form = form or _ENDINGS.get(os.path.splitext(path)[1].lower(), "jsonl")
        if self._form not in FORMS:
            raise ConfigurationError(f"form={form!r}: expected one of {', '.join(FORMS)}")
        self._open().close()

    def __iter__(self) -> Iterator[Any]:
        with self._open() as file:
            yield from read(file, self._form)

    def __len__(self) -> int:
        if self._form == "csv":  # a prompt may be many lines there
            return sum(1 for _ in self)
        with self._open() as file:
            return sum(1 for line in file if line.strip())

    def _open(self) -> BinaryIO:
        try:
            return open(self._path, "rb")
        except OSError as error:
            raise ConfigurationError(
                f"the prompts can't be read from {self._path}: {error.strerror}"
            ) from error


def standard_input(form: Optional[str] = None) -> Iterator[Any]:
    """The prompts that come on standard input, as they come."""
    return read(sys.stdin.buffer, form or "jsonl")


def read(lines: Iterable[bytes], form: str) -> Iterator[Any]:
    """The prompts in lines of one of the ``FORMS``."""
    if form == "csv":
        return _rows(lines)
    return _lines(lines, as_json=form == "jsonl")


def _lines(lines: Iterable[bytes], as_json: bool) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith(b"\xef\xbb\xbf"):  # a mark that some editors set
            line = line[3:]
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8").rstrip("\r\n")
            yield json.loads(text) if as_json else text
        except (ValueError, RecursionError) as error:
            wanted = "JSON" if as_json else "UTF-8"
            yield ConfigurationError(f"line {number} is no {wanted}: {error}")


def _rows(lines: Iterable[bytes]) -> Iterator[Any]:
    import csv

    rows = csv.DictReader(line.decode("utf-8-sig", "replace") for line in lines)
    if "prompt" not in (rows.fieldnames or ()):
        raise ConfigurationError(
            f"the first line of the CSV file names {', '.join(rows.fieldnames or ())}: expected a "
            "column prompt, and perhaps id"
        )
    for row in rows:
        prompt = {"prompt": row["prompt"] or ""}
        yield {**prompt, "id": row["id"]} if row.get("id") else prompt
