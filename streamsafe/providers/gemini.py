"""Google Gemini: streamGenerateContent, of the Gemini API and of Vertex AI.

Here lives the request made of OpenAI-style messages, the decoding of parts, and the terminal rule:
every candidate seen has a finish reason, or the prompt was blocked. There is no end mark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.errors import APIError, ConfigurationError
from streamsafe.models import Call, Chunk, Completion, Request, ToolCallFragment, Usage
from streamsafe.providers.base import Decoder, Profile, Target
from streamsafe.providers.classify import http_error
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.openai_chat import GO_ON, sendable
from streamsafe.providers.presets import Preset
from streamsafe.providers.usage import count, merge

FILTERED = frozenset(
    ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
     "ESCALATION", "PUP_LIMITED_DISABLED")
)  # fmt: skip

#: Mishaps of the model's: another try may help.
MISHAPS = frozenset(
    ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE",
     "MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS", "OTHER", "NO_IMAGE")
)  # fmt: skip

#: Generation parameters by their OpenAI-style names.
_CONFIG = {
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "stop": "stopSequences",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}

#: From 3.5-flash-lite and 3.6 on, a last model turn is refused.
_NO_PREFILL = re.compile(r"gemini-(?:3\.5-flash-lite|3\.[6-9]|[4-9])")


class Gemini:
    """POST …/models/{model}:streamGenerateContent?alt=sse."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.name = preset.name
        self.framing = "json"  # without alt=sse the answer is an array; with it, a stream

    def request(self, call: Call, target: Target) -> Request:
        """The request. Raises ConfigurationError for messages that the API cannot take."""
        if not call.model:
            raise ConfigurationError(f"{self.name} wants a model: pass model=...")
        base, _, query = target.base_url.partition("?")
        base = base.rstrip("/")
        path = self.preset.path
        if path and not re.search(r"/v\d\w*$", base):
            base += path
        model = call.model if "/" in call.model else f"models/{call.model}"
        url = f"{base}/{model}:streamGenerateContent?{query or 'alt=sse'}"
        body = self._body(call)
        if "continuation_token" in call.extra:
            body["continuationToken"] = call.extra["continuation_token"]
        return Request("POST", url, target.headers, body)

    def decoder(self, call: Call) -> Decoder:
        """A decoder of one response."""
        return GeminiDecoder()

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """A quota by the day is not cured by waiting."""
        error = http_error(status, headers, body, request_id=self.request_id(headers))
        if status == 429 and re.search(r"per.?day", body, re.I):
            error.retryable = False
            error.hint = "a daily quota is used up: waiting a moment does not help"
        return error

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """None is stable; ``responseId`` stands in the chunks."""
        return headers.get("x-request-id")

    def profile(self, model: Optional[str]) -> Profile:
        """By the model; where it takes a last model turn it goes on exactly."""
        if _NO_PREFILL.search(model or "") or "gemini" not in (model or ""):
            return Profile("no")
        return Profile("yes", exact=True)

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """Go on from the text as a last model turn, or ask to."""
        if call.body is not None or how not in ("prefill", "user_message"):
            raise ConfigurationError(f"{self.name} has no {how} to go on from here")
        said = [*call.messages, {"role": "assistant", "content": sendable(partial.text)}]
        if how == "user_message":
            said.append({"role": "user", "content": GO_ON})
        return call.replace(messages=said)

    def _body(self, call: Call) -> dict[str, Any]:
        if call.body is not None:
            return {n: v for n, v in {**call.body, **call.parameters}.items() if n != "model"}
        system, contents = _contents(call.messages)
        body: dict[str, Any] = {"contents": contents}
        if system:
            body["systemInstruction"] = {"parts": system}
        body.update(_parameters(call.parameters))
        return body


# -- the request -----------------------------------------------------------------------------------


def _contents(said: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[dict[str, Any]]]:
    """System parts, and turns in which roles alternate."""
    system: list[Any] = []
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for place, message in enumerate(said):
        role = message.get("role")
        if role in ("system", "developer"):
            system += _parts(place, message)
            continue
        for call in message.get("tool_calls") or ():
            names[call.get("id") or ""] = call.get("function", {}).get("name") or ""
        turn = "model" if role in ("assistant", "model") else "user"
        parts = _result(place, message, names) if role == "tool" else _parts(place, message)
        if contents and contents[-1]["role"] == turn:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": turn, "parts": parts})
    if not contents:
        raise ConfigurationError("gemini wants at least one user message")
    return system, contents


def _result(place: int, message: Mapping[str, Any], names: Mapping[str, str]) -> list[Any]:
    name = message.get("name") or names.get(message.get("tool_call_id") or "")
    if not name:
        raise ConfigurationError(
            f"messages[{place}]: gemini wants the tool's name: give name=, or the assistant "
            "message with the call before it"
        )
    content = message.get("content")
    try:
        value = json.loads(content) if isinstance(content, str) else content
    except ValueError:
        value = content
    response = value if isinstance(value, Mapping) else {"result": value}
    made: dict[str, Any] = {"name": name, "response": response}
    id = message.get("tool_call_id") or ""
    if id and not id.startswith(_MADE_ID):
        made["id"] = id
    return [{"functionResponse": made}]


def _parts(place: int, message: Mapping[str, Any]) -> list[Any]:
    if "parts" in message:
        return list(message["parts"])
    content = message.get("content")
    parts: list[Any] = []
    for part in [content] if isinstance(content, str) else content or ():
        if isinstance(part, str):
            parts.append({"text": part})
        elif part.get("type") == "text":
            parts.append({"text": part.get("text", "")})
        elif part.get("type") == "image_url":
            parts.append(_image(place, part.get("image_url")))
        elif "type" in part:
            raise ConfigurationError(
                f"messages[{place}]: gemini takes no part of type {part['type']!r}; "
                'give one of its own, such as {"fileData": ...}'
            )
        else:
            parts.append(dict(part))
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        arguments = function.get("arguments") or "{}"
        args = json.loads(arguments) if isinstance(arguments, str) else arguments
        parts.append({"functionCall": {"name": function.get("name"), "args": args}})
    return parts


def _image(place: int, image: Any) -> dict[str, Any]:
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise ConfigurationError(f"messages[{place}]: image_url wants a url")
    if url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        return {"inlineData": {"mimeType": head.split(";")[0], "data": data}}
    return {"fileData": {"fileUri": url}}


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for name, value in given.items():
        if name in _CONFIG:
            listed = name == "stop" and isinstance(value, str)
            config[_CONFIG[name]] = [value] if listed else value
        elif name == "response_format":
            config.update(_format(value))
        elif name == "tools":
            body["tools"] = _tools(value)
        elif name == "tool_choice":
            body["toolConfig"] = {"functionCallingConfig": _tool_choice(value)}
        else:
            body[name] = value
    if config:
        body["generationConfig"] = {**config, **body.get("generationConfig", {})}
    return body


def _format(wanted: Any) -> dict[str, Any]:
    if not isinstance(wanted, Mapping) or wanted.get("type") == "text":
        return {}
    schema = (wanted.get("json_schema") or {}).get("schema")
    made = {"responseMimeType": "application/json"}
    return {**made, "responseJsonSchema": schema} if schema else made


def _tools(tools: Sequence[Mapping[str, Any]]) -> list[Any]:
    declared = [dict(tool["function"]) for tool in tools if tool.get("type") == "function"]
    own = [tool for tool in tools if tool.get("type") != "function"]
    for function in declared:
        function.pop("strict", None)
    return ([{"functionDeclarations": declared}] if declared else []) + own


def _tool_choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, Mapping):
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    return {"mode": {"required": "ANY", "none": "NONE"}.get(choice, "AUTO")}


# -- the response ----------------------------------------------------------------------------------

#: The ids that are made here where the API gives none; it must not see them again.
_MADE_ID = "call_streamsafe_"


class GeminiDecoder(JSONDecoder):
    """Decodes the chunks of one response."""

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Any] = {}
        self._finish: dict[int, str] = {}
        self._seen: set[int] = set()
        self._calls: dict[int, int] = {}
        self._parts: list[dict[str, Any]] = []

    def payload(self, payload: Mapping[str, Any], event: str = "") -> list[Chunk]:
        """Candidates' parts, then finish, then usage."""
        self.id = self.id or payload.get("responseId") or None
        self.model = self.model or payload.get("modelVersion") or None
        chunks: list[Chunk] = []
        for candidate in payload.get("candidates") or ():
            if isinstance(candidate, Mapping):
                chunks += self._candidate(candidate, payload)
        chunks += self._blocked(payload)
        usage = payload.get("usageMetadata")
        if isinstance(usage, Mapping) and usage:
            merge(self._usage, usage)
            chunks.append(Chunk("usage", usage=gemini_usage(self._usage), raw=payload))
        if self.failure is None:
            self.finished = bool(self._finish) and all(i in self._finish for i in self._seen)
        return chunks or [Chunk("other", raw=payload)]

    def whole(self, payload: Any) -> list[Chunk]:
        """An answer that was not streamed; an array of chunks."""
        chunks: list[Chunk] = []
        for item in payload if isinstance(payload, list) else [payload]:
            if self.failure is None:
                self.take(item, "message", chunks)
        return chunks

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The model's turn in parts of its own, signatures in their places."""
        if not self._parts:
            return None
        return {"role": "assistant", "content": completion.text or None, "parts": self._parts}

    def _candidate(self, candidate: Mapping[str, Any], raw: Mapping[str, Any]) -> list[Chunk]:
        index = candidate.get("index")
        index = index if isinstance(index, int) else 0
        self._seen.add(index)
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, Mapping) else None
        chunks: list[Chunk] = []
        for part in parts or ():
            if isinstance(part, Mapping):
                chunks += self._part(index, part, raw)
        cited = candidate.get("citationMetadata")
        cited = cited if isinstance(cited, Mapping) else {}
        for citation in cited.get("citationSources") or cited.get("citations") or ():
            chunks.append(Chunk("citation", citation=citation, index=index, raw=raw))
        return chunks + self._ended(index, candidate, raw)

    def _part(self, index: int, part: Mapping[str, Any], raw: Any) -> list[Chunk]:
        if not index:
            self._remember(part)
        text, call = part.get("text"), part.get("functionCall")
        if isinstance(call, Mapping):
            place = self._calls.get(index, 0)
            self._calls[index] = place + 1
            id = call.get("id") or f"{_MADE_ID}{place}"
            given = json.dumps(call.get("args") or {}, ensure_ascii=False, separators=(",", ":"))
            fragment = ToolCallFragment(place, id, call.get("name") or "", given)
            return [Chunk("tool_call", tool_call=fragment, index=index, raw=raw)]
        if not isinstance(text, str) or not text:
            return []
        if part.get("thought"):
            return [Chunk("reasoning", reasoning=text, index=index, raw=raw)]
        return [Chunk("text", text, index=index, raw=raw)]

    def _remember(self, part: Mapping[str, Any]) -> None:
        """Parts for the next turn; texts that follow one another without a signature are one."""
        last = self._parts[-1] if self._parts else {}
        plain = set(part) <= {"text", "thought"} and set(last) <= {"text", "thought"}
        if last and plain and part.get("thought") == last.get("thought"):
            last["text"] = last["text"] + (part.get("text") or "")
        else:
            self._parts.append(dict(part))
        self.state["parts"] = self._parts

    def _ended(self, index: int, candidate: Mapping[str, Any], raw: Any) -> list[Chunk]:
        reason = candidate.get("finishReason")
        if not isinstance(reason, str) or reason == "FINISH_REASON_UNSPECIFIED":
            return []
        if reason in MISHAPS:
            said = candidate.get("finishMessage") or f"finishReason {reason}"
            return self.fail({"error": {"message": said, "status": reason}}, retryable=True)
        if index in self._finish:
            return []
        self._finish[index] = reason
        token = candidate.get("continuationToken") or raw.get("continuationToken")
        if reason == "CONTINUATION" and token:
            self.state["continuation_token"] = token
            self.continuation = {"continuation_token": token}
            return []
        normal = "length" if reason == "MAX_TOKENS" else "stop"
        if reason in FILTERED or reason.startswith("IMAGE_"):
            normal = "content_filter"
        elif normal == "stop" and self._calls.get(index):
            normal = "tool_calls"
        return [
            Chunk("finish", finish_reason=normal, index=index, raw=raw, raw_finish_reason=reason)
        ]

    def _blocked(self, payload: Mapping[str, Any]) -> list[Chunk]:
        feedback = payload.get("promptFeedback")
        reason = feedback.get("blockReason") if isinstance(feedback, Mapping) else None
        if not reason or self._finish:
            return []
        self._finish[0] = str(reason)
        return [
            Chunk("finish", finish_reason="content_filter", raw=payload, raw_finish_reason=reason)
        ]


def gemini_usage(raw: Mapping[str, Any]) -> Usage:
    """Thoughts are counted apart by the API; here they are part of the output, as elsewhere."""
    thought = count(raw.get("thoughtsTokenCount"))
    asked = count(raw.get("promptTokenCount")) + count(raw.get("toolUsePromptTokenCount"))
    written = count(raw.get("candidatesTokenCount")) + thought
    return Usage(
        asked,
        written,
        thought,
        count(raw.get("cachedContentTokenCount")),
        count(raw.get("totalTokenCount")) or asked + written,
        False,
        dict(raw),
    )
