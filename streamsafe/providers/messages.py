"""Messages: what a program may ask, brought to OpenAI-style messages and checked.

Here lives the validation that all providers share. How a message becomes an API's own is told by
each provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

from streamsafe.errors import ConfigurationError

ROLES = ("system", "developer", "user", "assistant", "tool", "function")

Prompt = Union[str, Sequence[Mapping[str, Any]], None]


def as_messages(prompt: Prompt) -> tuple[Mapping[str, Any], ...]:
    """The messages of a prompt; a str is one user message.

    Raises ConfigurationError that names the place of what is wrong.
    """
    if isinstance(prompt, str):
        if not prompt.strip():
            raise ConfigurationError("the prompt is empty: expected a text or messages")
        return ({"role": "user", "content": prompt},)
    if isinstance(prompt, Mapping):
        raise ConfigurationError("one message was given: expected a list of messages")
    if isinstance(prompt, (bytes, bytearray)) or not isinstance(prompt, Sequence):
        raise ConfigurationError(
            f"expected a prompt (str) or a list of messages, got {type(prompt).__name__}"
        )
    if not prompt:
        raise ConfigurationError("the list of messages is empty: expected at least one")
    for place, message in enumerate(prompt):
        _check(place, message)
    return tuple(dict(message) for message in prompt if not isinstance(message, str))


def _check(place: int, message: Any) -> None:
    if not isinstance(message, Mapping):
        raise ConfigurationError(
            f"messages[{place}] is {type(message).__name__}: expected a dict with role and content"
        )
    role = message.get("role")
    if role is None and "type" in message:
        return  # an item in a provider's own form
    if role not in ROLES and role != "model":
        raise ConfigurationError(
            f"messages[{place}]: role={role!r}, expected one of {', '.join(ROLES)}"
        )
    content = message.get("content")
    if content is None and not _may_be_empty(message):
        raise ConfigurationError(f"messages[{place}]: a {role} message wants content")
    if content is not None and not isinstance(content, (str, Sequence)):
        raise ConfigurationError(
            f"messages[{place}]: content is {type(content).__name__}, expected str or a list"
        )
    if isinstance(content, Sequence) and not isinstance(content, str):
        _check_parts(place, content)


def _may_be_empty(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "assistant" or "parts" in message or "tool_calls" in message


def _check_parts(place: int, parts: Sequence[Any]) -> None:
    for number, part in enumerate(parts):
        if not isinstance(part, (Mapping, str)):
            raise ConfigurationError(
                f"messages[{place}].content[{number}] is {type(part).__name__}: expected a dict "
                'such as {"type": "text", "text": "..."}'
            )
