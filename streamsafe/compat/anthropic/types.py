"""The objects of the Anthropic API, by the names that the SDK has for them.

Here lives which fields each is known to have, so that one which was not sent is None. What the
server sends besides is there as well.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Union

from streamsafe.compat.record import Record


class Usage(Record):
    """Tokens of a message."""

    cache_creation: Optional[Any]
    cache_creation_input_tokens: Optional[int]
    cache_read_input_tokens: Optional[int]
    input_tokens: int
    output_tokens: int
    server_tool_use: Optional[Any]
    service_tier: Optional[str]


class TextBlock(Record):
    """Text."""

    citations: Optional[list[Any]]
    text: str
    type: str


class ThinkingBlock(Record):
    """What the model thought; its signature must go back with it."""

    signature: str
    thinking: str
    type: str


class RedactedThinkingBlock(Record):
    """The same, not to be read."""

    data: str
    type: str


class ToolUseBlock(Record):
    """A call of one of the program's tools, or of the server's own."""

    SHAPES = {"input": dict}

    id: str
    input: Any
    name: str
    type: str


_BLOCKS = {
    "text": TextBlock,
    "thinking": ThinkingBlock,
    "redacted_thinking": RedactedThinkingBlock,
    "tool_use": ToolUseBlock,
    "server_tool_use": ToolUseBlock,
}

ContentBlock = Union[TextBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock, Record]


class Message(Record):
    """An answer; its ``content`` can be sent back as it is."""

    SHAPES = {"content": _BLOCKS, "usage": Usage}

    id: str
    container: Optional[Any]
    content: list[Any]
    model: str
    role: str
    stop_details: Optional[Any]
    stop_reason: Optional[str]
    stop_sequence: Optional[str]
    type: str
    usage: Usage


class MessageDelta(Record):
    """What a message ended with, or a piece of a block; ``type`` tells a block's."""

    container: Optional[Any]
    stop_details: Optional[Any]
    stop_reason: Optional[str]
    stop_sequence: Optional[str]


class MessageStreamEvent(Record):
    """An event of a message; ``type`` says what else it has."""

    SHAPES = {
        "message": Message, "delta": MessageDelta, "content_block": _BLOCKS, "usage": Usage
    }  # fmt: skip

    type: str


class Snapshot(MessageStreamEvent):
    """An event that the SDK adds, with all that its block holds by now under ``snapshot``.

    That is put together when it is asked for: for each token of a long answer it would be dear.
    """

    _so_far: Callable[[], Any]

    def __missing__(self, name: str) -> Any:
        if name != "snapshot":
            raise KeyError(name)
        self[name] = self._so_far()
        return self[name]


def snapshot(payload: dict[str, Any], so_far: Callable[[], Any]) -> Snapshot:
    """Such an event; ``so_far`` gives what the block held when it came."""
    made = Snapshot(payload)
    made._so_far = so_far
    return made
