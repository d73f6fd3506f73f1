"""OpenAI Responses: what the events mean.

Here lives the decoder. Terminal rule: ``response.completed`` or ``response.incomplete``.

The ``.done`` events and the last snapshot repeat what the deltas said. They are used to give what
of it never came as a delta, and nothing is given twice: only where what came is the beginning of
what is repeated, the rest of it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.models import Chunk, Completion, ToolCallFragment, Usage
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.payloads import mapping, objects, word
from streamsafe.providers.usage import count

#: Items that are calls of the program's tools, and where they keep what they are called with.
#: All other calls are the server's own.
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}

#: Events that bring a piece: its kind, and what numbers the parts of an item.
_DELTAS = {
    "response.output_text.delta": ("text", "content_index"),
    "response.refusal.delta": ("refusal", "content_index"),
    "response.reasoning_text.delta": ("reasoning", "content_index"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index"),
}

#: Events that repeat a part whole: its kind, its number, and where it stands.
_DONES = {
    "response.output_text.done": ("text", "content_index", "text"),
    "response.refusal.done": ("refusal", "content_index", "refusal"),
    "response.reasoning_text.done": ("reasoning", "content_index", "text"),
    "response.reasoning_summary_text.done": ("summary", "summary_index", "text"),
}

#: Events of a call: where what they bring stands.
_INPUTS = {
    "response.function_call_arguments.delta": "delta",
    "response.custom_tool_call_input.delta": "delta",
}

_TERMINAL = frozenset({"completed", "incomplete", "failed", "cancelled"})


class ResponsesDecoder(JSONDecoder):
    """Decodes the events of one response, or of the rest of it behind a ``cursor``.

    ``state`` holds what a cursor needs (``response_id``, ``last_sequence_number``, ``background``,
    ``received``: characters by kind, and the calls in their order) and ``output``, the items to
    be sent back.
    """

    def __init__(
        self, cursor: Optional[Mapping[str, Any]] = None, background: bool = False
    ) -> None:
        super().__init__()
        before = cursor or {}
        received = before.get("received") or {}
        self.id = before.get("response_id")
        self._after = before.get("last_sequence_number", -1) if cursor is not None else -1
        #: Characters by kind (citations: their number) that earlier attempts received.
        self._before: dict[str, int] = {**received.get("kinds", {})}
        self._kinds: dict[str, int] = dict(self._before)
        self._calls: list[dict[str, Any]] = [dict(call) for call in received.get("calls", ())]
        self._resumed = cursor is not None
        #: The pieces of this attempt, by kind, item and part.
        self._pieces: dict[tuple[str, Any, Any], list[str]] = {}
        self.state.update(
            background=background, received={"kinds": self._kinds, "calls": self._calls}
        )
        for name in ("response_id", "last_sequence_number", "output"):
            if name in before:
                self.state[name] = before[name]

    def take(self, payload: Any, event: str, chunks: list[Chunk]) -> None:
        """One payload; one that was received before is passed over."""
        number = payload.get("sequence_number") if isinstance(payload, Mapping) else None
        if isinstance(number, int) and not isinstance(number, bool):
            if number <= self._after:
                return
            self.state["last_sequence_number"] = number
        super().take(payload, event, chunks)

    def payload(self, payload: Mapping[str, Any], event: str) -> list[Chunk]:
        """The chunks of one payload; none of a heartbeat."""
        kind = payload.get("type") or event
        delta = _DELTAS.get(kind)
        if delta is not None:
            key = (delta[0], payload.get("output_index"), payload.get(delta[1]))
            return self._piece(key, payload.get("delta"), payload) or [Chunk("other", raw=payload)]
        if kind == "keepalive":
            return []
        return self._rare(str(kind), payload) or [Chunk("other", raw=payload)]

    def document(self, payload: Any) -> list[Chunk]:
        """A response as one document; one that still runs is no answer yet."""
        if not isinstance(payload, Mapping) or payload.get("object", "response") != "response":
            return self.fail(payload)
        if "status" not in payload and "output" not in payload:
            return self.fail(payload)
        return self._snapshot(payload, payload) or [Chunk("other", raw=payload)]

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The answer's items as they came, beside OpenAI's form; None where they are not the whole
        of the answer."""
        output = self.state.get("output") or []
        calls = [item.get("call_id") for item in output if item.get("type") in CALLS]
        if not output or _said(output, "text") != completion.text:
            return None
        if calls != [call.id for call in completion.tool_calls]:
            return None
        return {**completion.replace(message=None).to_message(), "items": output}

    # -- events ------------------------------------------------------------------------------

    def _rare(self, kind: str, payload: Mapping[str, Any]) -> list[Chunk]:
        done = _DONES.get(kind)
        if done is not None:
            key = (done[0], payload.get("output_index"), payload.get(done[1]))
            return self._rest_of_part(key, payload.get(done[2]), payload)
        if kind in _INPUTS:
            call = self._call_of(payload)
            return self._input(call, payload.get("delta"), payload) if call else []
        if kind == "response.output_item.added":
            return self._begin_call(payload.get("item"), payload)
        if kind == "response.output_item.done":
            return self._item(payload.get("item"), payload)
        if kind == "response.output_text.annotation.added":
            return self._citations(objects([payload.get("annotation")]), payload)
        if isinstance(payload.get("response"), Mapping):
            return self._snapshot(payload["response"], payload, kind.rpartition(".")[2])
        return []

    def _item(self, item: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        """An item that is done: to be sent back, and a call's arguments whole."""
        for one in _items([item]):
            self.state["output"] = [*self.state.get("output", ()), dict(one)]
            return self._whole_call(one, payload)
        return []

    def _snapshot(
        self, response: Mapping[str, Any], payload: Mapping[str, Any], kind: str = ""
    ) -> list[Chunk]:
        """The response as it stands; ``kind`` is the event's, "" in a document."""
        self.id = self.id or word(response.get("id"))
        self.model = self.model or word(response.get("model"))
        if self.id:
            self.state["response_id"] = self.id
        if response.get("background"):
            self.state["background"] = True
        status = kind or response.get("status")
        if status not in _TERMINAL:
            return []
        chunks = self._usage(response.get("usage"), payload)
        if status in ("failed", "cancelled"):
            error = response.get("error") or {"message": f"the response was {status}"}
            retryable = False if status == "cancelled" else None
            self.fail({"error": error}, retryable=retryable, reason=status)
            return chunks
        output = _items(response.get("output"))
        chunks = self._rest_of_all(output, payload) + chunks
        chunks.append(self._finish(str(status), response, payload))
        if output:
            self.state["output"] = [dict(item) for item in output]
        self.state.pop("received", None)
        self.finished = self.closed = True
        return chunks

    def _finish(
        self, status: str, response: Mapping[str, Any], payload: Mapping[str, Any]
    ) -> Chunk:
        reason = mapping(response.get("incomplete_details")).get("reason")
        normal = "stop"
        if status == "incomplete":
            # Whatever the reason, or without one: the API itself says that it is not all.
            normal = "content_filter" if reason == "content_filter" else "length"
            status = f"incomplete:{reason}" if reason else status
        elif self._kinds.get("refusal"):
            normal = "refusal"
        elif self._calls:
            normal = "tool_calls"
        return Chunk("finish", finish_reason=normal, raw=payload, raw_finish_reason=status)

    def _usage(self, usage: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        if not isinstance(usage, Mapping) or not usage:
            return []
        return [Chunk("usage", usage=usage_of(usage), raw=payload)]

    # -- text, refusal, reasoning ---------------------------------------------------------------

    def _piece(
        self, key: tuple[str, Any, Any], piece: Any, payload: Mapping[str, Any]
    ) -> list[Chunk]:
        if not isinstance(piece, str) or not piece:
            return []
        kind = key[0]
        self._pieces.setdefault(key, []).append(piece)
        self._kinds[kind] = self._kinds.get(kind, 0) + len(piece)
        if kind == "text":
            return [Chunk("text", piece, raw=payload)]
        if kind == "refusal":
            return [Chunk("refusal", refusal=piece, raw=payload)]
        return [Chunk("reasoning", reasoning=piece, raw=payload)]

    def _rest_of_part(
        self, key: tuple[str, Any, Any], whole: Any, payload: Mapping[str, Any]
    ) -> list[Chunk]:
        """What of a part never came. Behind a cursor its beginning may be an earlier attempt's:
        then the last snapshot tells."""
        if not isinstance(whole, str) or self._resumed:
            return []
        return self._piece(key, _rest(whole, "".join(self._pieces.get(key, ()))), payload)

    def _rest_of_all(
        self, output: list[Mapping[str, Any]], payload: Mapping[str, Any]
    ) -> list[Chunk]:
        """What of the answer never came, in all attempts."""
        chunks: list[Chunk] = []
        for kind in ("summary", "reasoning", "text", "refusal"):
            came = "".join(
                piece for key, pieces in self._pieces.items() if key[0] == kind for piece in pieces
            )
            rest = _rest(_said(output, kind)[self._before.get(kind, 0) :], came)
            chunks += self._piece((kind, None, None), rest, payload)
        parts = _parts(output, "text")
        notes = [note for part in parts for note in objects(part.get("annotations"))]
        chunks += self._citations(notes[self._kinds.get("citation", 0) :], payload)
        for item in output:
            chunks += self._whole_call(item, payload)
        return chunks

    def _citations(self, notes: list[Mapping[str, Any]], payload: Mapping[str, Any]) -> list[Chunk]:
        if notes:
            self._kinds["citation"] = self._kinds.get("citation", 0) + len(notes)
        return [Chunk("citation", citation=note, raw=payload) for note in notes]

    # -- calls -----------------------------------------------------------------------------------

    def _call_of(self, payload: Mapping[str, Any]) -> Optional[dict[str, Any]]:
        """The call an event adds to, by its item or, since some gateways give each event another
        item id, by its place; None for one whose item was not seen: that comes whole."""
        for name, value in (
            ("item_id", payload.get("item_id")), ("output_index", payload.get("output_index"))
        ):  # fmt: skip
            for call in self._calls:
                if value is not None and call[name] == value:
                    return call
        return None

    def _begin_call(self, item: Any, payload: Mapping[str, Any]) -> list[Chunk]:
        if not isinstance(item, Mapping) or item.get("type") not in CALLS:
            return []
        id = str(item.get("call_id") or item.get("id") or "")
        if any(call["call_id"] == id for call in self._calls):
            return []
        fragment = ToolCallFragment(len(self._calls), id, str(item.get("name") or ""))
        self._calls.append(
            {"call_id": id, "item_id": item.get("id"), "chars": 0,
             "output_index": payload.get("output_index")}
        )  # fmt: skip
        return [Chunk("tool_call", tool_call=fragment, raw=payload)]

    def _input(
        self, call: dict[str, Any], piece: Any, payload: Mapping[str, Any]
    ) -> list[Chunk]:
        if not isinstance(piece, str) or not piece:
            return []
        call["chars"] += len(piece)
        fragment = ToolCallFragment(self._calls.index(call), arguments=piece)
        return [Chunk("tool_call", tool_call=fragment, raw=payload)]

    def _whole_call(self, item: Mapping[str, Any], payload: Mapping[str, Any]) -> list[Chunk]:
        """A call as its item has it: begun where it was not, and the rest of its arguments."""
        name = CALLS.get(item.get("type") or "")
        if name is None:
            return []
        chunks = self._begin_call(item, payload)
        id = str(item.get("call_id") or item.get("id") or "")
        call = next(call for call in self._calls if call["call_id"] == id)
        given = item.get(name)
        whole = given if isinstance(given, str) and given else "{}" if name == "arguments" else ""
        return chunks + self._input(call, whole[call["chars"] :], payload)


def _rest(whole: str, came: str) -> str:
    """What of the whole never came; nothing where what came is not its beginning."""
    return whole[len(came) :] if whole.startswith(came) else ""


def _items(output: Any) -> list[Mapping[str, Any]]:
    """The items of a response's output that can be sent back."""
    return [item for item in objects(output) if isinstance(item.get("type"), str)]


_PART_KINDS = {
    "text": ("content", "output_text", "text"),
    "refusal": ("content", "refusal", "refusal"),
    "reasoning": ("content", "reasoning_text", "text"),
    "summary": ("summary", "summary_text", "text"),
}


def _parts(output: list[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    """The parts of one kind, of all items."""
    where, type, _ = _PART_KINDS[kind]
    return [
        part
        for item in output
        for part in objects(item.get(where))
        if part.get("type") == type
    ]


def _said(output: list[Mapping[str, Any]], kind: str) -> str:
    """What the items say, of one kind."""
    name = _PART_KINDS[kind][2]
    return "".join(str(part.get(name) or "") for part in _parts(output, kind))


def usage_of(raw: Mapping[str, Any]) -> Usage:
    """The usage in the project's words."""
    into, out = mapping(raw.get("input_tokens_details")), mapping(raw.get("output_tokens_details"))
    asked, written = count(raw.get("input_tokens")), count(raw.get("output_tokens"))
    return Usage(
        asked,
        written,
        count(out.get("reasoning_tokens")),
        count(into.get("cached_tokens")),
        count(raw.get("total_tokens")) or asked + written,
        False,
        dict(raw),
    )
