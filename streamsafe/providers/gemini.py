"""Google Gemini, ``streamGenerateContent``: how to ask, and how to go on.

Here lives the request, of the Gemini API and of Vertex AI; what the chunks mean is told in
``gemini_events``. A preset whose framing is "json" asks without ``alt=sse``: the answer is then one
JSON array that is read element by element.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional
from urllib.parse import urlsplit

from streamsafe.errors import ConfigurationError
from streamsafe.models import Call, Completion
from streamsafe.providers import parts
from streamsafe.providers.base import Decoder, Profile, Target
from streamsafe.providers.facts import maybe_json
from streamsafe.providers.gemini_events import MADE_ID, GeminiDecoder
from streamsafe.providers.payloads import mapping
from streamsafe.providers.presets import Preset
from streamsafe.providers.service import Service, with_query

#: Parameters that stand in ``generationConfig``, by the name that is one for all APIs.
_CONFIG = {
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "max_output_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "stop": "stopSequences",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}

#: Parameters of the API's own that stand there, too.
_OWN_CONFIG = frozenset(_CONFIG.values()) - {"logprobs"} | {
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "thinkingConfig",
    "mediaResolution",
    "speechConfig",
    "imageConfig",
}

#: The last versions whose models go on from a last model turn, all of them and but for "lite".
#: What users met: 3.5-flash-lite, 3.6-flash and later ones refuse it.
_PREFILL, _PREFILL_BUT_LITE = (3, 4), (3, 5)

#: Media types of images by the end of their URL: ``fileData`` wants one.
_IMAGES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
}

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


class Gemini(Service):
    """streamGenerateContent."""

    key = "contents"

    def __init__(self, preset: Preset) -> None:
        super().__init__(preset)
        # What is asked for as an event stream may still come as an array: from a gateway that
        # drops the query, or in an error.
        self.framing = "json"

    def body(self, call: Call) -> dict[str, Any]:
        """The body; the model stands in the URL, and that it is a stream, too."""
        body = super().body(call)
        del body["stream"]
        body.pop("model", None)
        calling = mapping(mapping(body.get("toolConfig")).get("functionCallingConfig"))
        if calling.get("streamFunctionCallArguments"):
            raise ConfigurationError(
                "streamFunctionCallArguments: arguments in pieces by JSON path are not read here; "
                "leave it out, and each call comes whole"
            )
        if "continuation_token" in call.extra:
            body["continuationToken"] = call.extra["continuation_token"]
        return body

    def asked(self, call: Call) -> dict[str, Any]:
        """Messages and parameters in the API's words."""
        system, contents = translated(call.messages)
        body: dict[str, Any] = {"contents": contents}
        if system:
            body["systemInstruction"] = {"parts": system}
        return {**body, **_parameters(call.parameters)}

    def decoder(self, call: Call) -> Decoder:
        """A decoder that waits for as many candidates as were asked for."""
        given = {**(call.body or {}), **call.parameters}
        count = mapping(given.get("generationConfig")).get("candidateCount")
        wanted = given.get("n", given.get("candidateCount", count))
        return GeminiDecoder(wanted if isinstance(wanted, int) else 1, call.extra)

    def profile(self, model: Optional[str]) -> Profile:
        """Up to 3.5 Gemini goes on from a last model turn, at the very token."""
        found = re.search(r"gemini-(\d+)(?:\.(\d+))?", model or "")
        if found is None:
            return Profile("unsure")
        version = (int(found[1]), int(found[2] or 0))
        lite = "lite" in str(model)
        if version <= _PREFILL or (version == _PREFILL_BUT_LITE and not lite):
            return Profile("yes", exact=True)
        return Profile("no")

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """The call that goes on from the text; that nothing more comes is then an answer."""
        onward = super().continued(call, partial, how)
        return onward.replace(extra={**onward.extra, "empty": True})

    def turn(self, role: str, text: str) -> dict[str, Any]:
        """A turn of the model's or the user's."""
        return {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}

    def url(self, call: Call, target: Target, body: Mapping[str, Any]) -> str:
        """…/models/{model}:streamGenerateContent"""
        base, _, query = target.base_url.partition("?")
        base = base.rstrip("/")
        if self.preset.path and not re.search(r"/v\d\w*$", base):
            base += self.preset.path
        model = self.model_of(call)
        model = model if "/" in model else f"models/{model}"
        if self.name == "vertex" and model.startswith("models/"):
            model = f"publishers/google/{model}"
        if self.name == "vertex":
            base = base.removesuffix("/publishers/google")
        streamed = self.preset.framing == "sse" and "alt=" not in query
        url = f"{base}/{model}:streamGenerateContent"
        return with_query(url, query, "alt=sse" if streamed else "")


# -- parameters ----------------------------------------------------------------------------------


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the API's words and places; unknown ones as they are."""
    body: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for name, value in given.items():
        if name == "response_format":
            config.update(_format(value))
        elif name in _CONFIG:
            config[_CONFIG[name]] = parts.as_list(value) if name == "stop" else value
        elif name in _OWN_CONFIG:
            config[name] = value
        elif name == "tools":
            body["tools"] = _tools(value or ())
        elif name == "tool_choice":
            body["toolConfig"] = _tool_config(value)
        else:
            body[name] = value
    if config:
        body["generationConfig"] = {**config, **(body.get("generationConfig") or {})}
    return body


def _format(asked: Any) -> dict[str, Any]:
    kind = asked.get("type") if isinstance(asked, Mapping) else None
    if kind not in ("json_schema", "json_object"):
        return {}
    schema = parts.json_schema(asked)
    made: dict[str, Any] = {"responseMimeType": "application/json"}
    if schema is not None:
        # Not responseSchema, which knows OpenAPI's subset alone and refuses the rest.
        made["responseJsonSchema"] = schema["schema"]
    return made


def _tools(tools: Sequence[Any]) -> list[Any]:
    """OpenAI-style functions in one tool, and the API's own tools behind it."""
    functions = [parts.function_of(tool) for tool in tools]
    declared = [
        {name: value for name, value in function.items() if name != "strict"}
        for function in functions
        if function is not None
    ]
    own = [tool for tool, function in zip(tools, functions) if function is None]
    return ([{"functionDeclarations": declared}] if declared else []) + own


def _tool_config(choice: Any) -> Any:
    name = parts.named_function(choice)
    if name is not None:
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}
    if isinstance(choice, str) and choice in _MODES:
        return {"functionCallingConfig": {"mode": _MODES[choice]}}
    return choice


# -- messages ------------------------------------------------------------------------------------


def translated(messages: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[dict[str, Any]]]:
    """System parts, and contents in which the roles alternate: equal neighbours are one.

    Raises ConfigurationError that names the message it cannot take.
    """
    system: list[Any] = []
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for place, message in enumerate(messages):
        role = message.get("role")
        if role in ("system", "developer"):
            system += message.get("parts") or [{"text": parts.text_of(message, place)}]
            continue
        made = _parts(message, place, names)
        turn = "model" if role in ("assistant", "model") else "user"
        if contents and contents[-1]["role"] == turn:
            contents[-1]["parts"] += made
        elif made:
            contents.append({"role": turn, "parts": made})
    if not contents:
        raise ConfigurationError("messages: Gemini wants a user message besides the system's")
    return system, contents


def _parts(message: Mapping[str, Any], place: int, names: dict[str, str]) -> list[Any]:
    """A message's parts; ``names`` learns what the calls are of, and tells what results are of."""
    role = message.get("role")
    calls = parts.calls_of(message, place)
    names.update((call.id, call.name) for call in calls)
    if "parts" in message:
        return list(message["parts"])
    if role in ("tool", "function"):
        return [_result(message, place, names)]
    if role not in ("user", "assistant", "model"):
        raise parts.wrong(place, f"role {role!r} is none of Gemini's")
    made = [_part(part, place) for part in parts.parts_of(message.get("content"))]
    if role == "user" and not made:
        raise parts.wrong(place, "content is empty: Gemini wants a text or parts")
    if not made and message.get("refusal"):
        made.append({"text": message["refusal"]})
    for call in calls:
        id = {} if not call.id or call.id.startswith(MADE_ID) else {"id": call.id}
        made.append({"functionCall": {**id, "name": call.name, "args": call.arguments}})
    return made


def _result(message: Mapping[str, Any], place: int, names: Mapping[str, str]) -> dict[str, Any]:
    id = parts.answered(message, place)
    name = names.get(id) or message.get("name")
    if not name:
        raise parts.wrong(
            place, f"no assistant message before it has the tool call {id!r}: Gemini wants its name"
        )
    text = parts.text_of(message, place)
    value = maybe_json(text)
    made: dict[str, Any] = {} if id.startswith(MADE_ID) else {"id": id}
    made["name"] = name
    made["response"] = value if isinstance(value, Mapping) else {"result": text}
    return {"functionResponse": made}


def _part(part: Mapping[str, Any], place: int) -> dict[str, Any]:
    """A part in the API's form; parts of its own, which have no type, pass through."""
    kind = part.get("type")
    if kind is None:
        return dict(part)
    if kind == "text":
        return {"text": part.get("text", "")}
    if kind == "refusal":
        return {"text": part.get("refusal", "")}
    if kind == "image_url":
        return _image(parts.image_url(part, place), place)
    audio = part.get("input_audio")
    if kind == "input_audio" and isinstance(audio, Mapping):
        mime = f"audio/{audio.get('format', 'wav')}"
        return {"inlineData": {"mimeType": mime, "data": audio.get("data", "")}}
    raise parts.foreign(part, place, "text, image_url, input_audio or Gemini's own parts")


def _image(url: str, place: int) -> dict[str, Any]:
    data = parts.data_url(url, place)
    if data is not None:
        return {"inlineData": {"mimeType": data[0], "data": data[1]}}
    mime = _IMAGES.get(urlsplit(url).path.rpartition(".")[2].lower())
    return {"fileData": {**({"mimeType": mime} if mime else {}), "fileUri": url}}
