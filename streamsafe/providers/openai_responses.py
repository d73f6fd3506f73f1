"""OpenAI Responses.

Here lives the request made of OpenAI-style messages, the decoding of items, and the one API that
keeps a stream: a background response is taken up again behind a sequence number.

Terminal rule: ``response.completed`` or ``response.incomplete``. The ``.done`` events and the last
snapshot repeat the text: what of it never came as a delta is given then, nothing is given twice.
"""

from __future__ import annotations

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

#: Item types that are calls of the program's tools; all others are the server's own.
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}

_PARTS = {"text": "input_text", "image_url": "input_image", "refusal": "refusal"}


class OpenAIResponses:
    """POST …/responses; GET …/responses/{id} to go on."""

    framing = "sse"

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.name = preset.name

    def request(self, call: Call, target: Target) -> Request:
        """A new response, or the rest of one."""
        url = f"{target.base_url}{self.preset.path}"
        cursor = call.extra.get("cursor")
        if cursor is not None:
            url += f"/{cursor['id']}?stream=true&starting_after={cursor['after']}"
            return Request("GET", url, target.headers)
        body = self._body(call)
        if not body.get("model"):
            raise ConfigurationError("openai_responses wants a model: pass model=...")
        return Request("POST", url, target.headers, body)

    def decoder(self, call: Call) -> Decoder:
        """A decoder; behind a cursor it knows what was received before."""
        background = bool((call.body or call.parameters).get("background"))
        return ResponsesDecoder(call.extra.get("cursor"), background)

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """The typed error of an HTTP error response."""
        return http_error(status, headers, body, request_id=self.request_id(headers))

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """``x-request-id``."""
        return headers.get("x-request-id")

    def profile(self, model: Optional[str]) -> Profile:
        """A cursor (for background responses), else a user message."""
        return Profile("no", cursor="sequence_number")

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """Behind the last event by the cursor; or with the partial text and a request to go on."""
        if how == "cursor":
            state = partial.provider_state
            if not state.get("background") or not state.get("response_id"):
                raise ConfigurationError("only a background response can be taken up again")
            cursor = {
                "id": state["response_id"],
                "after": state.get("last_sequence_number", 0),
                "state": dict(state),
            }
            return call.replace(extra={**call.extra, "cursor": cursor})
        if how != "user_message" or call.body is not None:
            raise ConfigurationError(f"{self.name} has no {how} to go on from")
        said = {"role": "assistant", "content": sendable(partial.text)}
        return call.replace(messages=[*call.messages, said, {"role": "user", "content": GO_ON}])

    def _body(self, call: Call) -> dict[str, Any]:
        if call.body is not None:
            body = {**call.body, **call.parameters, "stream": True}
            body.setdefault("model", call.model)
            return body
        body = {"model": call.model, "input": _input(call.messages)}
        for name, value in call.parameters.items():
            body[{"max_tokens": "max_output_tokens"}.get(name, name)] = value
        if "tools" in body:
            body["tools"] = [_tool(tool) for tool in body["tools"]]
        if isinstance(body.get("tool_choice"), Mapping):
            function = body["tool_choice"].get("function")
            if isinstance(function, Mapping):
                body["tool_choice"] = {"type": "function", "name": function["name"]}
        if "response_format" in body:
            body["text"] = {**body.get("text", {}), "format": _format(body.pop("response_format"))}
        body["stream"] = True
        return body


# -- the request -------------------------------------------------------------------------------


def _input(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for place, message in enumerate(messages):
        role = message.get("role")
        if "items" in message:
            items += [dict(item) for item in message["items"]]  # an answer's own, sent back
        elif role is None:
            items.append(dict(message))
        elif role in ("tool", "function"):
            id = message.get("tool_call_id")
            if not id:
                raise ConfigurationError(f"messages[{place}]: a tool message wants tool_call_id")
            items.append(
                {"type": "function_call_output", "call_id": id, "output": message.get("content")}
            )
        else:
            items += _said(place, message)
    return items


def _said(place: int, message: Mapping[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    content = message.get("content")
    if content:
        parts = content if isinstance(content, str) else _parts(place, message)
        items.append({"role": message["role"], "content": parts})
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        items.append(
            {
                "type": "function_call",
                "call_id": call.get("id"),
                "name": function.get("name"),
                "arguments": function.get("arguments") or "{}",
            }
        )
    return items


def _parts(place: int, message: Mapping[str, Any]) -> list[Any]:
    parts: list[Any] = []
    for part in message["content"]:
        kind = part.get("type") if isinstance(part, Mapping) else "text"
        if kind == "text":
            text = part if isinstance(part, str) else part.get("text", "")
            name = "output_text" if message["role"] == "assistant" else "input_text"
            parts.append({"type": name, "text": text})
        elif kind == "image_url":
            image = part.get("image_url")
            url = image.get("url") if isinstance(image, Mapping) else image
            if not isinstance(url, str):
                raise ConfigurationError(f"messages[{place}]: image_url wants a url")
            parts.append({"type": "input_image", "image_url": url})
        else:
            parts.append(dict(part))
    return parts


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    function = tool.get("function")
    return {"type": "function", **function} if isinstance(function, Mapping) else tool


def _format(wanted: Any) -> Any:
    schema = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    return {"type": "json_schema", **schema} if isinstance(schema, Mapping) else wanted


# -- the response ------------------------------------------------------------------------------


class ResponsesDecoder(JSONDecoder):
    """Decodes the events of one response; keeps its cursor and items in ``state``."""

    def __init__(
        self, cursor: Optional[Mapping[str, Any]] = None, background: bool = False
    ) -> None:
        super().__init__()
        earlier = dict(cursor["state"]) if cursor is not None else {}
        self.state = {**earlier, "background": background}
        self._last = cursor["after"] if cursor is not None else -1
        self.id = earlier.get("response_id")
        # What was given of each text, in characters; known by (kind, output index, part index).
        self._given: dict[str, int] = dict(earlier.get("given", {}))
        self._calls: dict[str, int] = dict(earlier.get("calls", {}))
        self._partial = False
        self._usage: dict[str, Any] = {}
        self._refused = bool(earlier.get("refused"))
        self._items: dict[int, Mapping[str, Any]] = {}

    def take(self, payload: Any, event: str, chunks: list[Chunk]) -> None:
        """Events that were seen are passed over; errors have two shapes."""
        if isinstance(payload, Mapping):
            number = payload.get("sequence_number")
            if isinstance(number, int):
                if number <= self._last:
                    return
                # Begun in the middle and without what was before: nothing can be compared.
                self._partial = self._partial or (self._last < 0 < number)
                self._last = number
                self.state["last_sequence_number"] = number
            if payload.get("type") == "error" or event == "error":
                self.fail(payload)
                return
        super().take(payload, event, chunks)

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """By the event's type."""
        kind = payload.get("type") or event
        if kind == "keepalive":
            return []
        if isinstance(payload.get("response"), Mapping):
            return self._snapshot(kind, payload, payload["response"])
        handler = _HANDLERS.get(kind)
        chunks: list[Chunk] = handler(self, payload) if handler is not None else []
        return chunks or [Chunk("other", raw=payload)]

    def whole(self, payload: Any) -> list[Chunk]:
        """A response as one document: not streamed, or asked for later."""
        if not isinstance(payload, Mapping) or "output" not in payload or payload.get("error"):
            return self.fail(payload)
        status = payload.get("status")
        if status in ("queued", "in_progress"):
            return [Chunk("other", raw=payload)]
        return self._snapshot(f"response.{status}", payload, payload)

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The answer's items, reasoning with what must come back, as one assistant message."""
        if not self._items:
            return None
        items = [dict(item) for _, item in sorted(self._items.items())]
        return {"role": "assistant", "content": completion.text or None, "items": items}

    # -- snapshots ------------------------------------------------------------------------------

    def _snapshot(
        self, kind: str, raw: Mapping[str, Any], response: Mapping[str, Any]
    ) -> list[Chunk]:
        self.id = self.id or response.get("id") or None
        self.model = self.model or response.get("model") or None
        self.state["response_id"] = self.id
        if response.get("background"):
            self.state["background"] = True
        if kind in ("response.failed", "response.cancelled"):
            return self.fail({"error": response.get("error") or {"message": kind}})
        if kind not in ("response.completed", "response.incomplete"):
            return [Chunk("other", raw=raw)]
        chunks: list[Chunk] = []
        for place, item in enumerate(response.get("output") or ()):
            if isinstance(item, Mapping):
                chunks += self._item(place, item, raw)
        chunks.append(self._finish(kind, raw, response))
        usage = response.get("usage")
        if isinstance(usage, Mapping):
            merge(self._usage, usage)
            chunks.append(Chunk("usage", usage=responses_usage(self._usage), raw=raw))
        self.finished = self.closed = True
        return chunks

    def _finish(self, kind: str, raw: Any, response: Mapping[str, Any]) -> Chunk:
        details = response.get("incomplete_details")
        why = details.get("reason") if isinstance(details, Mapping) else None
        if kind == "response.completed":
            reason = "refusal" if self._refused else "tool_calls" if self._calls else "stop"
            word = "completed"
        else:
            reason = {"content_filter": "content_filter"}.get(str(why), "length")
            word = f"incomplete:{why}"
        return Chunk("finish", finish_reason=reason, raw=raw, raw_finish_reason=word)

    def _item(self, place: int, item: Mapping[str, Any], raw: Any) -> list[Chunk]:
        """An item as it ended: what of it did not come in deltas."""
        self._items[place] = item
        self.state["items"] = [dict(kept) for _, kept in sorted(self._items.items())]
        chunks: list[Chunk] = []
        kind = item.get("type")
        if kind in CALLS:
            chunks += self._call(place, item, raw)
            given = str(item.get(CALLS[kind]) or "")
            return chunks + self._rest("arguments", place, 0, given, raw)
        for number, part in enumerate(item.get("content") or ()):
            if not isinstance(part, Mapping):
                continue
            if part.get("type") == "output_text":
                chunks += self._rest("text", place, number, part.get("text") or "", raw)
            elif part.get("type") == "refusal":
                chunks += self._rest("refusal", place, number, part.get("refusal") or "", raw)
            elif part.get("type") == "reasoning_text":
                chunks += self._rest("thought", place, number, part.get("text") or "", raw)
        for number, part in enumerate(item.get("summary") or ()):
            if isinstance(part, Mapping):
                chunks += self._rest("summary", place, number, part.get("text") or "", raw)
        return chunks

    def _call(self, place: int, item: Mapping[str, Any], raw: Any) -> list[Chunk]:
        if str(place) in self._calls:
            return []
        self._calls[str(place)] = index = len(self._calls)
        self.state["calls"] = dict(self._calls)
        fragment = ToolCallFragment(index, item.get("call_id") or "", item.get("name") or "")
        return [Chunk("tool_call", tool_call=fragment, raw=raw)]

    # -- pieces ---------------------------------------------------------------------------------

    def _rest(self, kind: str, place: int, number: int, whole: str, raw: Any) -> list[Chunk]:
        given = self._given.get(f"{kind}/{place}/{number}", 0)
        if self._partial:
            return []
        return self._piece(kind, place, number, whole[given:], raw)

    def _piece(self, kind: str, place: int, number: int, piece: str, raw: Any) -> list[Chunk]:
        if not piece:
            return []
        key = f"{kind}/{place}/{number}"
        self._given[key] = self._given.get(key, 0) + len(piece)
        self.state["given"] = self._given
        if kind == "text":
            return [Chunk("text", piece, raw=raw)]
        if kind == "refusal":
            self._refused = self.state["refused"] = True
            return [Chunk("refusal", refusal=piece, raw=raw)]
        if kind == "arguments":
            index = self._calls.get(str(place), 0)
            fragment = ToolCallFragment(index, arguments=piece)
            return [Chunk("tool_call", tool_call=fragment, raw=raw)]
        return [Chunk("reasoning", reasoning=piece, raw=raw)]

    def _text_delta(self, payload: Mapping[str, Any]) -> list[Chunk]:
        return self._from_delta("text", payload)

    def _from_delta(self, kind: str, payload: Mapping[str, Any]) -> list[Chunk]:
        number = payload.get("summary_index" if kind == "summary" else "content_index") or 0
        place = payload.get("output_index") or 0
        return self._piece(kind, place, number, payload.get("delta") or "", payload)

    def _from_done(self, kind: str, payload: Mapping[str, Any]) -> list[Chunk]:
        number = payload.get("summary_index" if kind == "summary" else "content_index") or 0
        names = {"refusal": "refusal", "arguments": "arguments"}
        whole = payload.get(names.get(kind, "text")) or payload.get("input") or ""
        return self._rest(kind, payload.get("output_index") or 0, number, whole, payload)

    def _added(self, payload: Mapping[str, Any]) -> list[Chunk]:
        item = payload.get("item")
        if not isinstance(item, Mapping) or item.get("type") not in CALLS:
            return []
        return self._call(payload.get("output_index") or 0, item, payload)

    def _done(self, payload: Mapping[str, Any]) -> list[Chunk]:
        item = payload.get("item")
        if not isinstance(item, Mapping):
            return []
        return self._item(payload.get("output_index") or 0, item, payload)

    def _annotated(self, payload: Mapping[str, Any]) -> list[Chunk]:
        note = payload.get("annotation")
        if not isinstance(note, Mapping):
            return []
        return [Chunk("citation", citation=note, raw=payload)]


def _delta_of(kind: str) -> Any:
    return lambda decoder, payload: decoder._from_delta(kind, payload)


def _done_of(kind: str) -> Any:
    return lambda decoder, payload: decoder._from_done(kind, payload)


_HANDLERS: dict[Any, Any] = {
    "response.output_text.delta": ResponsesDecoder._text_delta,
    "response.output_text.done": _done_of("text"),
    "response.refusal.delta": _delta_of("refusal"),
    "response.refusal.done": _done_of("refusal"),
    "response.reasoning_summary_text.delta": _delta_of("summary"),
    "response.reasoning_summary_text.done": _done_of("summary"),
    "response.reasoning_text.delta": _delta_of("thought"),
    "response.reasoning_text.done": _done_of("thought"),
    "response.function_call_arguments.delta": _delta_of("arguments"),
    "response.function_call_arguments.done": _done_of("arguments"),
    "response.custom_tool_call_input.delta": _delta_of("arguments"),
    "response.custom_tool_call_input.done": _done_of("arguments"),
    "response.output_text.annotation.added": ResponsesDecoder._annotated,
    "response.output_item.added": ResponsesDecoder._added,
    "response.output_item.done": ResponsesDecoder._done,
}


def responses_usage(raw: Mapping[str, Any]) -> Usage:
    """The API's usage in the project's words."""
    into, out = raw.get("input_tokens_details"), raw.get("output_tokens_details")
    asked, written = count(raw.get("input_tokens")), count(raw.get("output_tokens"))
    return Usage(
        asked,
        written,
        count(out.get("reasoning_tokens")) if isinstance(out, Mapping) else 0,
        count(into.get("cached_tokens")) if isinstance(into, Mapping) else 0,
        count(raw.get("total_tokens")) or asked + written,
        False,
        dict(raw),
    )
