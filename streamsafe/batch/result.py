"""Result: what became of one prompt of many."""

from __future__ import annotations

from typing import Any, Optional

from streamsafe.models import Completion, Frozen


class Result(Frozen):
    """The answer to one prompt, or why there is none.

    ``index`` counts the prompts from 0; ``id`` is the prompt's own, or its index as a str;
    ``prompt`` is what was given. ``completion`` is the answer with its verdict, or where ``error``
    is set what had come of it (None where nothing was asked). ``reused``: it stood in the
    journal, and nobody was asked. ``stream_id`` is its name there.
    """

    __slots__ = ("index", "id", "prompt", "completion", "error", "stream_id", "reused")

    index: int
    id: str
    prompt: Any
    completion: Optional[Completion]
    error: Optional[Exception]
    stream_id: str
    reused: bool

    def __init__(
        self,
        index: int,
        id: str,
        prompt: Any,
        completion: Optional[Completion] = None,
        error: Optional[Exception] = None,
        stream_id: str = "",
        reused: bool = False,
    ) -> None:
        self._set(
            index=index, id=id, prompt=prompt, completion=completion, error=error,
            stream_id=stream_id, reused=reused,
        )  # fmt: skip

    @property
    def ok(self) -> bool:
        """True if there is an answer; also one that was cut by length or filtered."""
        return self.error is None

    def value(self) -> Completion:
        """The answer; raises the error where there is none."""
        if self.error is not None:
            raise self.error
        assert self.completion is not None  # one of the two is there
        return self.completion
