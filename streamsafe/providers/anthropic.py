"""Anthropic Messages.

Here lives the request made of OpenAI-style messages, the decoding of content blocks and the
terminal rule: ``message_stop``. A ``message_delta`` with a stop reason but no ``message_stop``
behind it is an answer whose content is whole, cut in its protocol: its blocks are all closed by
then and the stop reason is the API's verdict, so it counts as finished once the body is over.

Both API versions are spoken (they stream alike); 2023-06-01 is asked for, since 2026-10-21 rejects
``temperature`` and its like. ``headers={"anthropic-version": …}`` on the session takes the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.errors import APIError, ConfigurationError
from streamsafe.models import (
    Call,
    Chunk,
    Completion,
    Request,
    ServerSentEvent,
    ToolCallFragment,
    Usage,
)
from streamsafe.providers.base import Decoder, Profile, Target
from streamsafe.providers.classify import http_error
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.openai_chat import GO_ON, sendable
from streamsafe.providers.payloads import scan
from streamsafe.providers.presets import Preset
from streamsafe.providers.usage import count, merge

VERSION = "2023-06-01"

#: The API wants a bound; 4,096 is what its documents' examples have, and all models take it.
MAX_TOKENS = 4096

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}

#: Stop reasons after which the same content is sent back and the answer goes on.
GOES_ON = frozenset({"pause_turn", "compaction"})

#: The last version that goes on from a last assistant message; all later ones refuse it.
LAST_PREFILL = (4, 5)

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")

_new = tuple.__new__


class Anthropic:
    """POST …/v1/messages."""

    framing = "sse"

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.name = preset.name

    def request(self, call: Call, target: Target) -> Request:
        """The request. Raises ConfigurationError for messages that the API cannot take."""
        body = self._body(call)
        if not body.get("model"):
            raise ConfigurationError("anthropic wants a model: pass model=...")
        body["messages"] = [*body["messages"], *call.extra.get("behind", ())]
        headers = {"anthropic-version": VERSION, **target.headers}
        return Request("POST", f"{target.base_url}{self.preset.path}", headers, body)

    def decoder(self, call: Call) -> Decoder:
        """A decoder of one response."""
        return AnthropicDecoder(call)

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """A 429 that names no wait is a spending limit, and no rate."""
        error = http_error(status, headers, body, request_id=self.request_id(headers))
        if status == 429 and error.retry_after is None and "x-should-retry" not in headers:
            error.retryable = False
            error.hint = "a 429 without retry-after is a spending limit: waiting does not help"
        return error

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """``request-id``."""
        return headers.get("request-id")

    def profile(self, model: Optional[str]) -> Profile:
        """Prefill up to the 4.5 models; a user message for the later ones."""
        found = _VERSION.search(model or "")
        if found and (int(found[1]), int(found[2] or 0)) <= LAST_PREFILL:
            return Profile("yes", strips=True)
        return Profile("no")

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """Go on from the text; thinking must be off for a prefill."""
        if call.body is not None:
            raise ConfigurationError("a body= of the provider's own can't be continued")
        text = sendable(partial.text)
        if how == "prefill":
            thinking = call.parameters.get("thinking")
            if isinstance(thinking, Mapping) and thinking.get("type") != "disabled":
                raise ConfigurationError("thinking does not go together with a prefill")
            if not text.rstrip():
                raise ConfigurationError("white space alone can't be a prefill")
            return call.replace(
                messages=[*call.messages, {"role": "assistant", "content": text.rstrip()}]
            )
        if how != "user_message":
            raise ConfigurationError(f"{self.name} has no {how} to go on from")
        said = {"role": "assistant", "content": text.rstrip() or "..."}
        return call.replace(
            messages=[*call.messages, said, {"role": "user", "content": GO_ON}]
        )

    def _body(self, call: Call) -> dict[str, Any]:
        if call.body is not None:
            body = {**call.body, **call.parameters, "stream": True}
            body.setdefault("model", call.model)
            return body
        system, messages = _messages(call.messages)
        body = {"model": call.model, "max_tokens": MAX_TOKENS, "messages": messages}
        if system:
            body["system"] = system
        body.update(_parameters(call.parameters))
        body["stream"] = True
        return body


# -- the request -------------------------------------------------------------------------------


def _messages(said: Sequence[Mapping[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """The system text (or blocks), and user and assistant turns in blocks."""
    system: list[Any] = []
    turns: list[dict[str, Any]] = []
    for place, message in enumerate(said):
        role = message.get("role")
        if role in ("system", "developer"):
            system += _blocks(place, message.get("content"))
            continue
        turn = {"role": "assistant" if role == "assistant" else "user"}
        content = _content(place, message)
        if role in ("tool", "function") and turns and turns[-1].get("tools"):
            turns[-1]["content"] += content  # results of parallel calls are one user turn
            continue
        turns.append({**turn, "content": content, "tools": role in ("tool", "function")})
    for turn in turns:
        turn.pop("tools")
    if not turns:
        raise ConfigurationError("anthropic wants at least one user message")
    plain = all(block.get("type") == "text" and len(block) == 2 for block in system)
    return ("\n\n".join(block["text"] for block in system) if plain else system), turns


def _content(place: int, message: Mapping[str, Any]) -> Any:
    role, content = message.get("role"), message.get("content")
    if role in ("tool", "function"):
        given = content if isinstance(content, str) else _blocks(place, content)
        id = message.get("tool_call_id")
        if not id:
            raise ConfigurationError(f"messages[{place}]: a tool message wants tool_call_id")
        return [{"type": "tool_result", "tool_use_id": id, "content": given}]
    calls = message.get("tool_calls") or ()
    if isinstance(content, str) and not calls:
        return content
    blocks = _blocks(place, content)
    for call in calls:
        function = call.get("function", {})
        blocks.append(
            {
                "type": "tool_use",
                "id": call.get("id"),
                "name": function.get("name"),
                "input": _arguments(place, function.get("arguments")),
            }
        )
    return blocks


def _arguments(place: int, arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments or {}
    try:
        return json.loads(arguments or "{}")
    except ValueError as error:
        raise ConfigurationError(
            f"messages[{place}]: the arguments of a tool call are no JSON: {error}"
        ) from error


def _blocks(place: int, content: Any) -> list[Any]:
    """Content parts as the API's blocks; its own blocks go through as they are."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    blocks: list[Any] = []
    for part in content:
        if isinstance(part, str):
            blocks.append({"type": "text", "text": part})
        elif part.get("type") in ("image_url", "input_image"):
            blocks.append({"type": "image", "source": _image(place, part.get("image_url"))})
        elif part.get("type") in ("input_audio", "file", "audio"):
            raise ConfigurationError(
                f"messages[{place}]: anthropic takes no {part['type']} in this form; "
                "give a block of its own"
            )
        elif part.get("type") == "refusal":
            blocks.append({"type": "text", "text": part.get("refusal", "")})
        else:
            blocks.append(dict(part))
    return blocks


def _image(place: int, image: Any) -> dict[str, Any]:
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise ConfigurationError(f"messages[{place}]: image_url wants a url")
    if url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        return {"type": "base64", "media_type": head.split(";")[0], "data": data}
    return {"type": "url", "url": url}


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of one meaning under the API's names; all else as it is."""
    body: dict[str, Any] = {}
    for name, value in given.items():
        if name == "stop":
            body["stop_sequences"] = [value] if isinstance(value, str) else value
        elif name == "max_completion_tokens":
            body["max_tokens"] = value
        elif name == "tools":
            body["tools"] = [_tool(tool) for tool in value]
        elif name == "tool_choice":
            body["tool_choice"] = _tool_choice(value)
        elif name == "user":
            body["metadata"] = {"user_id": value}
        else:
            body[name] = value
    return body


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        return tool
    made = {"name": function["name"], "input_schema": function.get("parameters") or _NO_INPUT}
    if function.get("description"):
        made["description"] = function["description"]
    return made


_NO_INPUT = {"type": "object", "properties": {}}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return {"type": {"required": "any"}.get(choice, choice)}
    if isinstance(choice, Mapping) and isinstance(choice.get("function"), Mapping):
        return {"type": "tool", "name": choice["function"]["name"]}
    return choice


# -- the response ------------------------------------------------------------------------------


class AnthropicDecoder(JSONDecoder):
    """Decodes the events of one response; keeps its blocks to be sent back."""

    def __init__(self, call: Optional[Call] = None) -> None:
        super().__init__()
        self._call = call
        self._usage: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, list[str]] = {}
        self._calls: dict[int, int] = {}
        self._stopped = False

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """Chunks of these events, up to a failure."""
        chunks: list[Chunk] = []
        for event in events:
            # The common case, a piece of text in an open text block; all else the general way.
            if event[0] == "content_block_delta":
                try:
                    payload, end = scan(event[1], 0)
                    delta = payload["delta"]
                    if delta["type"] == "text_delta" and not event[1][end:].strip():
                        text = delta["text"]
                        self._blocks[payload["index"]]["text"].append(text)
                        if text:
                            rest = ("", None, None, None, 0, payload, "", None, None)
                            chunks.append(_new(Chunk, ("text", text, *rest)))
                            continue
                except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
                    pass
            chunks += super().feed((event,))
            if self.failure is not None or self.closed:
                break
        return chunks

    def take(self, payload: Any, event: str, chunks: list[Chunk]) -> None:
        """Errors name their request."""
        if isinstance(payload, Mapping) and payload.get("type") == "error":
            self.fail(payload, request_id=payload.get("request_id"))
        else:
            super().take(payload, event, chunks)

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """By the payload's type, which is the event's name."""
        handler = _HANDLERS.get(payload.get("type", event))
        if handler is not None:
            found: list[Chunk] = handler(self, payload)
            return found
        return [Chunk("other", raw=payload)]

    def whole(self, payload: Any) -> list[Chunk]:
        """A message that was not streamed."""
        if not isinstance(payload, Mapping) or payload.get("type") != "message":
            return self.fail(payload)
        chunks = self._message_start({"message": {**payload, "content": []}})
        for index, block in enumerate(payload.get("content") or ()):
            chunks += self._start({"index": index, "content_block": block, "whole": True})
            chunks += self._stop({"index": index})
        chunks += self._message_delta({"delta": payload, "usage": payload.get("usage")})
        self._message_stop({})
        return [chunk._replace(raw=payload) for chunk in chunks if chunk.kind != "other"]

    def end(self, tail: str) -> list[Chunk]:
        """All blocks closed and a stop reason given: whole, though ``message_stop`` is missing."""
        chunks = super().end(tail)
        if self._stopped and self.failure is None:
            self.finished = True
        return chunks

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The assistant turn in the API's blocks, thinking and signatures unchanged."""
        content = [_sent_back(block) for _, block in sorted(self._blocks.items())]
        content = [block for block in content if block is not None]
        return {"role": "assistant", "content": content} if content else None

    def _message_start(self, payload: Mapping[str, Any]) -> list[Chunk]:
        message = payload.get("message") or {}
        self.id = self.id or message.get("id") or None
        self.model = self.model or message.get("model") or None
        return self._count(message.get("usage"), payload) or [Chunk("other", raw=payload)]

    def _start(self, payload: Mapping[str, Any]) -> list[Chunk]:
        index, block = payload.get("index", 0), dict(payload.get("content_block") or {})
        kind, whole = block.get("type"), payload.get("whole")
        self._blocks[index] = block
        chunks: list[Chunk] = []
        if kind == "text":
            text, block["text"] = block.get("text") or "", []
            cited, block["citations"] = block.get("citations") or (), []
            if text:
                chunks += self._text(index, {"text": text}, payload)
            for citation in cited:
                chunks += self._cited(index, {"citation": citation}, payload)
        elif kind == "thinking":
            thought, block["thinking"] = block.get("thinking") or "", []
            if thought:
                chunks += self._thought(index, {"thinking": thought}, payload)
        elif kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
            self._inputs[index] = []
            if kind == "tool_use":
                self._calls[index] = place = len(self._calls)
                fragment = ToolCallFragment(place, block.get("id") or "", block.get("name") or "")
                chunks.append(Chunk("tool_call", tool_call=fragment, raw=payload))
            if block.get("input") and whole:
                given = json.dumps(block["input"], ensure_ascii=False, separators=(",", ":"))
                chunks += self._input(index, {"partial_json": given}, payload)
        return chunks or [Chunk("other", raw=payload)]

    def _delta(self, payload: Mapping[str, Any]) -> list[Chunk]:
        delta, index = payload.get("delta") or {}, payload.get("index", 0)
        self._blocks.setdefault(index, {"type": "text", "text": [], "citations": []})
        handler = _DELTAS.get(delta.get("type"))
        chunks = handler(self, index, delta, payload) if handler is not None else []
        return chunks or [Chunk("other", raw=payload)]

    def _text(self, index: int, delta: Mapping[str, Any], raw: Any) -> list[Chunk]:
        text = delta.get("text") or ""
        self._blocks[index].setdefault("text", []).append(text)
        return [Chunk("text", text, raw=raw)] if text else []

    def _thought(self, index: int, delta: Mapping[str, Any], raw: Any) -> list[Chunk]:
        thought = delta.get("thinking") or ""
        self._blocks[index].setdefault("thinking", []).append(thought)
        return [Chunk("reasoning", reasoning=thought, raw=raw)] if thought else []

    def _signature(self, index: int, delta: Mapping[str, Any], raw: Any) -> list[Chunk]:
        self._blocks[index]["signature"] = delta.get("signature") or ""
        return []

    def _cited(self, index: int, delta: Mapping[str, Any], raw: Any) -> list[Chunk]:
        citation = delta.get("citation") or {}
        self._blocks[index].setdefault("citations", []).append(citation)
        return [Chunk("citation", citation=citation, raw=raw)]

    def _input(self, index: int, delta: Mapping[str, Any], raw: Any) -> list[Chunk]:
        piece = delta.get("partial_json") or ""
        self._inputs.setdefault(index, []).append(piece)
        if index not in self._calls or not piece:
            return []
        fragment = ToolCallFragment(self._calls[index], arguments=piece)
        return [Chunk("tool_call", tool_call=fragment, raw=raw)]

    def _stop(self, payload: Mapping[str, Any]) -> list[Chunk]:
        index = payload.get("index", 0)
        block = self._blocks.get(index, {})
        if index in self._inputs:
            joined = "".join(self._inputs.pop(index))
            try:
                block["input"] = json.loads(joined) if joined else block.get("input") or {}
            except ValueError:
                block["invalid"] = True  # cut off by max_tokens, or streamed eagerly
        self._keep()
        return [Chunk("other", raw=payload)]

    def _message_delta(self, payload: Mapping[str, Any]) -> list[Chunk]:
        delta = payload.get("delta") or {}
        reason = delta.get("stop_reason")
        chunks: list[Chunk] = []
        if reason in GOES_ON:
            self._stopped = True
            message = self.message(Completion())
            behind = [*(self._call.extra.get("behind", ()) if self._call else ()), message]
            self.continuation = {"behind": behind}
        elif isinstance(reason, str) and not self._stopped:
            self._stopped = True
            chunks += self._refused(reason, delta, payload)
            normal = FINISH.get(reason, "stop")
            if normal == "stop" and self._calls:
                normal = "tool_calls"
            chunks.append(
                Chunk("finish", finish_reason=normal, raw=payload, raw_finish_reason=reason)
            )
        chunks += self._count(payload.get("usage"), payload)
        return chunks or [Chunk("other", raw=payload)]

    @staticmethod
    def _refused(reason: str, delta: Mapping[str, Any], payload: Any) -> list[Chunk]:
        details = delta.get("stop_details")
        why = details.get("explanation") if isinstance(details, Mapping) else None
        if reason != "refusal" or not why:
            return []
        return [Chunk("refusal", refusal=why, raw=payload)]

    def _message_stop(self, payload: Mapping[str, Any]) -> list[Chunk]:
        self.finished = self._stopped
        self.closed = True
        return [Chunk("other", raw=payload)]

    def _ping(self, payload: Mapping[str, Any]) -> list[Chunk]:
        return []

    def _count(self, usage: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        if not isinstance(usage, Mapping) or not usage:
            return []
        merge(self._usage, usage)
        return [Chunk("usage", usage=anthropic_usage(self._usage), raw=payload)]

    def _keep(self) -> None:
        content = [_sent_back(block) for _, block in sorted(self._blocks.items())]
        self.state = {"content": [block for block in content if block is not None]}


_HANDLERS: dict[str, Any] = {
    "message_start": AnthropicDecoder._message_start,
    "content_block_start": AnthropicDecoder._start,
    "content_block_delta": AnthropicDecoder._delta,
    "content_block_stop": AnthropicDecoder._stop,
    "message_delta": AnthropicDecoder._message_delta,
    "message_stop": AnthropicDecoder._message_stop,
    "ping": AnthropicDecoder._ping,
}

_DELTAS: dict[Any, Any] = {
    "text_delta": AnthropicDecoder._text,
    "thinking_delta": AnthropicDecoder._thought,
    "signature_delta": AnthropicDecoder._signature,
    "citations_delta": AnthropicDecoder._cited,
    "input_json_delta": AnthropicDecoder._input,
}


def _sent_back(block: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """A block as it goes back to the API; None for one that it would refuse."""
    made = {name: value for name, value in block.items() if name != "invalid"}
    for name in ("text", "thinking"):
        if isinstance(made.get(name), list):
            made[name] = "".join(made[name])
    if not made.get("citations"):
        made.pop("citations", None)
    empty = made.get("type") == "text" and not made.get("text")
    return None if empty or block.get("invalid") else made


def anthropic_usage(raw: Mapping[str, Any]) -> Usage:
    """The API counts cached input apart; here it is part of the input, as for all providers."""
    read, made = count(raw.get("cache_read_input_tokens")), raw.get("cache_creation_input_tokens")
    asked = count(raw.get("input_tokens")) + read + count(made)
    written = count(raw.get("output_tokens"))
    details = raw.get("output_tokens_details")
    thought = details.get("thinking_tokens") if isinstance(details, Mapping) else None
    return Usage(asked, written, count(thought), read, asked + written, False, dict(raw))
