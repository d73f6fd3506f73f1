"""OpenAI Chat Completions, and all who speak like it.

Here lives the request, the decoding and the terminal rule of ``/chat/completions``; how the
compatible servers differ is data in ``presets``. The tolerances are those that servers call for:
choices without delta, content as a list, tool calls without an index, usage anywhere.

Terminal rule: every choice seen (and as many as ``n`` asks for) has a finish reason, and no error
was seen. ``[DONE]`` is neither needed nor enough: vLLM and TGI send it after an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from streamsafe.errors import ConfigurationError
from streamsafe.models import (
    Call,
    Chunk,
    Completion,
    Request,
    ServerSentEvent,
    Usage,
)
from streamsafe.providers.base import Decoder, Target
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.pattern import TRIES, Pattern, plain
from streamsafe.providers.payloads import scan, scanstring
from streamsafe.providers.service import GO_ON, Service, sendable
from streamsafe.providers.toolcalls import ToolCalls
from streamsafe.providers.usage import count, merge

#: Finish reasons in the project's words; unknown ones mean "ended, unknown" and are kept raw.
FINISH = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "model_length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

#: Finish reasons that are failures of the server.
FAILURES = frozenset({"error", "abort", "aborted", "insufficient_system_resource", "network_error"})

#: The spellings of reasoning in a delta, the first that is there counts: OpenRouter and others
#: send the same text under two names.
_REASONING = ("reasoning_content", "reasoning")

_new = tuple.__new__


class OpenAIChat(Service):
    """The provider of one preset of the family."""

    def request(self, call: Call, target: Target) -> Request:
        """POST …/chat/completions. Raises ConfigurationError without a model."""
        body = self._body(call)
        base_url = call.extra.get("base_url") or target.base_url
        return Request("POST", self._url(base_url, body), target.headers, body)

    def decoder(self, call: Call) -> Decoder:
        """A decoder that waits for as many choices as were asked for."""
        asked = (call.body or call.parameters).get("n")
        return ChatDecoder(asked if isinstance(asked, int) else 1)

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """The call that goes on from the partial text."""
        if call.body is not None:
            raise ConfigurationError("a body= of the provider's own can't be continued")
        said: dict[str, Any] = {"role": "assistant", "content": sendable(partial.text)}
        if how == "user_message":
            messages = [*call.messages, said, {"role": "user", "content": GO_ON}]
            return call.replace(messages=messages)
        if how != "prefill":
            raise ConfigurationError(f"{self.name} has no {how} to go on from")
        said.update(self.preset.prefill_message)
        parameters = {**call.parameters, **self.preset.prefill_body}
        extra = dict(call.extra)
        if self.preset.prefill_base_url:
            extra["base_url"] = self.preset.prefill_base_url
        return call.replace(messages=[*call.messages, said], parameters=parameters, extra=extra)

    def _body(self, call: Call) -> dict[str, Any]:
        if call.body is not None:
            body = {**call.body, **call.parameters, "stream": True}
            body.setdefault("model", call.model)
        else:
            body = {"model": call.model, "messages": [dict(m) for m in call.messages]}
            body.update(self.preset.renamed(call.parameters))
            body["stream"] = True
            options = {**self.preset.stream_options, **(body.get("stream_options") or {})}
            if options:
                body["stream_options"] = options
        if not body.get("model") and self.preset.needs_model:
            raise ConfigurationError(f"{self.name} wants a model: pass model=...")
        if body.get("model") is None:
            body.pop("model", None)
        return body

    def _url(self, base_url: str, body: Mapping[str, Any]) -> str:
        base, _, query = base_url.partition("?")
        query = query or self.preset.query
        path = self.preset.path
        if self.preset.name == "azure":
            base, query = azure_base(base, query, body, self.preset.query)
        return f"{base.rstrip('/')}{path}" + (f"?{query}" if query else "")


def azure_base(
    base: str, query: str, body: Mapping[str, Any], default: str
) -> tuple[str, str]:
    """Both forms of Azure's URLs: ``…/openai/v1`` takes the deployment as the model and no version;
    the classic form names it in the path and wants ``api-version``."""
    base = base.rstrip("/")
    if base.endswith("/openai/v1"):
        return base, "" if query == default else query
    if "/openai/deployments/" not in base:
        if not base.endswith("/openai"):
            base += "/openai"
        base += f"/deployments/{body['model']}"
    return base, query


class ChatDecoder(JSONDecoder):
    """Decodes the chunks of one response."""

    def __init__(self, choices: int = 1) -> None:
        super().__init__()
        self._wanted = max(1, choices)
        self._seen: dict[int, _Choice] = {}
        self._usage: dict[str, Any] = {}
        self._begun = False
        self._pattern = Pattern()

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """Chunks of these events, up to a failure."""
        chunks: list[Chunk] = []
        pattern, hit = self._pattern, False
        before, start, after, known = pattern.parts()
        for event in events:
            data, raw = event[1], None
            if data.startswith(before) and event[0] == "message":
                try:
                    text, end = scanstring(data, start)
                except ValueError:
                    text = ""
                if text and data[end:] == after:
                    hit, raw = True, _with_content(known, text)
            if raw is None:
                raw = self._plain(event)
                if raw is None:
                    chunks += super().feed((event,))
                    if self.failure is not None or self.closed:
                        break
                    continue
                text = raw["choices"][0]["delta"]["content"]
                if pattern.tries and plain(raw, "choices") and plain(raw["choices"][0], "delta"):
                    pattern.learn(data, raw, "content", text, _with_content)
                    before, start, after, known = pattern.parts()
            chunks.append(_new(Chunk, ("text", text, "", None, None, None, 0, raw, "", None, None)))
        if hit:
            pattern.tries = TRIES
        return chunks

    def _plain(self, event: ServerSentEvent) -> Optional[dict[str, Any]]:
        """The payload if it is one choice's piece of text and nothing else of interest: the
        common case. All that is not exactly so, broken JSON too, goes the general way."""
        data = event[1]
        try:
            payload, end = scan(data, 0)
            (choice,) = payload["choices"]
            ((name, text),) = choice["delta"].items()
            if (
                name == "content"
                and text.__class__ is str
                and text
                and end == len(data)
                and choice["finish_reason"] is None
                and choice["index"] == 0
                and "error" not in payload
                and payload.get("usage") is None
                and self._begun
                and event[0] == "message"
            ):
                return payload  # type: ignore[no-any-return]
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration, RecursionError):
            pass
        return None

    def whole(self, payload: Any) -> list[Chunk]:
        """A plain answer: the server did not stream."""
        if not isinstance(payload, Mapping) or "choices" not in payload or payload.get("error"):
            return self.fail(payload)
        choices = [
            {**choice, "delta": choice.get("message") or {"content": choice.get("text")}}
            for choice in payload["choices"]
            if isinstance(choice, Mapping)
        ]
        return self.payload({**payload, "choices": choices})

    def payload(self, payload: Mapping[str, Any], event: str = "") -> list[Chunk]:
        """The chunks of one payload, in the order reasoning, text, calls, finish, usage."""
        self._begun = True
        self.id = self.id or payload.get("id") or None
        self.model = self.model or payload.get("model") or None
        chunks: list[Chunk] = []
        choices = payload.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, Mapping):
                self._choice(choice, payload, chunks)
        self._add_usage(payload, chunks)
        groq = payload.get("x_groq")
        if isinstance(groq, Mapping) and groq.get("error"):
            self.fail({"error": groq["error"]})
        elif self.failure is None:
            self.finished = len(self._seen) >= self._wanted and all(
                seen.finish for seen in self._seen.values()
            )
        return chunks or [Chunk("other", raw=payload)]

    def _choice(
        self, choice: Mapping[str, Any], payload: Mapping[str, Any], chunks: list[Chunk]
    ) -> None:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        delta = choice.get("delta")
        if not isinstance(delta, Mapping):
            text = choice.get("text")
            if "delta" in choice or "text" in choice or choice.get("finish_reason"):
                delta = {"content": text}
            else:
                return self._annotation(payload, chunks)
        seen = self._seen.get(index)
        if seen is None:
            seen = self._seen[index] = _Choice()
        self._delta(delta, seen, index, payload, chunks)
        self._finish(choice, seen, index, payload, chunks)
        return None

    @staticmethod
    def _annotation(payload: Mapping[str, Any], chunks: list[Chunk]) -> None:
        """Azure's asynchronous filter: a choice without delta, also behind the finish."""
        chunks.append(Chunk("other", raw=payload))

    def _delta(
        self,
        delta: Mapping[str, Any],
        seen: _Choice,
        index: int,
        payload: Mapping[str, Any],
        chunks: list[Chunk],
    ) -> None:
        content = delta.get("content")
        reasoning = _reasoning(delta)
        if isinstance(content, list):
            thought, content, cited = _parts(content)
            reasoning += thought
            for citation in cited:
                chunks.append(Chunk("citation", citation=citation, index=index, raw=payload))
        if reasoning:
            chunks.append(Chunk("reasoning", reasoning=reasoning, index=index, raw=payload))
        if isinstance(content, str) and content:
            chunks.append(Chunk("text", content, index=index, raw=payload))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            seen.refused = True
            chunks.append(Chunk("refusal", refusal=refusal, index=index, raw=payload))
        for note in delta.get("annotations") or ():
            if isinstance(note, Mapping):
                chunks.append(Chunk("citation", citation=note, index=index, raw=payload))
        for fragment in seen.calls.fragments(delta):
            chunks.append(Chunk("tool_call", tool_call=fragment, index=index, raw=payload))

    def _finish(
        self,
        choice: Mapping[str, Any],
        seen: _Choice,
        index: int,
        payload: Mapping[str, Any],
        chunks: list[Chunk],
    ) -> None:
        reason = choice.get("finish_reason")
        if not isinstance(reason, str) or not reason or seen.finish is not None:
            return
        if reason.lower() in FAILURES:
            self.fail({"error": {"message": f"finish_reason {reason!r}", "type": reason}})
            return
        seen.finish = reason
        normal = FINISH.get(reason.lower(), "stop")
        if normal == "stop" and seen.refused:
            normal = "refusal"
        elif normal == "stop" and seen.calls.begun:
            normal = "tool_calls"
        chunks.append(
            Chunk(
                "finish", finish_reason=normal, index=index, raw=payload, raw_finish_reason=reason
            )
        )

    def _add_usage(self, payload: Mapping[str, Any], chunks: list[Chunk]) -> None:
        usage = payload.get("usage")
        groq = payload.get("x_groq")
        if not usage and isinstance(groq, Mapping):
            usage = groq.get("usage")
        if isinstance(usage, Mapping) and usage:
            merge(self._usage, usage)
            chunks.append(Chunk("usage", usage=chat_usage(self._usage), raw=payload))


class _Choice:
    """What is remembered of one choice."""

    __slots__ = ("finish", "refused", "calls")

    def __init__(self) -> None:
        self.finish: Optional[str] = None
        self.refused = False
        self.calls = ToolCalls()


def _with_content(payload: dict[str, Any], text: str) -> dict[str, Any]:
    """The payload of a piece of text, with another text."""
    payload = payload.copy()  # half the price of unpacking it
    choice = payload["choices"][0].copy()
    delta = choice["delta"].copy()
    delta["content"], choice["delta"], payload["choices"] = text, delta, [choice]
    return payload


def chat_usage(raw: Mapping[str, Any]) -> Usage:
    """The family's usage in the project's words."""

    asked, written = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
    out = raw.get("completion_tokens_details") or {}
    into = raw.get("prompt_tokens_details") or {}
    cached = into.get("cached_tokens") if isinstance(into, Mapping) else None
    return Usage(
        asked,
        written,
        count(out.get("reasoning_tokens") if isinstance(out, Mapping) else None),
        count(cached if cached is not None else raw.get("prompt_cache_hit_tokens")),
        count(raw.get("total_tokens")) or asked + written,
        False,
        dict(raw),
    )


def _reasoning(delta: Mapping[str, Any]) -> str:
    for name in _REASONING:
        value = delta.get(name)
        if isinstance(value, str) and value:
            return value
    pieces = []
    for detail in delta.get("reasoning_details") or ():
        if isinstance(detail, Mapping):
            text = detail.get("text") or detail.get("summary")
            pieces.append(text if isinstance(text, str) else "")
    return "".join(pieces)


def _parts(content: list[Any]) -> tuple[str, str, list[Mapping[str, Any]]]:
    """Mistral's content lists: reasoning, text, references."""
    reasoning, text, cited = "", "", []
    for part in content:
        if isinstance(part, str):
            text += part
        elif not isinstance(part, Mapping):
            continue
        elif part.get("type") == "thinking":
            inner = part.get("thinking")
            items = inner if isinstance(inner, list) else [inner]
            for item in items:
                piece = item.get("text") if isinstance(item, Mapping) else item
                reasoning += piece if isinstance(piece, str) else ""
        elif part.get("type") == "reference":
            cited.append(part)
        elif isinstance(part.get("text"), str):
            text += part["text"]
    return reasoning, text, cited
