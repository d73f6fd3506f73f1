"""OpenAI Responses: how to ask, and how to go on.

Here lives the request of ``/responses``; what its events mean is told in ``responses_events``.
This is the one API that keeps a stream: a response asked for with ``background=True`` is taken up
again behind a sequence number, as often as it takes, without a second generation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamsafe.errors import ConfigurationError
from streamsafe.models import Call, Completion, Request
from streamsafe.providers import parts
from streamsafe.providers.base import Decoder, Target
from streamsafe.providers.responses_events import ResponsesDecoder
from streamsafe.providers.service import Service
from streamsafe.providers.toolcalls import as_json

_RENAMED = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens"}

#: OpenAI-style parts that only change their name; what they hold is brought up a level.
_PARTS = {"image_url": "input_image", "file": "input_file", "input_audio": "input_audio"}


class OpenAIResponses(Service):
    """The Responses API."""

    key = "input"

    def request(self, call: Call, target: Target) -> Request:
        """POST …/responses; GET …/responses/{id} for the rest of one, or for its document."""
        cursor = call.extra.get("cursor")
        if cursor is None:
            return super().request(call, target)
        url = f"{target.base_url}{self.preset.path}/{cursor['response_id']}"
        if not cursor.get("poll"):
            url += f"?stream=true&starting_after={cursor['last_sequence_number']}"
        return Request("GET", url, target.headers)

    def asked(self, call: Call) -> dict[str, Any]:
        """Messages and parameters in the API's words."""
        return {"input": translated(call.messages), **_parameters(call.parameters)}

    def decoder(self, call: Call) -> Decoder:
        """A decoder; behind a cursor it knows what was received before."""
        return ResponsesDecoder(call.extra.get("cursor"), _in_background(call))

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """Behind the last event ("cursor"); the whole response once it is done ("poll"), of which
        what was received is left out; or a request to go on behind the text ("user_message")."""
        if how not in ("cursor", "poll"):
            return super().continued(call, partial, how)
        state = partial.provider_state
        if not state.get("background") or not state.get("response_id"):
            raise ConfigurationError("only a response with background=True can be taken up again")
        if how == "cursor" and "last_sequence_number" not in state:
            raise ConfigurationError("the server numbers no events: there is no cursor")
        cursor = {**state, "poll": how == "poll"}
        return call.replace(extra={**call.extra, "cursor": cursor})


def _in_background(call: Call) -> bool:
    return bool({**(call.body or {}), **call.parameters}.get("background"))


# -- parameters ----------------------------------------------------------------------------------


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the API's words; unknown ones as they are."""
    body = {_RENAMED.get(name, name): value for name, value in given.items()}
    if "tools" in body:
        body["tools"] = [_tool(tool) for tool in body["tools"] or ()]
    name = parts.named_function(body.get("tool_choice"))
    if name is not None:
        body["tool_choice"] = {"type": "function", "name": name}
    if "response_format" in body:
        asked = body.pop("response_format")
        schema = parts.json_schema(asked)
        wanted = asked if schema is None else {"type": "json_schema", **schema}
        body["text"] = {**(body.get("text") or {}), "format": wanted}
    if "reasoning_effort" in body:
        effort = body.pop("reasoning_effort")
        body["reasoning"] = {**(body.get("reasoning") or {}), "effort": effort}
    return body


def _tool(tool: Any) -> Any:
    """A function brought up a level. Here a function is strict where nothing is said of it,
    in chat it is not: said is what the program meant."""
    function = parts.function_of(tool)
    return tool if function is None else {"type": "function", "strict": False, **function}


# -- messages ------------------------------------------------------------------------------------


def translated(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages as input items; items of the API's own pass through.

    Raises ConfigurationError that names the message it cannot take.
    """
    items: list[dict[str, Any]] = []
    custom: set[str] = set()
    for place, message in enumerate(messages):
        role = message.get("role")
        if role is None:
            items.append(dict(message))
        elif "items" in message:
            items += [dict(item) for item in message["items"]]  # an answer's own, sent back
        elif role in ("tool", "function"):
            items.append(_result(message, place, custom))
        elif role in ("system", "developer", "user", "assistant"):
            items += _said(message, place, custom)
        else:
            raise parts.wrong(place, f"role {role!r} is none of the Responses API's")
        custom.update(i["call_id"] for i in items if i.get("type") == "custom_tool_call")
    return items


def _result(message: Mapping[str, Any], place: int, custom: set[str]) -> dict[str, Any]:
    id = parts.answered(message, place)
    kind = "custom_tool_call_output" if id in custom else "function_call_output"
    return {"type": kind, "call_id": id, "output": parts.text_of(message, place)}


def _said(message: Mapping[str, Any], place: int, custom: set[str]) -> list[dict[str, Any]]:
    role, content = message["role"], message.get("content")
    items: list[dict[str, Any]] = []
    if role == "assistant":
        text = parts.text_of(message, place)
        if text:
            items.append({"role": role, "content": text})
        return items + _calls(message, place)
    if not content:
        raise parts.wrong(place, "content is empty: expected a text or parts")
    if not isinstance(content, str):
        content = [_part(part, place) for part in parts.parts_of(content)]
    return [{"role": role, "content": content}]


def _calls(message: Mapping[str, Any], place: int) -> list[dict[str, Any]]:
    """Tool calls as items, with the arguments' own text where there is one."""
    items = []
    for call in message.get("tool_calls") or ():
        inner = call.get("custom") if isinstance(call, Mapping) else None
        if isinstance(inner, Mapping):
            items.append({"type": "custom_tool_call", "call_id": call.get("id"), **inner})
    plain = [call for call in message.get("tool_calls") or () if "custom" not in call]
    for read, call in zip(parts.calls_of({**message, "tool_calls": plain}, place), plain):
        if not read.id:
            raise parts.wrong(place, f"the tool call {read.name!r} wants an id")
        arguments = as_json(call["function"].get("arguments")) or "{}"
        items.append(
            {"type": "function_call", "call_id": read.id, "name": read.name, "arguments": arguments}
        )
    return items


def _part(part: Mapping[str, Any], place: int) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": "input_text", "text": part.get("text", "")}
    if kind == "image_url":
        inner = part["image_url"] if isinstance(part.get("image_url"), Mapping) else {}
        detail = {"detail": inner["detail"]} if "detail" in inner else {}
        return {"type": "input_image", "image_url": parts.image_url(part, place), **detail}
    if kind == "file" and isinstance(part.get("file"), Mapping):
        return {"type": "input_file", **part["file"]}
    if not kind:
        raise parts.wrong(place, f"a part wants a type, got {parts.kind_of(part)}")
    return dict(part)
