"""OpenAI legacy Completions: a prompt as text, an answer that goes on from it.

Here lives what differs from chat: the request, and that a continuation is exact, since the prompt
and the partial text are one text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamsafe.errors import ConfigurationError
from streamsafe.models import Call, Completion
from streamsafe.providers import parts
from streamsafe.providers.openai_chat import OpenAIChat
from streamsafe.providers.service import behind_prompt, extended


class OpenAICompletions(OpenAIChat):
    """POST …/completions. Messages become the prompt: their texts, blank lines between."""

    def body(self, call: Call) -> dict[str, Any]:
        """The body, its prompt with the partial text behind it where there is one."""
        return extended(super().body(call), call)

    def choices(self, call: Call) -> int:
        """As many as prompts and ``n`` make."""
        return _prompts({**(call.body or {}), **call.parameters}) * super().choices(call)

    def prefilled(self, call: Call, text: str, partial: Completion) -> Call:
        """The same prompt with the partial text behind it."""
        if self.body(call).get("echo"):
            raise ConfigurationError("an answer with echo=True, prompt first, can't be continued")
        return behind_prompt(self, call, text)

    def said(self, call: Call) -> dict[str, Any]:
        """The prompt: a parameter of that name, or the messages' texts."""
        if "prompt" in call.parameters:
            return {}
        texts = [parts.text_of(message, place) for place, message in enumerate(call.messages)]
        return {"prompt": "\n\n".join(texts)}


def _prompts(asked: Mapping[str, Any]) -> int:
    """How many there are: one may be a list, too, of token numbers."""
    prompt = asked.get("prompt")
    if not isinstance(prompt, (list, tuple)) or all(isinstance(one, int) for one in prompt):
        return 1
    return len(prompt)
