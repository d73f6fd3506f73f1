"""Completions: ``client.completions``, the legacy API, as in the OpenAI SDK."""

from __future__ import annotations

from typing import Any, Literal, Optional, Union, cast, overload

from streamsafe.compat.answer import Answer
from streamsafe.compat.client import Client
from streamsafe.compat.openai.builder import CompletionsBuilder
from streamsafe.compat.openai.coverage import Covered
from streamsafe.compat.openai.types import Completion
from streamsafe.compat.openai.weave import CompletionsWeave


class Completions(Covered):
    """The resource."""

    PATH = "client.completions"

    def __init__(self, client: Client) -> None:
        self._client = client

    @overload
    def create(
        self, *, model: str, prompt: Any, stream: Literal[True], **body: Any
    ) -> Answer[Completion]: ...

    @overload
    def create(
        self, *, model: str, prompt: Any, stream: Optional[Literal[False]] = None, **body: Any
    ) -> Completion: ...

    def create(
        self, *, model: str, prompt: Any, stream: Optional[bool] = None, **body: Any
    ) -> Union[Answer[Completion], Completion]:
        """Ask for a text that goes on from the prompt; see ``client.chat.completions.create``."""
        asked = {"model": model, "prompt": prompt, **body}
        if stream:
            return self._client.ask("completions", asked, CompletionsWeave())
        asked = {"stream_options": {"include_usage": True}, **asked}
        fresh = (CompletionsWeave, CompletionsBuilder)
        return cast(Completion, self._client.ask_whole("completions", asked, *fresh))
