"""Cohere v2 chat.

Here lives the request (OpenAI-style messages are the API's own), the decoding of its events and
the terminal rule: ``message-end`` whose reason is no failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.errors import APIError, ConfigurationError
from streamsafe.models import Call, Chunk, Completion, Request, ToolCallFragment, Usage
from streamsafe.providers.base import Decoder, Profile, Target
from streamsafe.providers.classify import http_error
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.openai_chat import GO_ON, sendable
from streamsafe.providers.presets import Preset
from streamsafe.providers.toolcalls import as_json
from streamsafe.providers.usage import count

FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
FAILURES = frozenset({"ERROR", "TIMEOUT"})

_NAMES = {
    "stop": "stop_sequences",
    "top_p": "p",
    "top_k": "k",
    "max_completion_tokens": "max_tokens",
}


class Cohere:
    """POST …/v2/chat."""

    framing = "sse"

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.name = preset.name

    def request(self, call: Call, target: Target) -> Request:
        """The request. Raises ConfigurationError without a model."""
        if call.body is not None:
            body = {**call.body, **call.parameters, "stream": True}
            body.setdefault("model", call.model)
        else:
            body = {"model": call.model, "messages": [_message(m) for m in call.messages]}
            for name, value in call.parameters.items():
                body[_NAMES.get(name, name)] = value
            if isinstance(body.get("stop_sequences"), str):
                body["stop_sequences"] = [body["stop_sequences"]]
            if isinstance(body.get("tool_choice"), str):
                body["tool_choice"] = body["tool_choice"].upper()
                if body["tool_choice"] == "AUTO":
                    del body["tool_choice"]
            body["stream"] = True
        if not body.get("model"):
            raise ConfigurationError("cohere wants a model: pass model=...")
        return Request("POST", f"{target.base_url}{self.preset.path}", target.headers, body)

    def decoder(self, call: Call) -> Decoder:
        """A decoder of one response."""
        return CohereDecoder()

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """498 is an invalid token here."""
        error = http_error(status, headers, body, request_id=self.request_id(headers))
        if status == 498:
            error.retryable = False
            error.hint = "the token is invalid: check CO_API_KEY"
        return error

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """``x-debug-trace-id``."""
        return headers.get("x-debug-trace-id")

    def profile(self, model: Optional[str]) -> Profile:
        """No prefill is documented."""
        return Profile("no")

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """Ask to go on."""
        if how != "user_message" or call.body is not None:
            raise ConfigurationError(f"cohere has no {how} to go on from")
        said = {"role": "assistant", "content": sendable(partial.text)}
        return call.replace(messages=[*call.messages, said, {"role": "user", "content": GO_ON}])


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(message)
    if made.get("role") == "developer":
        made["role"] = "system"
    return made


class CohereDecoder(JSONDecoder):
    """Decodes the events of one response."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[Any, int] = {}
        self._content: list[dict[str, Any]] = []

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """By the event's type."""
        kind = payload.get("type") or event
        delta = payload.get("delta")
        delta = delta if isinstance(delta, Mapping) else {}
        message = delta.get("message")
        message = message if isinstance(message, Mapping) else {}
        if kind == "message-start":
            self.id = self.id or payload.get("id") or None
        if kind == "message-end":
            return self._end(payload, delta)
        chunks = self._pieces(kind, payload, message)
        return chunks or [Chunk("other", raw=payload)]

    def whole(self, payload: Any) -> list[Chunk]:
        """An answer that was not streamed."""
        if not isinstance(payload, Mapping) or not isinstance(payload.get("message"), Mapping):
            return self.fail(payload)
        self.id = payload.get("id")
        message, chunks = payload["message"], []
        for part in message.get("content") or ():
            chunks += self._pieces("content-delta", payload, {"content": part})
        for place, call in enumerate(message.get("tool_calls") or ()):
            chunks += self._call(place, call, payload)
        return chunks + self._end(payload, payload)

    def _pieces(self, kind: str, raw: Mapping[str, Any], message: Mapping[str, Any]) -> list[Chunk]:
        content, calls = message.get("content"), message.get("tool_calls")
        chunks: list[Chunk] = []
        if isinstance(content, Mapping):
            thought, text = content.get("thinking"), content.get("text")
            if isinstance(thought, str) and thought:
                chunks.append(Chunk("reasoning", reasoning=thought, raw=raw))
            if isinstance(text, str) and text:
                chunks.append(Chunk("text", text, raw=raw))
        if kind == "tool-plan-delta" and message.get("tool_plan"):
            chunks.append(Chunk("reasoning", reasoning=message["tool_plan"], raw=raw))
        if kind in ("tool-call-start", "tool-call-delta") and isinstance(calls, Mapping):
            chunks += self._call(raw.get("index"), calls, raw)
        cited = message.get("citations")
        if kind == "citation-start" and cited:
            for citation in cited if isinstance(cited, list) else [cited]:
                chunks.append(Chunk("citation", citation=citation, raw=raw))
        return chunks

    def _call(self, index: Any, call: Mapping[str, Any], raw: Any) -> list[Chunk]:
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        place = self._calls.get(index)
        if place is None:
            self._calls[index] = place = len(self._calls)
        given = as_json(function.get("arguments"))
        fragment = ToolCallFragment(
            place, call.get("id") or "", function.get("name") or "", given
        )
        return [Chunk("tool_call", tool_call=fragment, raw=raw)]

    def _end(self, payload: Mapping[str, Any], delta: Mapping[str, Any]) -> list[Chunk]:
        reason = delta.get("finish_reason")
        chunks: list[Chunk] = []
        usage = delta.get("usage")
        counted = []
        if isinstance(usage, Mapping):
            counted.append(Chunk("usage", usage=cohere_usage(usage), raw=payload))
        if not isinstance(reason, str):
            return counted or [Chunk("other", raw=payload)]
        if reason in FAILURES:
            said = delta.get("error") or f"finish_reason {reason}"
            self.fail({"error": {"message": said, "type": reason.lower()}}, retryable=True)
            return counted
        normal = FINISH.get(reason, "stop")
        if normal == "stop" and self._calls:
            normal = "tool_calls"
        chunks.append(Chunk("finish", finish_reason=normal, raw=payload, raw_finish_reason=reason))
        self.finished = True
        return chunks + counted


def cohere_usage(raw: Mapping[str, Any]) -> Usage:
    """Tokens, not billed units, where both are given."""
    tokens = raw.get("tokens") or raw.get("billed_units")
    tokens = tokens if isinstance(tokens, Mapping) else {}

    def whole(value: Any) -> int:
        return count(int(value)) if isinstance(value, (int, float)) else 0

    asked, written = whole(tokens.get("input_tokens")), whole(tokens.get("output_tokens"))
    cached = whole(raw.get("cached_tokens"))
    return Usage(asked, written, 0, cached, asked + written, False, dict(raw))
