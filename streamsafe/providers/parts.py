"""Parts: what OpenAI-style messages and tools are made of, read for APIs of another form.

Here lives the reading of content lists, images, tool calls, tools and formats, with errors that
name the message. What an API makes of a part is told in its own file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.errors import ConfigurationError

_DATA_URL = re.compile(r"data:([^;,]+)(?:;[^;,]+)*;base64,(.*)", re.S)

_PLAIN = (
    "an answer of another API's: completion.replace(message=None).to_message() has it without the "
    "blocks that are of that API alone"
)

#: What to give in place of a block of another API's.
_INSTEAD = {
    "thinking": _PLAIN,
    "redacted_thinking": _PLAIN,
    "tool_use": _PLAIN,
    "tool_result": 'a message {"role": "tool", "tool_call_id": ..., "content": ...} holds it',
}


class Call(NamedTuple):
    """One tool call of an assistant message."""

    id: str
    name: str
    arguments: dict[str, Any]


def wrong(place: int, what: str, hint: Optional[str] = None) -> ConfigurationError:
    """The error for a message that the API cannot take."""
    return ConfigurationError(f"messages[{place}]: {what}", hint=hint)


def foreign(part: Mapping[str, Any], place: int, expected: str) -> ConfigurationError:
    """The error for a part that the API does not have."""
    kind = part.get("type")
    hint = _INSTEAD.get(kind) if isinstance(kind, str) else None
    return wrong(place, f"expected {expected}, got {kind_of(part)}", hint)


def parts_of(content: Any) -> list[Mapping[str, Any]]:
    """Content as a list of parts; an empty text is none."""
    if isinstance(content, str):
        content = [content] if content else []
    return [
        {"type": "text", "text": part} if isinstance(part, str) else part for part in content or ()
    ]


def text_of(message: Mapping[str, Any], place: int) -> str:
    """The text of a message that can hold nothing else; ConfigurationError for other parts."""
    texts = []
    for part in parts_of(message.get("content")):
        text = part.get("text") if part.get("type", "text") == "text" else part.get("refusal")
        if not isinstance(text, str):
            raise foreign(part, place, f"only text in a message of the {message.get('role')}'s")
        texts.append(text)
    return "".join(texts) or str(message.get("refusal") or "")


def kind_of(part: Mapping[str, Any]) -> str:
    """What an error calls a part."""
    return repr(part.get("type") or next(iter(part), "empty part"))


def image_url(part: Mapping[str, Any], place: int) -> str:
    """The URL of an ``image_url`` part."""
    inner = part.get("image_url")
    url = inner.get("url") if isinstance(inner, Mapping) else inner
    if not isinstance(url, str) or not url:
        raise wrong(place, 'an image wants {"type": "image_url", "image_url": {"url": "..."}}')
    return url


def image(part: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    """An ``image_url`` part in OpenAI's own form, its URL checked."""
    url = image_url(part, place)
    return part if isinstance(part["image_url"], Mapping) else {**part, "image_url": {"url": url}}


def data_url(url: str, place: int) -> Optional[tuple[str, str]]:
    """Media type and base64 text of a ``data:`` URL; None for another URL."""
    if not url.startswith("data:"):
        return None
    match = _DATA_URL.match(url)
    if match is None:
        raise wrong(place, "a data: URL wants a media type and base64: data:image/png;base64,...")
    return match.group(1), match.group(2)


def calls_of(message: Mapping[str, Any], place: int) -> list[Call]:
    """The tool calls of an assistant message, their arguments as objects."""
    if message.get("function_call"):
        raise wrong(place, "function_call is of OpenAI alone: use tool_calls and tool messages")
    found = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not function.get("name"):
            raise wrong(place, f"a tool call wants a function with a name, got {call!r}")
        arguments = _arguments(function, place)
        found.append(Call(str(call.get("id") or ""), str(function["name"]), arguments))
    return found


def _arguments(function: Mapping[str, Any], place: int) -> dict[str, Any]:
    value = function.get("arguments")
    name = function["name"]
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else {}
        except ValueError as error:
            raise wrong(place, f"the arguments of {name!r} are not JSON: {error}") from error
    if value is not None and not isinstance(value, Mapping):
        raise wrong(place, f"the arguments of {name!r} are no JSON object")
    return dict(value or {})


def answered(message: Mapping[str, Any], place: int) -> str:
    """The id of the call that a tool message answers."""
    if message.get("role") == "function":
        raise wrong(place, "role 'function' is of OpenAI alone: use role 'tool' and tool_call_id")
    id = message.get("tool_call_id")
    if not isinstance(id, str) or not id:
        raise wrong(place, "a tool message wants the tool_call_id that it answers")
    return id


def function_of(tool: Any) -> Optional[Mapping[str, Any]]:
    """The function of an OpenAI-style tool; None for a tool in the API's own form."""
    inner = tool.get("function") if isinstance(tool, Mapping) else None
    return inner if isinstance(inner, Mapping) else None


def named_function(tool_choice: Any) -> Optional[str]:
    """The function that an OpenAI-style ``tool_choice`` names, or None."""
    function = function_of(tool_choice)
    name = function.get("name") if function else None
    return name if isinstance(name, str) else None


def json_schema(response_format: Any) -> Optional[Mapping[str, Any]]:
    """The ``json_schema`` of an OpenAI-style ``response_format``: name, schema, strict; or None."""
    if not isinstance(response_format, Mapping):
        return None
    inner = response_format.get("json_schema")
    return inner if isinstance(inner, Mapping) and "schema" in inner else None


def as_list(value: Any) -> Any:
    """``stop`` as a list: one str stands for itself."""
    return [value] if isinstance(value, str) else value
