"""Chat: ``client.chat.completions``, as in the OpenAI SDK."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Optional, Union, cast, overload

from streamsafe.compat.answer import Answer
from streamsafe.compat.client import Client
from streamsafe.compat.openai.builder import ChatBuilder
from streamsafe.compat.openai.coverage import Covered
from streamsafe.compat.openai.types import ChatCompletion, ChatCompletionChunk
from streamsafe.compat.openai.weave import ChatWeave


class ChatCompletions(Covered):
    """The resource."""

    PATH = "client.chat.completions"

    def __init__(self, client: Client) -> None:
        self._client = client

    @overload
    def create(
        self, *, messages: Iterable[Any], model: str, stream: Literal[True], **body: Any
    ) -> Answer[ChatCompletionChunk]: ...

    @overload
    def create(
        self,
        *,
        messages: Iterable[Any],
        model: str,
        stream: Optional[Literal[False]] = None,
        **body: Any,
    ) -> ChatCompletion: ...

    def create(
        self, *, messages: Iterable[Any], model: str, stream: Optional[bool] = None, **body: Any
    ) -> Union[Answer[ChatCompletionChunk], ChatCompletion]:
        """Ask for an answer: a stream of chunks, or in one piece.

        ``body`` goes into the request as it is; ``extra_headers``, ``extra_query``, ``extra_body``
        and ``timeout`` are as in the SDK. One in one piece is streamed behind the scenes.
        Raises the errors of ``streamsafe.compat.openai``.
        """
        asked = {"messages": messages, "model": model, **body}
        if stream:
            return self._client.ask("chat", asked, ChatWeave())
        asked = {"stream_options": {"include_usage": True}, **asked}
        return cast(ChatCompletion, self._client.ask_whole("chat", asked, ChatWeave, ChatBuilder))


class Chat(Covered):
    """``client.chat``."""

    PATH = "client.chat"

    def __init__(self, client: Client) -> None:
        self.completions = ChatCompletions(client)
