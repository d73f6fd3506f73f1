"""Cohere v2 chat.

Here lives the request, whose messages are nearly OpenAI's, and the decoding of the events.
Terminal rule: ``message-end`` with a finish reason that is no failure; ``[DONE]`` is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.errors import APIError, AuthenticationError, ConfigurationError
from streamsafe.models import Call, Chunk, Completion, ToolCallFragment, Usage
from streamsafe.providers import parts
from streamsafe.providers.base import Decoder
from streamsafe.providers.halves import united
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.payloads import mapping, objects, word
from streamsafe.providers.service import Service
from streamsafe.providers.toolcalls import as_json
from streamsafe.providers.usage import count

FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}

#: Finish reasons that are failures of the server.
FAILURES = frozenset({"ERROR", "TIMEOUT"})

_RENAMED = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop": "stop_sequences",
    "top_p": "p",
    "top_k": "k",
}

_CHOICES = {"required": "REQUIRED", "none": "NONE"}

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

_FOREIGN = frozenset({"input_audio", "file", "video_url", "tool_use", "tool_result"})

#: Fields of the API's own that a message may have besides.
_OWN = ("tool_plan", "citations")


class Cohere(Service):
    """The v2 chat API."""

    def asked(self, call: Call) -> dict[str, Any]:
        """Messages and parameters in the API's words."""
        said = [_message(message, place) for place, message in enumerate(call.messages)]
        return {"messages": said, **_parameters(call.parameters)}

    def decoder(self, call: Call) -> Decoder:
        """A new decoder."""
        return CohereDecoder()

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """The typed error; 498, with others a lack of capacity, is a wrong token here."""
        error = super().error(status, headers, body)
        return self.renamed(error, AuthenticationError) if status == 498 else error


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the API's words; unknown ones as they are."""
    body = {_RENAMED.get(name, name): value for name, value in given.items()}
    if "stop_sequences" in body:
        body["stop_sequences"] = parts.as_list(body["stop_sequences"])
    if "tool_choice" in body:
        choice = body.pop("tool_choice")
        if parts.named_function(choice) is not None:
            raise ConfigurationError(
                f"tool_choice={choice!r}: Cohere can't be made to call one tool; give it alone in "
                "tools with tool_choice='required'"
            )
        if choice is not None and choice != "auto":
            body["tool_choice"] = _CHOICES.get(choice, choice)
    schema = parts.json_schema(body.get("response_format"))
    if schema is not None:
        body["response_format"] = {"type": "json_object", "json_schema": schema["schema"]}
    return body


def _message(message: Mapping[str, Any], place: int) -> dict[str, Any]:
    """The message in the API's form, which is nearly OpenAI's."""
    role = message.get("role")
    if role not in _ROLES:
        raise parts.wrong(place, f"role {role!r} is none of Cohere's")
    made: dict[str, Any] = {"role": "system" if role == "developer" else role}
    content = message.get("content") or message.get("refusal")
    if content:
        made["content"] = _content(content, place)
    if role == "tool":
        made["tool_call_id"] = parts.answered(message, place)
        made.setdefault("content", "")
    calls = parts.calls_of(message, place) if role == "assistant" else []
    if calls:
        made["tool_calls"] = [
            {"id": id, "type": "function",
             "function": {"name": name, "arguments": as_json(arguments)}}
            for id, name, arguments in calls
        ]  # fmt: skip
    if len(made) == 1:
        raise parts.wrong(place, f"content is empty: Cohere wants some of the {role}")
    return {**{name: message[name] for name in _OWN if message.get(name)}, **made}


def _content(content: Any, place: int) -> Any:
    if isinstance(content, str):
        return content
    return [_part(part, place) for part in parts.parts_of(content)]


def _part(part: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    kind = part.get("type")
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal") or ""}
    if kind is None or kind in _FOREIGN:
        raise parts.foreign(part, place, "text, image_url or documents")
    return parts.image(part, place) if kind == "image_url" else part


class CohereDecoder(JSONDecoder):
    """Decodes the events of one response.

    ``state`` holds what goes back with the text: ``tool_plan``, ``thinking``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[Any, int] = {}
        self._arguments: set[int] = set()
        self._thoughts: dict[str, list[str]] = {}

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """The chunks of one event."""
        kind, delta = payload.get("type") or event, mapping(payload.get("delta"))
        self.id = self.id or word(payload.get("id"))
        if kind == "message-end":
            return self._end(delta, payload)
        message = delta.get("message")
        chunks: list[Chunk] = []
        if isinstance(message, Mapping):
            if kind in ("content-start", "content-delta"):
                chunks = self._content(message.get("content"), payload)
            elif kind == "tool-plan-delta":
                chunks = self._reasoning("tool_plan", message.get("tool_plan"), payload)
            elif kind in ("tool-call-start", "tool-call-delta"):
                chunks = self._call(payload.get("index"), message.get("tool_calls"), payload)
            elif kind == "citation-start":
                chunks = _citations(message.get("citations"), payload)
        elif kind == "tool-call-end":
            chunks = self._call_end(payload.get("index"), payload)
        return chunks or [Chunk("other", raw=payload)]

    def document(self, payload: Any) -> list[Chunk]:
        """A plain answer."""
        message = payload.get("message") if isinstance(payload, Mapping) else None
        if not isinstance(message, Mapping):
            return self.fail(payload)
        self.id = self.id or word(payload.get("id"))
        chunks = self._reasoning("tool_plan", message.get("tool_plan"), payload)
        for part in objects(message.get("content")):
            chunks += self._content(part, payload)
        for index, call in enumerate(objects(message.get("tool_calls"))):
            chunks += self._call(index, call, payload) + self._call_end(index, payload)
        chunks += _citations(message.get("citations"), payload)
        return chunks + self._end(payload, payload)

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The assistant message with its plan or thoughts, in the API's form."""
        plan, thought = self._thought("tool_plan"), self._thought("thinking")
        if not plan and not thought:
            return None  # then it is as OpenAI's
        message = completion.replace(message=None).to_message()
        content: list[dict[str, Any]] = []
        if thought:
            content.append({"type": "thinking", "thinking": thought})
        if completion.text:
            content.append({"type": "text", "text": completion.text})
        if content:
            message["content"] = content
        if plan:
            message["tool_plan"] = plan
        return message

    def _content(self, content: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        if not isinstance(content, Mapping):
            return []
        chunks = self._reasoning("thinking", content.get("thinking"), payload)
        text = content.get("text")
        if isinstance(text, str) and text:
            chunks.append(Chunk("text", text, raw=payload))
        return chunks

    def _thought(self, kind: str) -> str:
        return united("".join(self._thoughts.get(kind, ())))

    def _reasoning(self, kind: str, text: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        if not isinstance(text, str) or not text:
            return []
        self._thoughts.setdefault(kind, []).append(text)
        return [Chunk("reasoning", reasoning=text, raw=payload)]

    def _call(self, index: Any, call: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        """A tool call's start or a piece of it; ``tool_calls`` is one object, not a list."""
        if not isinstance(call, Mapping):
            return []
        number = self._calls.setdefault(index, len(self._calls))
        function = mapping(call.get("function"))
        arguments = as_json(function.get("arguments"))
        if arguments:
            self._arguments.add(number)
        fragment = ToolCallFragment(
            number, word(call.get("id")) or "", word(function.get("name")) or "", arguments
        )
        return [Chunk("tool_call", tool_call=fragment, raw=payload)]

    def _call_end(self, index: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        """A call without arguments is one with none."""
        number = self._calls.get(index)
        if number is None or number in self._arguments:
            return []
        fragment = ToolCallFragment(number, arguments="{}")
        return [Chunk("tool_call", tool_call=fragment, raw=payload)]

    def _end(self, delta: Mapping[str, Any], payload: Mapping[str, Any]) -> list[Chunk]:
        chunks: list[Chunk] = []
        if isinstance(delta.get("usage"), Mapping):
            chunks.append(Chunk("usage", usage=usage_of(delta["usage"]), raw=payload))
        reason = delta.get("finish_reason")
        if not isinstance(reason, str):
            return chunks or [Chunk("other", raw=payload)]
        if reason in FAILURES:
            message = delta.get("error") or f"the answer ended with {reason}"
            self.fail({"error": {"message": message, "type": reason.lower()}}, reason=reason)
            return chunks
        self.state.update((kind, self._thought(kind)) for kind in self._thoughts)
        normal = FINISH.get(reason, "stop")
        if normal == "stop" and self._calls:
            normal = "tool_calls"
        self.finished = True
        finish = Chunk("finish", finish_reason=normal, raw=payload, raw_finish_reason=reason)
        return [*chunks, finish]


def _citations(cited: Any, payload: Mapping[str, Any]) -> list[Chunk]:
    """One citation, or a list of them."""
    found = objects(cited if isinstance(cited, list) else [cited])
    return [Chunk("citation", citation=citation, raw=payload) for citation in found]


def usage_of(raw: Mapping[str, Any]) -> Usage:
    """The usage in the project's words: what was used, else what is billed."""
    tokens = mapping(raw.get("tokens") or raw.get("billed_units"))
    asked, written = count(tokens.get("input_tokens")), count(tokens.get("output_tokens"))
    cached = count(raw.get("cached_tokens"))
    return Usage(asked, written, 0, cached, asked + written, False, dict(raw))
