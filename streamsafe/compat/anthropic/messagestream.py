"""MessageStream: what ``messages.stream(...)`` gives, as in the Anthropic SDK.

Beside the API's own events the SDK gives some of its own: ``text``, ``input_json``, ``thinking``,
``citation`` and ``signature``, each with all that its block holds by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional

from streamsafe.compat.answer import Answer
from streamsafe.compat.anthropic.builder import MessageBuilder
from streamsafe.compat.anthropic.types import Message, MessageStreamEvent, snapshot
from streamsafe.compat.exchange import Response
from streamsafe.providers.payloads import mapping
from streamsafe.stream import Stream

#: The SDK's event for a delta: its type, its field, and where the block keeps it.
_ADDED = {
    "text_delta": ("text", "text", "text"),
    "thinking_delta": ("thinking", "thinking", "thinking"),
    "input_json_delta": ("input_json", "partial_json", "input"),
    "citations_delta": ("citation", "citation", "citations"),
}


class MessageStream:
    """An iterator of events that puts the message together meanwhile. One thread reads."""

    def __init__(self, answer: Answer[MessageStreamEvent]) -> None:
        self._answer = answer
        self._builder = MessageBuilder()
        self._events = _events(answer, self._builder)
        #: The pieces of the text alone.
        self.text_stream: Iterator[str] = _texts(self._events)

    def __iter__(self) -> Iterator[MessageStreamEvent]:
        return self._events

    def __next__(self) -> MessageStreamEvent:
        return next(self._events)

    def __enter__(self) -> MessageStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the message and close its connection; harmless when it has ended."""
        self._answer.close()

    def until_done(self) -> None:
        """Read to the end."""
        for _ in self._events:
            pass

    def get_final_message(self) -> Message:
        """Read to the end; the message."""
        self.until_done()
        return self.current_message_snapshot

    def get_final_text(self) -> str:
        """Read to the end; the texts of the message, joined. RuntimeError where there is none."""
        message = self.get_final_message()
        texts = [block.text for block in message.content if block.type == "text"]
        if not texts:
            kinds = ", ".join(block.type for block in message.content) or "nothing"
            raise RuntimeError(
                f"get_final_text(): the message has no text, it has {kinds}; see "
                "get_final_message().content"
            )
        return "".join(texts)

    @property
    def current_message_snapshot(self) -> Message:
        """The message as far as it came."""
        return self._builder.value()

    @property
    def response(self) -> Optional[Response]:
        """Status and headers of the last response."""
        return self._answer.response

    @property
    def request_id(self) -> Optional[str]:
        """The id to quote to the vendor's support."""
        return self.response.request_id if self.response is not None else None

    @property
    def stream(self) -> Stream:
        """The stream underneath: ``completion``, ``attempts``, ``cancel`` from any thread."""
        return self._answer.stream


class MessageStreamManager:
    """What is entered to make the request."""

    def __init__(self, ask: Callable[[], Answer[MessageStreamEvent]]) -> None:
        self._ask = ask
        self._stream: Optional[MessageStream] = None

    def __enter__(self) -> MessageStream:
        self._stream = MessageStream(self._ask())
        return self._stream

    def __exit__(self, *exc: object) -> None:
        if self._stream is not None:
            self._stream.close()


def _events(
    answer: Answer[MessageStreamEvent], builder: MessageBuilder
) -> Iterator[MessageStreamEvent]:
    for event in answer:
        builder.add(event)
        if event.type == "message_stop":
            event["message"] = builder.value()
        elif event.type == "content_block_stop":
            block = {"content_block": builder.blocks[event.index].value()}
            event = MessageStreamEvent(event, **block)
        yield event
        if event.type == "content_block_delta":
            yield from _added(event, builder)


def _added(event: Mapping[str, Any], builder: MessageBuilder) -> Iterator[MessageStreamEvent]:
    delta, block = mapping(event.get("delta")), builder.blocks[event["index"]]
    kind = str(delta.get("type"))
    if kind == "signature_delta":
        yield MessageStreamEvent({"type": "signature", "signature": block.value()["signature"]})
    elif kind in _ADDED:
        type, name, kept = _ADDED[kind]
        yield snapshot({"type": type, name: delta.get(name)}, block.now(kept))


def _texts(events: Iterator[MessageStreamEvent]) -> Iterator[str]:
    for event in events:
        delta = mapping(event.get("delta")) if event.type == "content_block_delta" else {}
        if delta.get("type") == "text_delta" and isinstance(delta.get("text"), str):
            yield delta["text"]
