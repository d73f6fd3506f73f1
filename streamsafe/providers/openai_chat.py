"""OpenAI Chat Completions, and all who speak like it: how to ask.

Here lives the request of ``/chat/completions``; how the compatible servers differ is data in
``presets``, and what the chunks mean is told in ``chat_events``. Messages are in this API's form
already: they are checked, and what other APIs added to their answers is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.models import Call
from streamsafe.providers import parts
from streamsafe.providers.base import Decoder
from streamsafe.providers.chat_events import ChatDecoder
from streamsafe.providers.service import Service

#: What other APIs' answers have beside the message, for their own next turn.
_OTHERS = frozenset({"parts", "items", "thinking", "tool_plan", "images"})

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

#: Parts of other APIs.
_FOREIGN = frozenset({
    "tool_use", "tool_result", "redacted_thinking", "input_text", "output_text", "input_image",
    "input_file",
})  # fmt: skip

#: What a part of nothing but text has.
_TEXT = {"type", "text"}


class OpenAIChat(Service):
    """The provider of one preset of the family."""

    def asked(self, call: Call) -> dict[str, Any]:
        """Messages and parameters, and the preset's stream options behind the caller's."""
        body = {**self.said(call), **self.preset.renamed(call.model, call.parameters)}
        options = body.pop("stream_options", {})
        if options is not None:
            options = {**self.preset.stream_options, **options}
        if options:
            body["stream_options"] = options
        return body

    def decoder(self, call: Call) -> Decoder:
        """A decoder that waits for as many choices as were asked for."""
        return ChatDecoder(self.choices(call), self.preset.reasoning)

    def choices(self, call: Call) -> int:
        """How many choices are asked for."""
        asked = {**(call.body or {}), **call.parameters}.get("n")
        return asked if isinstance(asked, int) else 1

    def said(self, call: Call) -> dict[str, Any]:
        """What the messages are in the body."""
        return {"messages": [_message(said, place) for place, said in enumerate(call.messages)]}


def _message(message: Mapping[str, Any], place: int) -> dict[str, Any]:
    """The message as it goes; ConfigurationError for one of another API."""
    role = message.get("role")
    if role not in _ROLES:
        raise parts.wrong(place, f"role {role!r} is none of Chat Completions'")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise parts.wrong(place, "a tool message wants the tool_call_id that it answers")
    made = {name: value for name, value in message.items() if name not in _OTHERS}
    content = message.get("content")
    if not isinstance(content, str) and content:
        made["content"] = [_part(part, place) for part in parts.parts_of(content)]
        if role == "assistant" and all(part.keys() == _TEXT for part in made["content"]):
            # Of Anthropic's, in blocks; servers such as DeepSeek want a str of an assistant.
            made["content"] = "".join(part["text"] for part in made["content"])
    return made


def _part(part: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    kind = part.get("type")
    # Mistral and vLLM have thoughts among the parts as well; these are Anthropic's.
    thought = kind == "thinking" and isinstance(part.get("thinking"), str) and "signature" in part
    if kind is None or kind in _FOREIGN or thought or (kind == "image" and "source" in part):
        raise parts.foreign(part, place, "text, image_url and the like")
    return parts.image(part, place) if kind == "image_url" else part
