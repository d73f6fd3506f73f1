"""Ollama's own API: ``/api/chat`` and ``/api/generate``.

Here lives the request of both and the decoding of their lines, a JSON object each. Terminal rule: a
line with ``"done": true``. A last line that lacks its line feed counts if it can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.errors import ConfigurationError
from streamsafe.models import Call, Chunk, Completion, ToolCallFragment, Usage
from streamsafe.providers import parts
from streamsafe.providers.base import Decoder
from streamsafe.providers.facts import maybe_json
from streamsafe.providers.halves import united
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.payloads import mapping, objects, word
from streamsafe.providers.service import Service, behind_prompt, extended
from streamsafe.providers.toolcalls import as_json
from streamsafe.providers.usage import count

#: Parameters that stand in ``options``, by the name that is one for all APIs.
_OPTIONS = {
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "max_output_tokens": "num_predict",
    **{
        name: name
        for name in (
            "temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "stop", "num_predict",
            "num_ctx", "num_keep", "num_batch", "num_gpu", "num_thread", "repeat_last_n",
            "repeat_penalty", "presence_penalty", "frequency_penalty",
        )
    },
}  # fmt: skip

#: How the ids begin that are made here where the server gives none.
MADE_ID = "ollama-call-"


class Ollama(Service):
    """``/api/chat``."""

    def asked(self, call: Call) -> dict[str, Any]:
        """Messages and parameters in the API's words."""
        return {**self.said(call), **_parameters(call.parameters)}

    def decoder(self, call: Call) -> Decoder:
        """A new decoder."""
        return OllamaDecoder()

    def said(self, call: Call) -> dict[str, Any]:
        """What the messages are in the body."""
        names: dict[str, str] = {}
        said = [_message(message, place, names) for place, message in enumerate(call.messages)]
        return {"messages": said}


class OllamaGenerate(Ollama):
    """``/api/generate``: a prompt as text. With ``raw=True`` the model gets it as it is, and goes
    on exactly from prompt and partial answer; without, the template closes the turn."""

    def body(self, call: Call) -> dict[str, Any]:
        """The body, its prompt with the partial text behind it where there is one."""
        return extended(super().body(call), call)

    def prefilled(self, call: Call, text: str, partial: Completion) -> Call:
        """The raw prompt with the partial text behind it."""
        if not self.body(call).get("raw"):
            raise ConfigurationError(
                "/api/generate goes on only from a prompt that is rendered: raw=True"
            )
        return behind_prompt(self, call, text)

    def said(self, call: Call) -> dict[str, Any]:
        """One user message is the prompt, system messages are ``system``."""
        body: dict[str, Any] = {}
        for place, message in enumerate(call.messages):
            made = _message(message, place, {})
            name = {"system": "system", "user": "prompt"}.get(made["role"])
            if name is None or "prompt" in body:
                raise parts.wrong(place, "/api/generate takes one prompt: ask provider 'ollama'")
            body[name] = "\n".join(filter(None, (body.get(name), made["content"])))
            if made.get("images"):
                body["images"] = made["images"]
        return body


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the API's words and places; unknown ones as they are."""
    body: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name in _OPTIONS:
            options[_OPTIONS[name]] = parts.as_list(value) if name == "stop" else value
        elif name == "response_format":
            body.update(_format(value))
        else:
            body[name] = value
    if options:
        body["options"] = {**options, **(body.get("options") or {})}
    return body


def _format(asked: Any) -> dict[str, Any]:
    schema = parts.json_schema(asked)
    if schema is not None:
        return {"format": schema["schema"]}
    return {"format": "json"} if asked == {"type": "json_object"} else {}


def _message(message: Mapping[str, Any], place: int, names: dict[str, str]) -> dict[str, Any]:
    """A message in the API's form: text apart from images, arguments as objects, results with
    their tool's name; ``names`` learns and tells it."""
    role = message.get("role")
    if role not in ("system", "developer", "user", "assistant", "tool"):
        raise parts.wrong(place, f"role {role!r} is none of Ollama's")
    made: dict[str, Any] = {
        name: message[name] for name in ("thinking", "images", "tool_name") if message.get(name)
    }
    made["role"] = "system" if role == "developer" else role
    texts, images = [], []
    for part in parts.parts_of(message.get("content") or message.get("refusal")):
        if part.get("type") == "image_url":
            images.append(_image(part, place))
        else:
            texts.append(parts.text_of({"role": role, "content": [part]}, place))
    made["content"] = "".join(texts)
    if images:
        made["images"] = [*made.get("images", ()), *images]
    calls = parts.calls_of(message, place)
    if calls:
        names.update((call.id, call.name) for call in calls)
        made["tool_calls"] = [
            {"function": {"name": call.name, "arguments": call.arguments}} for call in calls
        ]
    if role == "tool" and "tool_name" not in made:
        made["tool_name"] = _tool_name(message, place, names)
    return made


def _tool_name(message: Mapping[str, Any], place: int, names: Mapping[str, str]) -> str:
    id = parts.answered(message, place)
    name = names.get(id) or message.get("name")
    if not isinstance(name, str) or not name:
        raise parts.wrong(
            place, f"no assistant message before it has the tool call {id!r}: Ollama wants its name"
        )
    return name


def _image(part: Mapping[str, Any], place: int) -> str:
    data = parts.data_url(parts.image_url(part, place), place)
    if data is None:
        raise parts.wrong(place, "Ollama fetches no images: give a data: URL with base64")
    return data[1]


class OllamaDecoder(JSONDecoder):
    """Decodes the lines of one response, of either endpoint.

    ``state["thinking"]`` goes back with the message.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0
        self._thoughts: list[str] = []

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """The chunks of one line."""
        self.model = self.model or word(payload.get("model"))
        message = payload.get("message")
        if isinstance(message, Mapping):
            text, thought = message.get("content"), message.get("thinking")
            calls = objects(message.get("tool_calls"))
        else:
            text, thought, calls = payload.get("response"), payload.get("thinking"), []
        chunks: list[Chunk] = []
        if isinstance(thought, str) and thought:
            self._thoughts.append(thought)
            chunks.append(Chunk("reasoning", reasoning=thought, raw=payload))
        if isinstance(text, str) and text:
            chunks.append(Chunk("text", text, raw=payload))
        chunks += [self._call(call, payload) for call in calls]
        if payload.get("done") is True:
            chunks += self._done(payload)
        return chunks or [Chunk("other", raw=payload)]

    def document(self, payload: Any) -> list[Chunk]:
        """A plain answer is a last line with everything in it."""
        chunks: list[Chunk] = []
        self.take(payload, "message", chunks)
        return chunks

    def end(self, tail: str) -> list[Chunk]:
        """The last line, if it is whole but for its line feed."""
        chunks: list[Chunk] = []
        payload = None if self.finished else maybe_json(tail)
        if isinstance(payload, Mapping):
            self.take(payload, "message", chunks)
        return chunks

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The assistant message, with its thoughts where there were any."""
        if not self._thoughts:
            return None  # then it is as OpenAI's
        message = completion.replace(message=None).to_message()
        return {**message, "thinking": united("".join(self._thoughts))}

    def _call(self, call: Mapping[str, Any], payload: Mapping[str, Any]) -> Chunk:
        """A tool call, whole, with arguments as an object. An id that is made here is another one
        in each answer."""
        function = mapping(call.get("function"))
        number = self._calls
        self._calls += 1
        when = "".join(filter(str.isdigit, str(payload.get("created_at") or "")))
        id = word(call.get("id")) or f"{MADE_ID}{when}-{number}"
        arguments = as_json(function.get("arguments") or {})
        fragment = ToolCallFragment(number, id, word(function.get("name")) or "", arguments)
        return Chunk("tool_call", tool_call=fragment, raw=payload)

    def _done(self, payload: Mapping[str, Any]) -> list[Chunk]:
        self.finished = self.closed = True
        if self._thoughts:
            self.state["thinking"] = united("".join(self._thoughts))
        reason = payload.get("done_reason") or None
        normal = "length" if reason == "length" else "tool_calls" if self._calls else "stop"
        finish = Chunk("finish", finish_reason=normal, raw=payload, raw_finish_reason=reason)
        usage = usage_of(payload)
        return [Chunk("usage", usage=usage, raw=payload), finish] if usage.raw else [finish]


def usage_of(line: Mapping[str, Any]) -> Usage:
    """The usage in the project's words; counts of zero are left out by the server."""
    raw = {name: line[name] for name in line if name.endswith(("_count", "_duration"))}
    asked, written = count(raw.get("prompt_eval_count")), count(raw.get("eval_count"))
    return Usage(asked, written, 0, 0, asked + written, False, raw)
