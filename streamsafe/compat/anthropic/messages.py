"""Messages: ``client.messages``, as in the Anthropic SDK."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Optional, Union, cast, overload

from streamsafe.compat.answer import Answer
from streamsafe.compat.anthropic.builder import MessageBuilder
from streamsafe.compat.anthropic.coverage import Covered
from streamsafe.compat.anthropic.messagestream import MessageStreamManager
from streamsafe.compat.anthropic.types import Message, MessageStreamEvent
from streamsafe.compat.anthropic.weave import MessageWeave
from streamsafe.compat.client import Client
from streamsafe.compat.missing import not_covered


class Messages(Covered):
    """The resource."""

    PATH = "client.messages"

    def __init__(self, client: Client) -> None:
        self._client = client

    @overload
    def create(
        self,
        *,
        max_tokens: int,
        messages: Iterable[Any],
        model: str,
        stream: Literal[True],
        **body: Any,
    ) -> Answer[MessageStreamEvent]: ...

    @overload
    def create(
        self,
        *,
        max_tokens: int,
        messages: Iterable[Any],
        model: str,
        stream: Optional[Literal[False]] = None,
        **body: Any,
    ) -> Message: ...

    def create(
        self,
        *,
        max_tokens: int,
        messages: Iterable[Any],
        model: str,
        stream: Optional[bool] = None,
        **body: Any,
    ) -> Union[Answer[MessageStreamEvent], Message]:
        """Ask for a message: its events as a stream, or in one piece.

        ``body`` goes into the request as it is; ``extra_headers``, ``extra_query``, ``extra_body``
        and ``timeout`` are as in the SDK. One in one piece is streamed behind the scenes, and may
        be as long as it will. Raises the errors of ``streamsafe.compat.anthropic``.
        """
        asked = {"max_tokens": max_tokens, "messages": messages, "model": model, **body}
        if stream:
            return self._client.ask("messages", asked, MessageWeave())
        whole = self._client.ask_whole("messages", asked, MessageWeave, MessageBuilder)
        return cast(Message, whole)

    def stream(
        self, *, max_tokens: int, messages: Iterable[Any], model: str, **body: Any
    ) -> MessageStreamManager:
        """A message that is put together while it is read; the request is made by ``with``."""
        if "output_format" in body:
            not_covered("client.messages.stream(output_format=...)", self.SDK, self.COVERED)
        asked = {"max_tokens": max_tokens, "messages": messages, "model": model, **body}
        return MessageStreamManager(lambda: self._client.ask("messages", asked, MessageWeave()))
