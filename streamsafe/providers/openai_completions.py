"""OpenAI legacy Completions: a prompt as text, an answer that goes on from it.

Here lives what differs from chat: the request, and the choice's ``text``. A continuation is exact:
the prompt and the partial text are one text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.errors import ConfigurationError
from streamsafe.models import Call, Completion
from streamsafe.providers.openai_chat import OpenAIChat


class OpenAICompletions(OpenAIChat):
    """POST …/completions. Messages become the prompt: their texts, blank lines between."""

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """The same prompt with the partial text behind it."""
        if how != "prefill":
            raise ConfigurationError(f"{self.name} has no {how} to go on from")
        return call.replace(extra={**call.extra, "partial": partial.text})

    def _body(self, call: Call) -> dict[str, Any]:
        body = super()._body(call)
        body.pop("messages", None)
        prompt = body.get("prompt")
        if prompt is None:
            prompt = "\n\n".join(_text(place, said) for place, said in enumerate(call.messages))
        partial = call.extra.get("partial", "")
        if partial and not isinstance(prompt, str):
            raise ConfigurationError("only a prompt that is one text can be continued")
        body["prompt"] = f"{prompt}{partial}" if partial else prompt
        return body


def _text(place: int, message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(p, dict) and "text" in p for p in content):
        return "".join(part["text"] for part in content)
    raise ConfigurationError(f"messages[{place}]: legacy completions take text alone")
