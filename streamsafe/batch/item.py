"""Item: one prompt of many, in any of the forms in which programs and files give one.

Here lives the reading of a form into the arguments of ``session.stream``. Whether messages are
right is told there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from streamsafe.arguments import whole
from streamsafe.errors import ConfigurationError

#: The arguments of ``session.stream`` that are no parameters of the API. An item may not set them:
#: a file of prompts must not choose where something is written.
RESERVED = frozenset({
    "prompt_or_messages", "body", "on_token", "on_error", "on_complete", "on_retry", "on_stall",
    "timeouts", "retry", "resume", "journal", "stream_id", "cancel", "fallbacks", "observers",
    "on_malformed", "sink", "keep",
})  # fmt: skip

#: Under which name a form holds the question. "params" is that of Anthropic's batches.
_QUESTIONS = ("prompt", "messages", "body", "params")
#: What else stands in a line of a vendor's batch file.
_ENVELOPE = ("method", "url")
#: In the body of one: said by whoever streams.
_STREAMING = ("stream", "stream_options")


class Item(NamedTuple):
    """One prompt: its place, its name, what was given, and how ``session.stream`` is asked it."""

    index: int  # type: ignore[assignment]  # shadows tuple.index
    id: str
    prompt: Any
    arguments: Mapping[str, Any]


def item_of(index: int, given: Any) -> Item:
    """The item that a prompt, messages or a mapping mean. Raises ConfigurationError.

    A mapping has one of ``prompt``, ``messages`` and ``body`` (the request in the provider's own
    words), and may have an ``id`` or ``custom_id``; all else are parameters of the request. Lines
    of OpenAI's and Anthropic's batch files are such mappings.
    """
    if isinstance(given, ConfigurationError):  # what a file's reader found wrong
        raise given
    if not isinstance(given, Mapping):
        return Item(index, str(index), given, {"prompt_or_messages": given})
    fields = dict(given)
    name = fields.pop("id", None)
    name = fields.pop("custom_id", name)
    if name is not None and (isinstance(name, bool) or not isinstance(name, (str, int))):
        raise ConfigurationError(f"id={name!r}: expected a str or an int")
    name = whole("id", str(index if name is None else name))
    return Item(index, name, given, _arguments(fields))


def _arguments(fields: dict[str, Any]) -> dict[str, Any]:
    asked = [name for name in _QUESTIONS if name in fields]
    if len(asked) != 1:
        raise ConfigurationError(
            f"a prompt with {', '.join(asked or map(str, fields)) or 'no keys'}: expected one of "
            "prompt, messages, body"
        )
    question = fields.pop(asked[0])
    if asked[0] in ("prompt", "messages"):
        return {**_checked(fields), "prompt_or_messages": question}
    for name in _ENVELOPE:
        fields.pop(name, None)
    if not isinstance(question, Mapping):
        raise ConfigurationError(f"{asked[0]} is a {type(question).__name__}: expected an object")
    if asked[0] == "body" and isinstance(question.get("messages"), list):
        return {**_checked(fields), **_chat(question)}
    return {**_checked(fields), "body": question}


def _chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """A chat's body as messages and parameters: so it can be gone on with after a break."""
    parameters = {name: value for name, value in body.items() if name not in _STREAMING}
    messages = parameters.pop("messages")
    return {**_checked(parameters), "prompt_or_messages": messages}


def _checked(fields: dict[str, Any]) -> dict[str, Any]:
    refused = sorted(RESERVED & set(fields))
    if refused:
        raise ConfigurationError(
            f"a prompt may not set {', '.join(refused)}: pass that to map(), for all of them"
        )
    return fields


def fingerprint(*parts: Any) -> str:
    """Twelve characters that stand for a question. Raises ConfigurationError for no JSON."""
    try:
        text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"a prompt holds something that is no JSON: {error}") from error
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
