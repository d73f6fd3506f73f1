"""Answers: the file that the results of a batch go to, one JSON object a line.

Here lives the form of a line, and the way in which a file comes to its name: it is called
``path.part`` until its last line is written.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO, Optional

from streamsafe.batch.result import Result
from streamsafe.errors import APIError, StorageError
from streamsafe.models import Completion


def as_fields(result: Result) -> dict[str, Any]:
    """What a line holds. With an ``error`` stands what had come of the answer, if anything had."""
    fields: dict[str, Any] = {"index": result.index, "id": result.id}
    if result.completion is not None:
        fields.update(_answer(result.completion))
    if result.error is not None:
        fields["error"] = _error(result.error)
    if result.stream_id:
        fields["stream_id"] = result.stream_id
    return fields


def _answer(completion: Completion) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "text": completion.text,
        "outcome": completion.outcome.value,
        "finish_reason": completion.finish_reason,
        "model": completion.model,
    }
    if completion.reasoning:
        fields["reasoning"] = completion.reasoning
    if completion.refusal:
        fields["refusal"] = completion.refusal
    if completion.tool_calls:
        fields["tool_calls"] = [call._asdict() for call in completion.tool_calls]
    if completion.usage is not None:
        fields["usage"] = {
            name: value for name, value in completion.usage._asdict().items() if name != "raw"
        }
    fields["attempts"] = len(completion.attempts)
    return fields


def _error(error: Exception) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, APIError):
        fields.update(status=error.status, code=error.code)
    return fields


class AnswerFile:
    """The results in JSON lines; "-" is standard output. Used by one thread.

    Raises StorageError where the disk does not take them.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: Optional[BinaryIO] = None

    def write(self, result: Result) -> None:
        """Write a line, and have the system take it."""
        line = json.dumps(as_fields(result), ensure_ascii=False) + "\n"
        # Half a surrogate pair, which servers do send, becomes the escape that JSON has for it.
        data = line.encode("utf-8", "backslashreplace")
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError:  # the reader of our output has gone
            raise
        except OSError as error:
            raise self._failed(error) from error

    def finish(self) -> None:
        """All results are written: to the disk, and under the file's own name."""
        if self._path == "-":
            return
        try:
            if self._file is None:
                self._file = self._open()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self.part, self._path)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Leave what is there as it is; harmless after ``finish``."""
        if self._file is not None and self._path != "-":
            self._file.close()

    @property
    def part(self) -> str:
        """The file's name until it is whole."""
        return f"{self._path}.part"

    def _open(self) -> BinaryIO:
        return sys.stdout.buffer if self._path == "-" else open(self.part, "wb")

    def _failed(self, error: OSError) -> StorageError:
        return StorageError(f"the answers can't be written to {self.part}: {error.strerror}")
