"""Responses: ``client.responses``, as in the OpenAI SDK."""

from __future__ import annotations

from typing import Any, Literal, Optional, Union, cast, overload

from streamsafe.compat.answer import Answer
from streamsafe.compat.client import Client
from streamsafe.compat.missing import not_covered
from streamsafe.compat.openai.builder import ResponsesBuilder
from streamsafe.compat.openai.coverage import Covered
from streamsafe.compat.openai.types import Response, ResponseStreamEvent
from streamsafe.compat.openai.weave import ResponsesWeave


class Responses(Covered):
    """The resource."""

    PATH = "client.responses"

    def __init__(self, client: Client) -> None:
        self._client = client

    @overload
    def create(self, *, stream: Literal[True], **body: Any) -> Answer[ResponseStreamEvent]: ...

    @overload
    def create(self, *, stream: Optional[Literal[False]] = None, **body: Any) -> Response: ...

    def create(
        self, *, stream: Optional[bool] = None, **body: Any
    ) -> Union[Answer[ResponseStreamEvent], Response]:
        """Ask for a response; see ``client.chat.completions.create``.

        With ``background=True`` a stream that breaks is taken up where it broke, without another
        generation. A response that failed is raised, where the SDK gives its event.
        """
        if stream:
            return self._client.ask("responses", body, ResponsesWeave())
        if body.get("background"):
            not_covered(
                "client.responses.create(background=True) without stream=True",
                self.SDK,
                self.COVERED,
            )
        fresh = (ResponsesWeave, ResponsesBuilder)
        return cast(Response, self._client.ask_whole("responses", body, *fresh))
