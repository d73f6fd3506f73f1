"""Anthropic Messages: what the events mean.

Here lives the decoder. Terminal rule: ``message_stop``. A stream that breaks between the
``message_delta`` with the stop reason and ``message_stop`` has whole content and no verdict: it is
incomplete, since several ``message_delta`` may come and the last one counts.

``pause_turn`` and ``compaction`` end the response and not the answer: the content goes back as it
is, and the answer goes on in the next response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from streamsafe.models import Chunk, Completion, ToolCallFragment, Usage
from streamsafe.providers.facts import maybe_json
from streamsafe.providers.halves import united
from streamsafe.providers.pattern import Piece
from streamsafe.providers.payloads import word
from streamsafe.providers.texts import TextDecoder
from streamsafe.providers.toolcalls import as_json
from streamsafe.providers.usage import count, merge

#: Stop reasons in the project's words; unknown ones mean "ended, unknown".
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}

#: The response ends, the answer goes on.
PAUSES = frozenset({"pause_turn", "compaction"})

#: Where a block keeps what its deltas bring in pieces.
_GROWS = {"text": "text", "thinking": "thinking", "compaction": "content"}


class MessagesDecoder(TextDecoder):
    """Decodes the events of one response.

    ``state["content"]`` are the closed content blocks as the API wants them sent back, behind
    those of ``before``, the responses that ended in a pause.
    """

    def __init__(self, before: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__()
        self._open: dict[Any, dict[str, Any]] = {}
        self._pieces: dict[Any, list[str]] = {}
        self._calls: dict[Any, int] = {}
        self._called = sum(block.get("type") == "tool_use" for block in before)
        self._usage: dict[str, Any] = {}
        self._reason: Optional[str] = None
        self._refusal = ""
        if before:
            self.state["content"] = list(before)

    def piece(self, payload: Any) -> Optional[Piece]:
        """A delta of an open block: of text, thinking, or what a tool is given."""
        delta, index = payload["delta"], payload["index"]
        kind = delta["type"]
        member, with_text = _PIECES[kind]
        text, keep = delta[member], self._pieces[index].append
        known = payload["type"] == "content_block_delta" and text.__class__ is str
        if not known or "error" in payload:
            return None
        if kind == "text_delta":
            return Piece(text, member, 1, with_text, None, keep)
        if kind == "thinking_delta":
            return Piece(text, member, 1, with_text, _thought, keep)
        number = self._calls[index]

        def made(text: str, raw: dict[str, Any]) -> Chunk:
            return Chunk("tool_call", tool_call=ToolCallFragment(number, "", "", text), raw=raw)

        return Piece(text, member, 1, with_text, made, keep)

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """The chunks of one payload; none of a ping."""
        kind = payload.get("type") or event
        if kind == "ping":
            return []
        chunks: list[Chunk] = []
        if kind == "content_block_delta":
            chunks = self._delta(payload)
        elif kind == "content_block_start":
            chunks = self._start(payload)
        elif kind == "content_block_stop":
            chunks = self._stop(payload.get("index"), payload)
        elif kind == "message_start":
            chunks = self._begin(payload.get("message"), payload)
        elif kind == "message_delta":
            chunks = self._message_delta(payload)
        elif kind == "message_stop":
            chunks = self._end(payload)
        return chunks or [Chunk("other", raw=payload)]

    def document(self, payload: Any) -> list[Chunk]:
        """A plain answer: as if each block came whole."""
        content = payload.get("content") if isinstance(payload, dict) else None
        if not isinstance(content, list) or payload.get("error"):
            return self.fail(payload)
        chunks = self._begin(payload, payload)
        for index, block in enumerate(content):
            chunks += self._start({"index": index, "content_block": block})
            chunks += self._stop(index, payload)
        self._delta_of_message(payload)
        chunks += self._end(payload)
        return [chunk._replace(raw=payload) for chunk in chunks]

    def end(self, tail: str) -> list[Chunk]:
        """``message_stop`` without its blank line is one."""
        _, _, data = tail.rpartition("data:")
        payload = maybe_json(data)
        if isinstance(payload, dict) and payload.get("type") == "message_stop":
            return self._end(payload)
        return super().end(tail)

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The blocks as they came, with signatures, and the text also of earlier attempts."""
        content = self.state.get("content") or []
        text = completion.text
        if "".join(block["text"] for block in content if block.get("type") == "text") != text:
            content = _with_whole_text(content, text)
        return {"role": "assistant", "content": content} if content else None

    # -- the message -----------------------------------------------------------------------

    def _begin(self, message: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        if not isinstance(message, dict):
            return []
        self.id = self.id or word(message.get("id"))
        self.model = self.model or word(message.get("model"))
        return self._add_usage(message.get("usage"), payload)

    def _message_delta(self, payload: Mapping[str, Any]) -> list[Chunk]:
        delta = payload.get("delta")
        self._delta_of_message(delta if isinstance(delta, dict) else {})
        return self._add_usage(payload.get("usage"), payload)

    def _delta_of_message(self, delta: Mapping[str, Any]) -> None:
        self._reason = delta.get("stop_reason") or self._reason
        details = delta.get("stop_details")
        explanation = details.get("explanation") if isinstance(details, dict) else None
        if isinstance(explanation, str):
            self._refusal = explanation

    def _end(self, payload: Mapping[str, Any]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for index in list(self._open):
            chunks += self._stop(index, payload)
        self.finished = self.closed = True
        reason = self._reason
        if reason in PAUSES:
            self.continuation = {"paused": self.state.get("content", [])}
            return chunks
        normal = FINISH.get(reason or "", "stop")
        if normal == "refusal" and self._refusal:
            chunks.append(Chunk("refusal", refusal=self._refusal, raw=payload))
        if normal == "stop" and self._called:
            normal = "tool_calls"
        finish = Chunk("finish", finish_reason=normal, raw=payload, raw_finish_reason=reason)
        return [*chunks, finish]

    def _add_usage(self, usage: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        if not isinstance(usage, dict):
            return []
        merge(self._usage, usage)
        return [Chunk("usage", usage=usage_of(self._usage), raw=payload)]

    # -- blocks ----------------------------------------------------------------------------

    def _start(self, payload: Mapping[str, Any]) -> list[Chunk]:
        index, block = payload.get("index"), payload.get("content_block")
        if not isinstance(block, dict):
            return []
        block = self._open[index] = dict(block)
        self._pieces[index] = []
        kind = block.get("type")
        if kind == "tool_use":
            number = self._calls[index] = self._called
            self._called += 1
            id, name = word(block.get("id")), word(block.get("name"))
            fragment = ToolCallFragment(number, id or "", name or "")
            return [Chunk("tool_call", tool_call=fragment, raw=payload)]
        chunks = []
        grows = _GROWS.get(kind or "")
        text = block.get(grows) if grows else None
        if isinstance(text, str) and text:
            chunks += self._grow(index, str(kind), text, payload)
        for citation in block.get("citations") or ():
            chunks.append(Chunk("citation", citation=citation, raw=payload))
        return chunks

    def _delta(self, payload: Mapping[str, Any]) -> list[Chunk]:
        index, delta = payload.get("index"), payload.get("delta")
        if not isinstance(delta, dict):
            return []
        kind = delta.get("type")
        if kind in ("text_delta", "thinking_delta", "compaction_delta"):
            grows = kind[: -len("_delta")]
            text = delta.get(_GROWS[grows])
            if index not in self._open:
                self._start({"index": index, "content_block": {"type": grows}})
            return self._grow(index, grows, text, payload) if isinstance(text, str) else []
        block = self._open.get(index)
        if block is None:
            return []
        if kind == "input_json_delta":
            return self._input(index, delta.get("partial_json"), payload)
        if kind == "signature_delta":
            block["signature"] = delta.get("signature")
        elif kind == "citations_delta" and isinstance(delta.get("citation"), dict):
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            return [Chunk("citation", citation=delta["citation"], raw=payload)]
        return []

    def _grow(self, index: Any, kind: str, text: str, payload: Mapping[str, Any]) -> list[Chunk]:
        self._pieces[index].append(text)
        if kind == "text":
            return [Chunk("text", text, raw=payload)]
        return [Chunk("reasoning", reasoning=text, raw=payload)] if kind == "thinking" else []

    def _input(self, index: Any, piece: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        """A piece of a tool's input; that of a server's tool is no tool call."""
        if not isinstance(piece, str):
            return []
        self._pieces[index].append(piece)
        if index not in self._calls:
            return []
        fragment = ToolCallFragment(self._calls[index], arguments=piece)
        return [Chunk("tool_call", tool_call=fragment, raw=payload)]

    def _stop(self, index: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        """A block is whole. A tool call without a piece of input has that of its start."""
        block = self._open.pop(index, None)
        if block is None:
            return []
        joined = united("".join(self._pieces.pop(index)))
        chunks: list[Chunk] = []
        grows = _GROWS.get(block.get("type") or "")
        if grows:
            block[grows] = joined
        elif joined.strip():
            # Cut off by max_tokens, input is no JSON: such a call can't be sent back.
            block["input"] = maybe_json(joined)
        elif index in self._calls:
            block["input"] = block.get("input") or {}
            fragment = ToolCallFragment(self._calls[index], arguments=as_json(block["input"]))
            chunks = [Chunk("tool_call", tool_call=fragment, raw=payload)]
        empty = grows == "text" and not joined  # which the API refuses to take back
        if not empty and not (joined and "input" in block and block["input"] is None):
            self.state["content"] = [*self.state.get("content", ()), block]
        return chunks


def usage_of(raw: Mapping[str, Any]) -> Usage:
    """The usage in the project's words: the API's ``input_tokens`` are those past the cache."""
    cached = count(raw.get("cache_read_input_tokens"))
    asked = count(raw.get("input_tokens")) + cached + count(raw.get("cache_creation_input_tokens"))
    written = count(raw.get("output_tokens"))
    details = raw.get("output_tokens_details")
    thought = count(details.get("thinking_tokens")) if isinstance(details, dict) else 0
    return Usage(asked, written, thought, cached, asked + written, False, dict(raw))


def _with_whole_text(content: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """The blocks with one block of this text in place of their own."""
    kept = [block for block in content if block.get("type") != "text"]
    if not text:
        return kept
    place = 0
    for block in content:
        if block.get("type") not in ("thinking", "redacted_thinking"):
            break
        place += 1
    return [*kept[:place], {"type": "text", "text": text}, *kept[place:]]


def _with(name: str) -> Callable[[dict[str, Any], str], dict[str, Any]]:
    """What copies a payload, with another text of this name in its delta."""

    def with_text(payload: dict[str, Any], text: str) -> dict[str, Any]:
        payload = payload.copy()
        payload["delta"] = {**payload["delta"], name: text}
        return payload

    return with_text


#: Of a delta that is a piece of a text: where that stands, and how the payload has another.
_PIECES = {
    "text_delta": ("text", _with("text")),
    "thinking_delta": ("thinking", _with("thinking")),
    "input_json_delta": ("partial_json", _with("partial_json")),
}


def _thought(text: str, raw: dict[str, Any]) -> Chunk:
    return Chunk("reasoning", reasoning=text, raw=raw)
