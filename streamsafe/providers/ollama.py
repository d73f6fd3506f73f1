"""Ollama's own API: ``/api/chat`` and ``/api/generate``, in JSON lines.

Here lives the request made of OpenAI-style messages and the decoding of lines. Terminal rule: a
line with ``"done": true``. Lines can be long, and the first can take minutes while the model loads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.errors import APIError, ConfigurationError
from streamsafe.models import Call, Chunk, Completion, Request, ToolCallFragment, Usage
from streamsafe.providers.base import Decoder, Profile, Target
from streamsafe.providers.classify import http_error
from streamsafe.providers.jsonevents import JSONDecoder, maybe_json
from streamsafe.providers.openai_chat import GO_ON, sendable
from streamsafe.providers.presets import Preset
from streamsafe.providers.toolcalls import as_json
from streamsafe.providers.usage import count

#: What goes into ``options``, by its OpenAI-style name.
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "stop": "stop",
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "num_ctx": "num_ctx",
    "num_predict": "num_predict",
}


class Ollama:
    """POST …/api/chat."""

    framing = "ndjson"

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.name = preset.name

    def request(self, call: Call, target: Target) -> Request:
        """The request. Raises ConfigurationError without a model."""
        if call.body is not None:
            body = {**call.body, **call.parameters, "stream": True}
            body.setdefault("model", call.model)
        else:
            body = {"model": call.model, **self._asked(call), **_parameters(call.parameters)}
            body["stream"] = True
        if not body.get("model"):
            raise ConfigurationError(f"{self.name} wants a model: pass model=...")
        return Request("POST", f"{target.base_url}{self.preset.path}", target.headers, body)

    def decoder(self, call: Call) -> Decoder:
        """A decoder of one response."""
        return OllamaDecoder()

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """The typed error of an HTTP error response."""
        return http_error(status, headers, body)

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """There is none."""
        return None

    def profile(self, model: Optional[str]) -> Profile:
        """Many templates go on from a last assistant message, others close the turn."""
        return Profile("unsure")

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """Go on from the text, or ask to."""
        if call.body is not None or how not in ("prefill", "user_message"):
            raise ConfigurationError(f"{self.name} has no {how} to go on from here")
        said = [*call.messages, {"role": "assistant", "content": sendable(partial.text)}]
        if how == "user_message":
            said.append({"role": "user", "content": GO_ON})
        return call.replace(messages=said)

    def _asked(self, call: Call) -> dict[str, Any]:
        return {"messages": [_message(place, said) for place, said in enumerate(call.messages)]}


class OllamaGenerate(Ollama):
    """POST …/api/generate. With ``raw=True`` and a rendered prompt it goes on exactly."""

    def profile(self, model: Optional[str]) -> Profile:
        """Only a raw prompt has an end to go on from."""
        return Profile("no", user_message=False)

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """A raw prompt with the partial text behind it."""
        if how != "prefill" or not call.parameters.get("raw"):
            raise ConfigurationError("only raw=True with a rendered prompt can be continued")
        return call.replace(extra={**call.extra, "partial": partial.text})

    def _asked(self, call: Call) -> dict[str, Any]:
        system: list[str] = []
        prompt: list[str] = []
        for place, said in enumerate(call.messages):
            if not isinstance(said.get("content"), str):
                raise ConfigurationError(f"messages[{place}]: /api/generate takes text alone")
            (system if said.get("role") in ("system", "developer") else prompt).append(
                said["content"]
            )
        body = {"prompt": "\n\n".join(prompt) + call.extra.get("partial", "")}
        return {**body, "system": "\n\n".join(system)} if system else body


def _message(place: int, message: Mapping[str, Any]) -> dict[str, Any]:
    """Texts and images apart, arguments as objects: so the API wants them."""
    made = {name: value for name, value in message.items() if name != "content"}
    content = message.get("content")
    if isinstance(content, list):
        texts, images = [], []
        for part in content:
            if isinstance(part, str) or part.get("type") == "text":
                texts.append(part if isinstance(part, str) else part.get("text", ""))
            elif part.get("type") == "image_url":
                images.append(_image(place, part.get("image_url")))
            else:
                raise ConfigurationError(
                    f"messages[{place}]: ollama takes no part of type {part.get('type')!r}"
                )
        content = "".join(texts)
        if images:
            made["images"] = images
    made["content"] = content or ""
    if made.get("role") == "developer":
        made["role"] = "system"
    if made.get("tool_calls"):
        made["tool_calls"] = [_call(call) for call in made["tool_calls"]]
    return made


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = dict(call.get("function", {}))
    if isinstance(function.get("arguments"), str):
        function["arguments"] = json.loads(function["arguments"] or "{}")
    return {"function": function}


def _image(place: int, image: Any) -> str:
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str) or not url.startswith("data:"):
        raise ConfigurationError(
            f"messages[{place}]: ollama wants images as data: URLs, it fetches none"
        )
    return url.partition(",")[2]


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name in _OPTIONS:
            listed = name == "stop" and isinstance(value, str)
            options[_OPTIONS[name]] = [value] if listed else value
        elif name == "response_format":
            schema = (value.get("json_schema") or {}).get("schema")
            if value.get("type") != "text":
                body["format"] = schema or "json"
        else:
            body[name] = value
    if options:
        body["options"] = {**options, **body.get("options", {})}
    return body


class OllamaDecoder(JSONDecoder):
    """Decodes the lines of one response, of either endpoint."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def payload(self, payload: Mapping[str, Any], event: str = "") -> list[Chunk]:
        """One line: reasoning, text, tool calls; the last also finish and usage."""
        self.model = self.model or payload.get("model") or None
        said = payload.get("message")
        said = said if isinstance(said, Mapping) else payload
        chunks: list[Chunk] = []
        thought = said.get("thinking")
        text = said.get("content") if said is not payload else said.get("response")
        if isinstance(thought, str) and thought:
            chunks.append(Chunk("reasoning", reasoning=thought, raw=payload))
        if isinstance(text, str) and text:
            chunks.append(Chunk("text", text, raw=payload))
        for call in said.get("tool_calls") or ():
            if isinstance(call, Mapping):
                chunks.append(self._tool_call(call, payload))
        if payload.get("done") is True:
            chunks += self._done(payload)
        return chunks or [Chunk("other", raw=payload)]

    def whole(self, payload: Any) -> list[Chunk]:
        """The only line."""
        chunks: list[Chunk] = []
        self.take(payload, "message", chunks)
        return chunks

    def end(self, tail: str) -> list[Chunk]:
        """The last line may lack its line feed; cut, it does not parse."""
        payload = maybe_json(tail) if tail.strip() else None
        chunks: list[Chunk] = []
        if isinstance(payload, Mapping) and self.failure is None and not self.finished:
            self.take(payload, "message", chunks)
        return chunks

    def _tool_call(self, call: Mapping[str, Any], raw: Any) -> Chunk:
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        place, self._calls = self._calls, self._calls + 1
        id = call.get("id") or f"call_{place}"
        given = as_json(function.get("arguments") or {})
        fragment = ToolCallFragment(place, id, function.get("name") or "", given)
        return Chunk("tool_call", tool_call=fragment, raw=raw)

    def _done(self, payload: Mapping[str, Any]) -> list[Chunk]:
        reason = payload.get("done_reason") or "stop"
        normal = "length" if reason == "length" else "tool_calls" if self._calls else "stop"
        self.finished = self.closed = True
        finish = Chunk("finish", finish_reason=normal, raw=payload, raw_finish_reason=str(reason))
        if not any(name in payload for name in ("eval_count", "prompt_eval_count")):
            return [finish]
        return [finish, Chunk("usage", usage=ollama_usage(payload), raw=payload)]


def ollama_usage(line: Mapping[str, Any]) -> Usage:
    """Counts that are zero are left out by the server."""
    names = (
        "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration",
        "eval_count", "eval_duration",
    )  # fmt: skip
    raw = {name: line[name] for name in names if name in line}
    asked, written = count(raw.get("prompt_eval_count")), count(raw.get("eval_count"))
    return Usage(asked, written, 0, 0, asked + written, False, raw)
