"""OpenAI Chat Completions, and all who speak like it: what the chunks mean.

Here lives the decoder. The tolerances are those that servers call for: choices without delta,
content as a list, tool calls without an index, usage anywhere.

Terminal rule: every choice seen (and as many as ``n`` asks for) has a finish reason, and no error
was seen. ``[DONE]`` is neither needed nor enough: vLLM and TGI send it after an error. But behind
it no more choices come: a server that does not know ``n`` gives one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

from streamsafe.models import Chunk, Completion, Usage
from streamsafe.providers.halves import united
from streamsafe.providers.jsonevents import is_error
from streamsafe.providers.pattern import Piece
from streamsafe.providers.payloads import mapping, objects, word
from streamsafe.providers.texts import TextDecoder
from streamsafe.providers.thoughts import Thoughts, thought_of
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


class ChatDecoder(TextDecoder):
    """Decodes the chunks of one response."""

    padding = "obfuscation"

    def __init__(self, choices: int = 1, reasoning: str = "") -> None:
        super().__init__()
        self._wanted = max(1, choices)
        self._goes_back_as = reasoning
        self._seen: dict[int, _Choice] = {}
        self._usage: dict[str, Any] = {}
        self._thoughts = Thoughts()

    def piece(self, payload: Any) -> Optional[Piece]:
        """A piece of the text, the reasoning or a tool call of a single choice."""
        (choice,) = payload["choices"]
        delta = choice["delta"]
        if len(delta) > 1:  # with what means nothing
            delta = {
                name: value
                for name, value in delta.items()
                if name != "role" and value is not None and value != ""
            }
        ((name, said),) = delta.items()
        if (
            choice["finish_reason"] is not None
            or choice["index"] != 0
            or "content_filter_results" in choice
            or "error" in payload
            or "x_groq" in payload
            or payload.get("usage") is not None
            or 0 not in self._seen
            or (self.id is None and payload.get("id"))
            or (self.model is None and payload.get("model"))
        ):
            return None
        if name == "tool_calls":
            return self._argument(said)
        if said.__class__ is not str:
            return None
        if name == "content":
            return Piece(said, name, 3, _with_content)
        with_text = _WITH_REASONING[name]
        return Piece(said, name, 3, with_text, _reasoned)

    def _argument(self, calls: Any) -> Optional[Piece]:
        """A piece of the arguments of a call that is under way."""
        (call,) = calls
        function = call["function"]
        arguments, index = function["arguments"], call["index"]
        begun = self._seen[0].calls.at(index)
        plain = arguments.__class__ is str and index.__class__ is int
        if not plain or begun is None or _said(call, "id") or _said(function, "name"):
            return None

        def made(text: str, raw: dict[str, Any]) -> Chunk:
            return Chunk("tool_call", tool_call=begun.add("", "", text), raw=raw)

        return Piece(arguments, "arguments", 6, _with_arguments, made)

    def document(self, payload: Any) -> list[Chunk]:
        """A plain answer: the server did not stream."""
        choices = payload.get("choices") if isinstance(payload, dict) else None
        if not isinstance(choices, list) or is_error(payload):
            return self.fail(payload)
        said = [
            {**choice, "delta": choice.get("message") or {"content": choice.get("text")}}
            for choice in objects(choices)
        ]
        self._wanted = min(self._wanted, len(said)) or 1
        return self.payload({**payload, "choices": said})

    def fail(self, payload: Any, *, reason: Optional[str] = None, **more: Any) -> list[Chunk]:
        """OpenRouter has the choice's finish reason beside the error."""
        choices = objects(mapping(payload).get("choices"))
        said = [word(choice.get("finish_reason")) or "" for choice in choices]
        reason = reason or next((one for one in said if one.lower() in FAILURES), None)
        return super().fail(payload, reason=reason, **more)

    def marked(self) -> None:
        """The choices seen are all there are."""
        super().marked()
        if self._seen and self.failure is None:
            self.finished = all(seen.finish for seen in self._seen.values())

    def payload(self, payload: Mapping[str, Any], event: str = "") -> list[Chunk]:
        """The chunks of one payload, in the order reasoning, text, calls, finish, usage."""
        self.id = self.id or word(payload.get("id"))
        self.model = self.model or word(payload.get("model"))
        groq = mapping(payload.get("x_groq"))
        chunks: list[Chunk] = []
        for choice in objects(payload.get("choices")):
            if groq.get("error"):
                choice = {**choice, "finish_reason": None}  # it may look like a good one
            self._choice(choice, payload, chunks)
        self._add_usage(payload.get("usage") or groq.get("usage"), payload, chunks)
        if groq.get("error"):
            self.fail({"error": groq["error"]})
        elif self.failure is None:
            self.finished = len(self._seen) >= self._wanted and all(
                seen.finish for seen in self._seen.values()
            )
        return chunks or [Chunk("other", raw=payload)]

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The assistant message with what this server wants back; None for the plain one."""
        first, called = self._seen.get(0), bool(completion.tool_calls)
        legacy = called and first is not None and first.calls.legacy
        thought = called and bool(self._goes_back_as and completion.reasoning)
        thoughts = self._thoughts.message(completion.text)
        if not (legacy or thought or thoughts):
            return None
        message = completion.replace(message=None).to_message()
        if legacy:
            message["function_call"] = message.pop("tool_calls")[0]["function"]
        if thought:
            message[self._goes_back_as] = completion.reasoning
        message.update(thoughts)
        return message

    def _choice(
        self, choice: Mapping[str, Any], payload: Mapping[str, Any], chunks: list[Chunk]
    ) -> None:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = {"content": choice.get("text")}
            bare = "delta" not in choice and "text" not in choice
            if bare and not choice.get("finish_reason") and not _is_filtered(choice):
                return  # a note of Azure's asynchronous filter, maybe behind the finish
        seen = self._seen.get(index)
        if seen is None:
            seen = self._seen[index] = _Choice()
        self._delta(delta, seen, index, payload, chunks)
        self._finish(choice, seen, index, payload, chunks)

    def _delta(
        self,
        delta: Mapping[str, Any],
        seen: _Choice,
        index: int,
        payload: Mapping[str, Any],
        chunks: list[Chunk],
    ) -> None:
        content, cited = delta.get("content"), objects(delta.get("annotations"))
        reasoning = _reasoning(delta)
        if not index:
            self._thoughts.add(delta)
        if isinstance(content, list):
            thought, content, references = _parts(content)
            reasoning += thought
            cited = references + cited
        if reasoning:
            chunks.append(Chunk("reasoning", reasoning=reasoning, index=index, raw=payload))
        if isinstance(content, str) and content:
            chunks.append(Chunk("text", content, index=index, raw=payload))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            seen.refused = True
            chunks.append(Chunk("refusal", refusal=refusal, index=index, raw=payload))
        for citation in cited:
            chunks.append(Chunk("citation", citation=citation, index=index, raw=payload))
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
        """The first reason counts, but for a filter that strikes behind it."""
        reason = choice.get("finish_reason")
        reason = reason if isinstance(reason, str) else ""
        if reason.lower() in FAILURES:
            told = mapping(choice.get("error"))  # OpenRouter: of one choice
            told = told or {"message": f"finish_reason {reason!r}", "type": reason}
            self.fail({"error": told}, reason=reason)
            return
        filtered = not seen.filtered and (reason == "content_filter" or _is_filtered(choice))
        seen.filtered = seen.filtered or filtered
        if seen.finish is not None:
            if not filtered:
                return
            reason = "content_filter"
        elif not reason:
            return
        seen.finish = reason
        finish = seen.normal(reason)
        chunks.append(
            Chunk(
                "finish", finish_reason=finish, index=index, raw=payload, raw_finish_reason=reason
            )
        )
        if not index:
            self.state.update(self._thoughts.state())

    def _add_usage(self, usage: Any, payload: Mapping[str, Any], chunks: list[Chunk]) -> None:
        if isinstance(usage, dict) and usage:
            merge(self._usage, usage)
            chunks.append(Chunk("usage", usage=chat_usage(self._usage), raw=payload))


class _Choice:
    """What is remembered of one choice."""

    __slots__ = ("finish", "refused", "filtered", "calls")

    def __init__(self) -> None:
        self.finish: Optional[str] = None
        self.refused = False
        self.filtered = False
        self.calls = ToolCalls()

    def normal(self, reason: str) -> str:
        """The finish reason in the project's words."""
        normal = "content_filter" if self.filtered else FINISH.get(reason.lower(), "stop")
        if normal == "stop" and self.refused:
            return "refusal"
        return "tool_calls" if normal == "stop" and self.calls.begun else normal


def chat_usage(raw: Mapping[str, Any]) -> Usage:
    """The family's usage in the project's words."""
    asked, written = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
    out = mapping(raw.get("completion_tokens_details"))
    cached = mapping(raw.get("prompt_tokens_details")).get("cached_tokens")
    return Usage(
        asked,
        written,
        count(out.get("reasoning_tokens")),
        count(cached if cached is not None else raw.get("prompt_cache_hit_tokens")),
        count(raw.get("total_tokens")) or asked + written,
        False,
        dict(raw),
    )


def _is_filtered(choice: Mapping[str, Any]) -> bool:
    """Azure: what the filters say of a choice, each of its own kind."""
    results = mapping(choice.get("content_filter_results"))
    return any(mapping(result).get("filtered") is True for result in results.values())


def _reasoning(delta: Mapping[str, Any]) -> str:
    for name in _REASONING:
        value = delta.get(name)
        if isinstance(value, str) and value:
            return value
    pieces = []
    for detail in objects(delta.get("reasoning_details")):
        text = detail.get("text") or detail.get("summary")
        pieces.append(text if isinstance(text, str) else "")
    return united("".join(pieces))


def _parts(content: list[Any]) -> tuple[str, str, list[Mapping[str, Any]]]:
    """Mistral's content lists: reasoning, text, references."""
    cited: list[Mapping[str, Any]] = []
    reasoning = text = ""
    for part in content:
        if isinstance(part, str):
            text += part
        elif not isinstance(part, dict):
            continue
        elif part.get("type") == "thinking":
            reasoning += thought_of(part)
        elif part.get("type") == "reference":
            cited.append(part)
        elif isinstance(part.get("text"), str):
            text += part["text"]
    return united(reasoning), united(text), cited


def _with(name: str) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """What copies a payload, with another member of this name in its choice's delta."""

    def with_said(payload: dict[str, Any], said: Any) -> dict[str, Any]:
        payload = payload.copy()  # half the price of unpacking it
        choice = payload["choices"][0].copy()
        choice["delta"] = {**choice["delta"], name: said}
        payload["choices"] = [choice]
        return payload

    return with_said


_with_content, _with_calls = _with("content"), _with("tool_calls")
_WITH_REASONING = {name: _with(name) for name in _REASONING}


def _with_arguments(payload: dict[str, Any], text: str) -> dict[str, Any]:
    call = payload["choices"][0]["delta"]["tool_calls"][0].copy()
    call["function"] = {**call["function"], "arguments": text}
    return _with_calls(payload, [call])


def _reasoned(text: str, raw: dict[str, Any]) -> Chunk:
    return Chunk("reasoning", reasoning=text, raw=raw)


def _said(value: Mapping[str, Any], name: str) -> bool:
    """Whether a member has a value that says something."""
    return value.get(name) is not None and value[name] != ""
