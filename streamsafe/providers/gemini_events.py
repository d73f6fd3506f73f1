"""Google Gemini, ``streamGenerateContent``: what the chunks mean.

Here lives the decoder. Terminal rule: every candidate seen (and as many as were asked for, unless
the body ends before) has a finish reason, or the prompt was blocked. There is no end mark.

``CONTINUATION`` ends the response and not the answer: the same request goes again with the token. A
``STOP`` with nothing before it is asked for again once: it happens, and the second try has words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.models import Chunk, Completion, ToolCallFragment, Usage
from streamsafe.providers.halves import united
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.payloads import mapping, objects, word
from streamsafe.providers.toolcalls import as_json
from streamsafe.providers.usage import count, merge

#: Finish reasons of filters; besides them all that begin with IMAGE_.
FILTERS = frozenset({
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
    "ESCALATION", "PUP_LIMITED_DISABLED",
})  # fmt: skip

#: The model slipped: no answer, and another try may help.
MISHAPS = frozenset({
    "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "OTHER", "NO_IMAGE",
    "MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS",
})  # fmt: skip

#: How the ids begin that are made here where the API gives none: it is not to see them again.
MADE_ID = "gemini-call-"


class GeminiDecoder(JSONDecoder):
    """Decodes the chunks of one response.

    ``state["parts"]`` are the parts of candidate 0 as the API wants them sent back, with their
    thought signatures; ``extra`` is the call's, with what came before a continuation.
    """

    def __init__(self, wanted: int = 1, extra: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__()
        before = extra or {}
        self._wanted = wanted
        self._retried = bool(before.get("empty"))
        self._seen: set[int] = set()
        self._ended: dict[int, str] = {}
        self._calls: dict[int, int] = {0: before.get("calls", 0)}
        self._usage: dict[str, Any] = {}
        self._cited: list[Any] = []
        self._kept = _Parts()
        for part in before.get("parts") or ():
            self._kept.add(part)

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """Parts, then usage, then the finish of each candidate."""
        self.id = self.id or word(payload.get("responseId"))
        self.model = self.model or word(payload.get("modelVersion"))
        candidates = objects(payload.get("candidates"))
        chunks: list[Chunk] = []
        for candidate in candidates:
            chunks += self._content(candidate, payload)
        chunks += self._add_usage(payload)
        for candidate in candidates:
            if self.failure is None:
                chunks += self._finish(candidate, payload)
        if not candidates:
            chunks += self._blocked(payload)
        if self.failure is None and len(self._ended) >= max(self._wanted, len(self._seen)):
            self.finished = True
        return chunks or [Chunk("other", raw=payload)]

    def document(self, payload: Any) -> list[Chunk]:
        """A plain answer, or the chunks in an array."""
        chunks: list[Chunk] = []
        for one in payload if isinstance(payload, list) else [payload]:
            if self.failure is None:
                self.take(one, "message", chunks)
        return chunks + self.end("")

    def end(self, tail: str) -> list[Chunk]:
        """Fewer candidates than were asked for are all that there are."""
        chunks = super().end(tail)
        if self.failure is None and self._ended and self._seen <= set(self._ended):
            self.finished = True
        return chunks

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The model's turn in the API's parts; with the text of earlier attempts, where there
        were any. Its tool calls stand beside it in OpenAI's form, for the ids."""
        made = self._kept.whole()
        texts = [part["text"] for part in made if _is_text(part)]
        if "".join(texts) != completion.text:
            kept = [part for part in made if not _is_text(part)]
            place = sum(bool(part.get("thought")) for part in kept)
            text = [{"text": completion.text}] if completion.text else []
            made = [*kept[:place], *text, *kept[place:]]
        if not made:
            return None
        message = completion.replace(message=None).to_message()
        message.pop("refusal", None)
        return {**message, "parts": made}

    # -- parts -------------------------------------------------------------------------------

    def _content(self, candidate: Mapping[str, Any], payload: Mapping[str, Any]) -> list[Chunk]:
        index = _index(candidate)
        chunks: list[Chunk] = []
        self._seen.add(index)
        for part in objects(mapping(candidate.get("content")).get("parts")):
            chunks += self._part(part, index, payload)
        for citation in _citations(candidate):
            if citation not in self._cited:  # later chunks repeat the earlier ones'
                self._cited.append(citation)
                chunks.append(Chunk("citation", citation=citation, index=index, raw=payload))
        return chunks

    def _part(
        self, part: Mapping[str, Any], index: int, payload: Mapping[str, Any]
    ) -> list[Chunk]:
        if not index:
            self._kept.add(part)
        call, text = part.get("functionCall"), part.get("text")
        if isinstance(call, Mapping):
            number = self._calls.get(index, 0)
            self._calls[index] = number + 1
            id = word(call.get("id")) or f"{MADE_ID}{self.id or ''}-{number}"
            arguments = as_json(call.get("args") or {})
            fragment = ToolCallFragment(number, id, word(call.get("name")) or "", arguments)
            return [Chunk("tool_call", tool_call=fragment, index=index, raw=payload)]
        if not isinstance(text, str) or not text:
            return []
        if part.get("thought"):
            return [Chunk("reasoning", reasoning=text, index=index, raw=payload)]
        return [Chunk("text", text, index=index, raw=payload)]

    # -- ends --------------------------------------------------------------------------------

    def _finish(self, candidate: Mapping[str, Any], payload: Mapping[str, Any]) -> list[Chunk]:
        reason, index = candidate.get("finishReason"), _index(candidate)
        if not isinstance(reason, str) or reason in ("", "FINISH_REASON_UNSPECIFIED"):
            return []
        if reason in MISHAPS:
            message = candidate.get("finishMessage") or f"the model ended with {reason}"
            error = {"message": message, "status": reason}
            return self.fail({"error": error}, retryable=True, reason=reason)
        if index in self._ended:
            return []
        self._ended[index] = reason
        token = candidate.get("continuationToken") or payload.get("continuationToken")
        if reason == "CONTINUATION" and token:
            return self._go_on(token)
        if reason == "STOP" and self._is_empty():
            self.continuation = {"empty": True}
            return []
        # A continuation without a token has no way on: what there is was cut off.
        normal = "length" if reason in ("MAX_TOKENS", "CONTINUATION") else "stop"
        if reason in FILTERS or reason.startswith("IMAGE_"):
            normal = "content_filter"
        elif normal == "stop" and self._calls.get(index):
            normal = "tool_calls"
        if not index and self._kept:
            self.state["parts"] = self._kept.whole()
        return [
            Chunk(
                "finish", finish_reason=normal, index=index, raw=payload, raw_finish_reason=reason
            )
        ]

    def _go_on(self, token: Any) -> list[Chunk]:
        """The same answer goes on behind this token."""
        self.state.update(continuation_token=token, parts=self._kept.whole())
        carried = {"parts": self.state["parts"], "calls": self._calls[0]}
        self.continuation = {"continuation_token": token, **carried}
        return []

    def _is_empty(self) -> bool:
        """Nothing at all came, of one candidate, for the first time."""
        return not self._kept and self._seen == {0} and not self._retried

    def _blocked(self, payload: Mapping[str, Any]) -> list[Chunk]:
        """A prompt that was refused is answered, with the reason for words."""
        feedback = mapping(payload.get("promptFeedback"))
        reason = feedback.get("blockReason")
        if not isinstance(reason, str) or reason == "BLOCK_REASON_UNSPECIFIED" or self._ended:
            return []
        self._ended[0] = reason
        self.finished = True
        words = str(feedback.get("blockReasonMessage") or reason)
        return [
            Chunk("refusal", refusal=words, raw=payload),
            Chunk("finish", finish_reason="content_filter", raw=payload, raw_finish_reason=reason),
        ]

    def _add_usage(self, payload: Mapping[str, Any]) -> list[Chunk]:
        usage = payload.get("usageMetadata")
        if not isinstance(usage, Mapping) or not usage:
            return []
        merge(self._usage, usage)
        return [Chunk("usage", usage=usage_of(self._usage), raw=payload)]


class _Parts:
    """The parts of candidate 0 that go back. Texts that follow each other are one; a part with a
    signature stays as it is, one without a word is none."""

    __slots__ = ("_parts", "_pieces")

    def __init__(self) -> None:
        self._parts: list[dict[str, Any]] = []
        self._pieces: list[str] = []  # of the last part, if it is a plain text

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, part: Mapping[str, Any]) -> None:
        if not _is_plain(part):
            self._close()
            self._parts.append(dict(part))
        elif part["text"]:
            last = self._parts[-1] if self._pieces else {}
            if not last or last.get("thought") != part.get("thought"):
                self._close()
                self._parts.append(dict(part))
            self._pieces.append(part["text"])

    def _close(self) -> None:
        if self._pieces:
            self._parts[-1]["text"] = united("".join(self._pieces))
            self._pieces = []

    def whole(self) -> list[dict[str, Any]]:
        made = [dict(part) for part in self._parts]
        if self._pieces:
            made[-1]["text"] = united("".join(self._pieces))
        return made


def _index(candidate: Mapping[str, Any]) -> int:
    index = candidate.get("index")
    return index if isinstance(index, int) else 0


def _is_plain(part: Mapping[str, Any]) -> bool:
    return isinstance(part.get("text"), str) and set(part) <= {"text", "thought"}


def _is_text(part: Mapping[str, Any]) -> bool:
    return isinstance(part.get("text"), str) and not part.get("thought")


def _citations(candidate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the answer was taken from: cited texts, and what a search found."""
    found: list[Mapping[str, Any]] = []
    for name, lists in (
        ("citationMetadata", ("citations", "citationSources")),
        ("groundingMetadata", ("groundingChunks",)),
    ):
        metadata = mapping(candidate.get(name))
        for kind in lists:
            found += objects(metadata.get(kind))
    return found


def usage_of(raw: Mapping[str, Any]) -> Usage:
    """The usage in the project's words: the API counts thoughts apart from the answer."""
    thought = count(raw.get("thoughtsTokenCount"))
    asked = count(raw.get("promptTokenCount")) + count(raw.get("toolUsePromptTokenCount"))
    written = count(raw.get("candidatesTokenCount")) + thought
    total = count(raw.get("totalTokenCount")) or asked + written
    cached = count(raw.get("cachedContentTokenCount"))
    return Usage(asked, written, thought, cached, total, False, dict(raw))
