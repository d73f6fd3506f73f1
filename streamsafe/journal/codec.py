"""Codec: chunks, calls, attempts and verdicts as JSON, without loss and without credentials.

Here lives the written form that all journals share. A value's fields stand under their names, those
that have their default value are left out. Two things are not written. A chunk's ``raw`` payload,
unless asked for: it is several times the chunk, and the chunk says all that the answer is made
of. And the texts of a completion, which are the chunks' once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamsafe import errors
from streamsafe.journal.masking import masked, unmasked, without
from streamsafe.models import (
    Attempt,
    Call,
    Choice,
    Chunk,
    Completion,
    Outcome,
    Seam,
    Timings,
    ToolCall,
    ToolCallFragment,
    Usage,
)

_DEFAULTS = dict(zip(Chunk._fields[1:], Chunk("text")[1:]))
_COMPLETION = Completion().fields()
_ATTEMPT = Attempt(0, 0.0).fields()


def _as_dict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


_quote = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_as_dict).encode


def to_json(value: Any) -> bytes:
    """Compact JSON. Half a surrogate pair, which servers do send, stays what it is."""
    return _encode(value).encode("utf-8", "surrogatepass")


def from_json(data: bytes) -> Any:
    """The value again. StorageError where the store gives back other bytes than it was given."""
    try:
        return json.loads(data.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise errors.StorageError(
            f"what the journal holds of the stream can't be read: {error}",
            hint="the store is damaged, or something else has written there",
        ) from error


# -- chunks ----------------------------------------------------------------------------------------


def chunks_to_json(chunks: Sequence[Chunk], keep_raw: bool = False) -> bytes:
    """A list of chunks; plain pieces of text, which most are, as the text alone."""
    items = []
    for chunk in chunks:
        # Compared with what it would be at once, since this runs for every token.
        text, raw = chunk[1], chunk[7]
        if chunk == ("text", text, "", None, None, None, 0, raw, "", None, None) and (
            raw is None or not keep_raw
        ):
            items.append(_quote(text))
        else:
            # Each by itself: an encoder of a list is made anew for each list.
            items.append(_encode(_pack(chunk, keep_raw)))
    return f"[{','.join(items)}]".encode("utf-8", "surrogatepass")


def chunks_from_json(data: bytes) -> list[Chunk]:
    """The list again."""
    return [_unpack(item) for item in from_json(data)]


def texts_from_json(data: bytes) -> Iterable[str]:
    """The texts of the first choice alone."""
    for item in from_json(data):
        if isinstance(item, str):
            yield item
        elif not item.get("index"):
            yield item.get("text", "")


def has_restart(data: bytes) -> bool:
    """Whether a "restart" is among the chunks. In a text, the quotes would be escaped."""
    return data.find(b'"kind":"restart"') >= 0  # "in" tries the bytes as a number first


def _pack(chunk: Chunk, keep_raw: bool) -> dict[str, Any]:
    packed = {
        name: value
        for (name, default), value in zip(_DEFAULTS.items(), chunk[1:])
        if value != default and (keep_raw or name != "raw")
    }
    return {"kind": chunk.kind, **packed}


def _unpack(packed: Any) -> Chunk:
    if isinstance(packed, str):
        return Chunk("text", packed)
    if "tool_call" in packed:
        packed["tool_call"] = ToolCallFragment(*packed["tool_call"])
    if "usage" in packed:
        packed["usage"] = Usage(*packed["usage"])
    return Chunk(**packed)


# -- calls -----------------------------------------------------------------------------------------


def call_to_json(call: Call, secrets: Sequence[str] = ()) -> bytes:
    """The question, credentials masked. ConfigurationError for what is no JSON value."""
    return plain_to_json({name: value for name, value in call.fields().items() if value}, secrets)


def call_from_json(data: bytes) -> Call:
    """The question again, without what was masked."""
    return Call(**unmasked(from_json(data)))


def plain_to_json(value: Any, secrets: Sequence[str] = ()) -> bytes:
    """Settings or a part of a request, credentials masked. ConfigurationError for no JSON."""
    try:
        return to_json(masked(value, secrets))
    except (TypeError, ValueError, RecursionError) as error:
        raise errors.ConfigurationError(
            f"the journal can't keep what was asked: it holds something that is no JSON ({error})",
            hint="give str, numbers, bool, None, lists and dicts",
        ) from error


# -- attempts and errors ---------------------------------------------------------------------------


def attempt_to_json(attempt: Attempt, secrets: Sequence[str] = ()) -> bytes:
    """The record of an attempt."""
    fields = _changed(attempt.fields(), _ATTEMPT)
    if attempt.error is not None:
        fields["error"] = _error(attempt.error)
    return to_json(masked(fields, secrets))


def attempt_from_json(data: bytes) -> Attempt:
    """The record again. Its error is of the same class with the same message and facts if it
    was a StreamingError, else a StreamingError that names the class."""
    fields = from_json(data)
    if "error" in fields:
        fields["error"] = _raised(fields["error"])
    if "usage" in fields:
        fields["usage"] = Usage(*fields["usage"])
    return Attempt(**{"number": 0, "started": 0.0, **fields})


def _error(error: BaseException) -> dict[str, Any]:
    written: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, errors.StreamingError):
        written["message"] = error.message
        written["facts"] = {
            name: value
            for name, value in vars(error).items()
            if name not in ("partial", "attempts") and _is_json(value)
        }
    return written


def _raised(written: Mapping[str, Any]) -> errors.StreamingError:
    kind = getattr(errors, written["type"], None)
    if not (isinstance(kind, type) and issubclass(kind, errors.StreamingError)):
        return errors.StreamingError(f"{written['type']}: {written['message']}")
    error: errors.StreamingError = kind.__new__(kind, written["message"])
    error.args = (written["message"],)
    vars(error).update({**vars(errors.StreamingError()), **written.get("facts", {})})
    return error


def _is_json(value: Any) -> bool:
    try:
        to_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


# -- verdicts --------------------------------------------------------------------------------------


def verdict_to_json(completion: Completion, secrets: Sequence[str] = ()) -> bytes:
    """A completion without its texts and attempts, which are written already."""
    fields = _changed(completion.fields(), _COMPLETION)
    for name in ("text", "reasoning", "refusal", "attempts", "stream_id"):
        fields.pop(name, None)
    if completion.choices == (_only_choice(completion),):
        del fields["choices"]
    fields["outcome"] = completion.outcome.value
    return to_json(without(fields, secrets))


def verdict_from_json(
    data: bytes, stream_id: str, chunks: Sequence[Chunk], attempts: Sequence[Attempt]
) -> Completion:
    """The completion again, with the texts of the chunks, whole also where the program kept
    the tail alone."""
    fields = from_json(data)
    fields["outcome"] = Outcome(fields["outcome"])
    for name, kind in (("usage", Usage), ("usage_total", Usage), ("timings", Timings)):
        if name in fields:
            fields[name] = kind(*fields[name])
    fields["seams"] = tuple(Seam(*seam) for seam in fields.get("seams", ()))
    fields["tool_calls"] = _calls(fields.get("tool_calls", ()))
    fields["citations"] = tuple(fields.get("citations", ()))
    first = [chunk for chunk in chunks if not chunk.index]
    for place, name in ((1, "text"), (2, "reasoning"), (8, "refusal")):
        fields[name] = "".join([str(chunk[place]) for chunk in first])
    choices = fields.pop("choices", None)
    completion = Completion(**fields, stream_id=stream_id, attempts=tuple(attempts))
    if choices is None:
        return completion.replace(choices=(_only_choice(completion),))
    return completion.replace(choices=tuple(_choice(*choice) for choice in choices))


def _only_choice(completion: Completion) -> Choice:
    return Choice(0, *(getattr(completion, name) for name in Choice._fields[1:]))


def _choice(*fields: Any) -> Choice:
    choice = Choice(*fields)
    return choice._replace(tool_calls=_calls(choice.tool_calls), citations=tuple(choice.citations))


def _calls(calls: Iterable[Sequence[str]]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(*call) for call in calls)


def _changed(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != defaults[name]}
