"""Anthropic Messages: how to ask, and how to go on.

Here lives the request of ``/v1/messages``; what its events mean is told in ``anthropic_events``.

The API version sent is 2023-06-01, which every gateway and compatible server knows and which
takes all parameters; 2026-10-21 refuses ``temperature``, ``top_p`` and ``top_k``. A header
``anthropic-version`` of the program's own goes before it. Nothing is left out silently: what a
version refuses is the server's to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.errors import APIError, ConfigurationError, QuotaExceededError, RateLimitError
from streamsafe.models import Call, Completion, Request
from streamsafe.providers import parts
from streamsafe.providers.anthropic_events import MessagesDecoder
from streamsafe.providers.base import Decoder, Profile, Target
from streamsafe.providers.service import Service

VERSION = "2023-06-01"

#: The API wants a bound on the answer. 4096 is the largest that all models take (Claude 3), and
#: what litellm sends.
MAX_TOKENS = 4096

#: The last version that goes on from an assistant message; all later ones refuse it.
LAST_PREFILL = (4, 5)

#: "claude-opus-4-5-20251101", "claude-3-5-sonnet", "claude-sonnet-4@20250514": the first number,
#: and the one behind it where that is no date.
_NUMBERS = re.compile(r"claude-(?:[a-z]+-)*(\d+)(?:[-.](\d{1,2})(?!\d))?")

_RENAMED = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop": "stop_sequences",
}

_CHOICES = {"auto": "auto", "required": "any", "none": "none"}

#: Parts of OpenAI's own that have no counterpart here.
_FOREIGN = frozenset({"input_audio", "file", "video_url"})


class Anthropic(Service):
    """The Messages API."""

    def request(self, call: Call, target: Target) -> Request:
        """POST …/v1/messages. Raises ConfigurationError for messages that it cannot take."""
        request = super().request(call, target)
        return request.replace(headers=_headers(target))

    def body(self, call: Call) -> dict[str, Any]:
        """The body; behind a pause with what came before it, as it came."""
        body = super().body(call)
        if call.extra.get("paused"):
            paused = {"role": "assistant", "content": list(call.extra["paused"])}
            body["messages"] = [*body.get("messages", ()), paused]
        return body

    def asked(self, call: Call) -> dict[str, Any]:
        """Messages and parameters in the API's words."""
        system, messages = translated(call.messages)
        body = {"messages": messages, **_parameters(call.parameters)}
        if system and "system" in body:
            raise ConfigurationError("system: give it as a message or a parameter, not both")
        if system:
            body["system"] = system
        body.setdefault("max_tokens", MAX_TOKENS + _thinking_budget(body))
        return body

    def decoder(self, call: Call) -> Decoder:
        """A new decoder; one behind a pause knows what came before it."""
        return MessagesDecoder(call.extra.get("paused") or ())

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """The typed error; a rate limit that names no time to wait is a spending limit."""
        error = super().error(status, headers, body)
        if type(error) is not RateLimitError or error.type != "rate_limit_error":
            return error
        if error.retry_after is not None or "x-should-retry" in headers:
            return error
        return self.renamed(error, QuotaExceededError)

    def profile(self, model: Optional[str]) -> Profile:
        """Claude goes on from a prefill up to 4.5, and refuses one since."""
        found = _NUMBERS.search((model or "").lower())
        if found is None or (int(found[1]), int(found[2] or 0)) > LAST_PREFILL:
            return Profile("no")
        return Profile("yes", strips=True)

    def prefilled(self, call: Call, text: str, partial: Completion) -> Call:
        """The call with the text last. That must not end in white space, and thinking must be off:
        whoever thought was done with it when the text began."""
        onward = super().prefilled(call, text.rstrip(), partial)
        return onward.replace(
            parameters=_without_thinking(onward.parameters),
            body=None if onward.body is None else _without_thinking(onward.body),
        )


def _headers(target: Target) -> dict[str, str]:
    headers = dict(target.headers)
    named = {name.lower() for name in headers}
    if "anthropic-version" not in named:
        headers["anthropic-version"] = VERSION
    if "authorization" in named:
        # Of the two the key would win, and the program has said what it wants.
        headers = {name: value for name, value in headers.items() if name.lower() != "x-api-key"}
    return headers


def _thinking_budget(body: Mapping[str, Any]) -> int:
    """Thinking counts towards max_tokens, and its budget must be below that."""
    thinking = body.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    return budget if isinstance(budget, int) else 0


def _without_thinking(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "thinking"}


# -- parameters ----------------------------------------------------------------------------------


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the API's words; unknown ones as they are."""
    body = {_RENAMED.get(name, name): value for name, value in given.items()}
    if "stop_sequences" in body:
        body["stop_sequences"] = parts.as_list(body["stop_sequences"])
    if "tools" in body:
        body["tools"] = [_tool(tool) for tool in body["tools"] or ()]
    if "tool_choice" in body:
        body["tool_choice"] = _tool_choice(body["tool_choice"])
    if "parallel_tool_calls" in body:
        parallel = body.pop("parallel_tool_calls")
        choice = body.get("tool_choice") or {"type": "auto"}
        if body.get("tools") and choice.get("type") != "none":
            body["tool_choice"] = {**choice, "disable_parallel_tool_use": not parallel}
    if "user" in body:
        body["metadata"] = {**(body.get("metadata") or {}), "user_id": body.pop("user")}
    if "response_format" in body:
        _set_format(body, body.pop("response_format"))
    return body


def _tool(tool: Any) -> Any:
    function = parts.function_of(tool)
    if function is None:
        return tool
    made = {name: function[name] for name in ("name", "description", "strict") if name in function}
    made["input_schema"] = function.get("parameters") or {"type": "object", "properties": {}}
    return made


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, str) and choice in _CHOICES:
        return {"type": _CHOICES[choice]}
    name = parts.named_function(choice)
    return choice if name is None else {"type": "tool", "name": name}


def _set_format(body: dict[str, Any], asked: Any) -> None:
    schema = parts.json_schema(asked)
    if schema is not None:
        wanted = {"type": "json_schema", "schema": schema["schema"]}
        body["output_config"] = {**(body.get("output_config") or {}), "format": wanted}
    elif asked is not None and asked != {"type": "text"}:
        raise ConfigurationError(
            f"response_format={asked!r}: Anthropic wants a schema: "
            '{"type": "json_schema", "json_schema": {"name": ..., "schema": ...}}'
        )


# -- messages ------------------------------------------------------------------------------------


def translated(messages: Sequence[Mapping[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """System prompt and messages in the API's form.

    All system and developer messages are joined in their order, as Anthropic's own OpenAI layer
    does it. Raises ConfigurationError that names the message it cannot take.
    """
    system: list[Any] = []
    made: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        role = message.get("role")
        if role in ("system", "developer"):
            system.append(_system(message, place))
        elif role == "user":
            _add_user(made, _content(message, place))
        elif role == "assistant":
            content = _assistant(message, place)
            if content:  # an empty answer is one, but no message that the API takes
                made.append({"role": "assistant", "content": content})
        elif role in ("tool", "function"):
            _add_user(made, [_tool_result(message, place)])
        else:
            raise parts.wrong(place, f"role {role!r} is none of Anthropic's")
    if not made:
        raise ConfigurationError("messages: Anthropic wants a user message besides the system's")
    if all(isinstance(one, str) for one in system):
        return "\n".join(system), made
    return [block for one in system for block in parts.parts_of(one)], made


def _add_user(made: list[dict[str, Any]], content: Any) -> None:
    """What follows tool results goes into their message: all results must stand in the one message
    behind the calls, and before anything else."""
    last = made[-1] if made else None
    if last is not None and last["role"] == "user" and _has_result(last["content"]):
        last["content"] = [*last["content"], *parts.parts_of(content)]
    else:
        made.append({"role": "user", "content": content})


def _has_result(content: Any) -> bool:
    return isinstance(content, list) and any(b.get("type") == "tool_result" for b in content)


def _system(message: Mapping[str, Any], place: int) -> Any:
    text = parts.text_of(message, place)  # also the check that it holds nothing else
    content = message.get("content")
    return text if isinstance(content, str) else parts.parts_of(content)


def _content(message: Mapping[str, Any], place: int) -> Any:
    content = message.get("content")
    if not content:
        raise parts.wrong(place, "content is empty: Anthropic wants a text or blocks")
    if isinstance(content, str):
        return content
    return [_block(part, place) for part in parts.parts_of(content)]


def _assistant(message: Mapping[str, Any], place: int) -> Any:
    calls = parts.calls_of(message, place)
    content = message.get("content") or message.get("refusal")
    if isinstance(content, str) and not calls:
        return content
    blocks = [_block(part, place) for part in parts.parts_of(content)]
    for call in calls:
        if not call.id:
            raise parts.wrong(place, f"the tool call {call.name!r} wants an id")
        blocks.append(
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        )
    return blocks


def _tool_result(message: Mapping[str, Any], place: int) -> dict[str, Any]:
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": parts.answered(message, place)}
    content = message.get("content")
    if isinstance(content, str) and content:
        result["content"] = content
    elif content:
        result["content"] = [_block(part, place) for part in parts.parts_of(content)]
    if message.get("is_error"):
        result["is_error"] = True
    return result


def _block(part: Mapping[str, Any], place: int) -> dict[str, Any]:
    """A part as a content block; blocks of the API's own pass through."""
    kind = part.get("type")
    if kind == "image_url":
        url = parts.image_url(part, place)
        data = parts.data_url(url, place)
        if data is None:
            return {"type": "image", "source": {"type": "url", "url": url}}
        source = {"type": "base64", "media_type": data[0], "data": data[1]}
        return {"type": "image", "source": source}
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal") or ""}
    if kind is None or kind in _FOREIGN:
        raise parts.foreign(part, place, "text, image_url or Anthropic's own blocks")
    return dict(part)
