"""Resume: how to go on with an answer that broke off. Pure: no request is made here.

Here lives the ladder: from the call, what has been delivered, and what the provider says of the
model, to the next call and the joint that fits it, or to the reason why there is none.

The rungs, from the surest: the server's own cursor, or where it has let the events go, the whole
answer once it is done ("poll"); a prefill that the model goes on from; a user message that asks
to go on; the question asked again from its start. "auto" takes the
first two, and only where the profile is sure; "auto_restart" takes the last where neither can
be. No rung leads into a tool call, into reasoning, into structured output or into one of several
choices: what is finished of the text is kept, the rest is asked for again, and a "restart" chunk
says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.engine.accumulator import has_tail_alone
from streamsafe.engine.joint import Joint, Restart
from streamsafe.engine.seam import Continued, Kept
from streamsafe.errors import ConfigurationError
from streamsafe.models import Call, Chunk, Completion
from streamsafe.providers.base import Profile, Provider

MODES = ("auto", "continue", "restart", "never", "auto_restart")

#: The names under which a request bounds the answer's length.
_LENGTHS = (
    "max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "num_predict",
)  # fmt: skip

#: The names under which some APIs have those, and what asks for structure, a level deeper.
_SETTINGS = ("generationConfig", "options")

#: Parameters that ask for structured output, by the API that knows them.
_STRUCTURE = (
    "response_format", "format", "output_config", "text", "guided_json", "json_schema",
    "responseSchema", "responseJsonSchema", "responseMimeType",
)  # fmt: skip


class Plan(NamedTuple):
    """The next call, how its answer is joined, and which rung that is; or a ``refusal``."""

    call: Call
    joint: Optional[Joint] = None
    refusal: str = ""
    how: str = ""


def mode_of(value: object) -> str:
    """A valid ``resume=``, or ConfigurationError."""
    if value not in MODES:
        raise ConfigurationError(f"resume={value!r}: expected one of {', '.join(MODES)}")
    return str(value)


def plan(
    mode: str,
    call: Call,
    delivered: Completion,
    has_content: bool,
    provider: Provider,
    number: int,
    barred: frozenset[str] = frozenset(),
) -> Plan:
    """The way on after a failure.

    ``call`` is the first one; ``delivered`` what the program has; ``number`` the next attempt's;
    ``barred`` the rungs that this model has turned out to refuse. Nothing delivered: a plain
    retry, unless the server keeps what it has begun: asked again it would begin a second one.
    """
    if not has_content and mode in ("never", "restart"):
        return Plan(call)
    if mode == "never":
        return Plan(call, refusal="part of the answer was delivered (resume='never')")
    if mode == "restart":
        return _again(call, delivered, number)
    profile = provider.profile(call.model)
    for kept in ("cursor", "poll") if profile.cursor else ():
        found = _kept(call, delivered, provider, number, kept) if kept not in barred else None
        if found is not None:
            return found
    if not has_content:
        return Plan(call)
    tail = has_tail_alone(delivered)
    how = "" if tail and mode != "continue" else _rung(mode, profile, barred)
    if not how and mode == "auto_restart":
        return _again(call, delivered, number)
    if not how:
        why = "this model is not known to go on from it"
        if tail:
            why = "its end alone is at hand (a journal, or a path as sink, would have all of it)"
        return Plan(
            call,
            refusal=f"part of the answer was delivered, and {why} "
            f"(resume={mode!r}; 'continue' asks it to, 'restart' asks from the start)",
        )
    begun = delivered.tool_calls or delivered.refusal  # what is kept would have to be whole
    if not delivered.text or tail and begun or _structured(call) or _several(call, delivered):
        return _again(call, delivered, number)
    return _onward(call, delivered, provider, profile, number, how)


def _rung(mode: str, profile: Profile, barred: frozenset[str]) -> str:
    if "prefill" not in barred:
        if profile.prefill == "yes" or (profile.prefill == "unsure" and mode == "continue"):
            return "prefill"
    if profile.user_message and (mode == "continue" or "prefill" in barred):
        return "user_message"
    return ""


def _again(call: Call, delivered: Completion, number: int) -> Plan:
    return Plan(call, Restart(delivered, number), how="restart")


def _kept(
    call: Call, delivered: Completion, provider: Provider, number: int, how: str
) -> Optional[Plan]:
    """The server kept the stream or the answer; None if it did not say where."""
    try:
        onward = provider.continued(call, delivered, how)
    except ConfigurationError:
        return None
    return Plan(onward, Continued(delivered, number, how=how, exact=True), how=how)


def _onward(
    call: Call, delivered: Completion, provider: Provider, profile: Profile, number: int, how: str
) -> Plan:
    """Go on from the text; what else was begun is taken back."""
    try:
        onward = provider.continued(_shortened(call, delivered), delivered, how)
    except ConfigurationError as error:
        return Plan(call, refusal=f"the answer can't be continued: {error.message}")
    known = how == "prefill" and profile.prefill == "yes" and not has_tail_alone(delivered)
    inner = Continued(
        delivered,
        number,
        how=how,
        exact=known,
        echoes=known and profile.echoes,
        strips=known and profile.strips,
    )
    if delivered.tool_calls or delivered.refusal:
        return Plan(onward, Kept(_finished(delivered), inner), how=how)
    return Plan(onward, inner, how=how)


def _finished(delivered: Completion) -> list[Chunk]:
    """What is kept of an answer that was cut inside a tool call: reasoning and text."""
    kept = [Chunk("text", delivered.text)]
    if delivered.reasoning:
        kept.insert(0, Chunk("reasoning", reasoning=delivered.reasoning))
    return kept


def _shortened(call: Call, delivered: Completion) -> Call:
    """The call with its bound on the answer's length lowered by what was received of it."""
    emitted = -(-(delivered.text_chars + len(delivered.reasoning)) // 4)
    if delivered.usage is not None and not delivered.usage.estimated:
        emitted = max(emitted, delivered.usage.output_tokens)
    lowered = call.replace(parameters=_lowered(call.parameters, emitted))
    return lowered if call.body is None else lowered.replace(body=_lowered(call.body, emitted))


def _lowered(asked: Mapping[str, Any], by: int) -> dict[str, Any]:
    lowered = dict(asked)
    for name, value in asked.items():
        if name in _LENGTHS and isinstance(value, int):
            lowered[name] = max(1, value - by)
        elif name in _SETTINGS and isinstance(value, Mapping):
            lowered[name] = _lowered(value, by)
    return lowered


def _structured(call: Call) -> bool:
    asked = _asked(call)
    return any(_is_structure(asked.get(name)) for name in _STRUCTURE)


def _is_structure(value: Any) -> bool:
    """JSON asked for, in any API's way; plain text named as a format is none."""
    if isinstance(value, str):
        return value in ("json", "application/json", "text/x.enum") or value.startswith("{")
    if not isinstance(value, Mapping):
        return False
    inner = value.get("format")
    kind = inner.get("type") if isinstance(inner, Mapping) else value.get("type", "json")
    return kind != "text"


def _several(call: Call, delivered: Completion) -> bool:
    asked = _asked(call)
    several = [asked.get(name) for name in ("n", "candidateCount", "num_generations")]
    return len(delivered.choices) > 1 or any(isinstance(n, int) and n > 1 for n in several)


def _asked(call: Call) -> dict[str, Any]:
    """All that is asked for by name."""
    asked = {**(call.body or {}), **call.parameters}
    for name in _SETTINGS:
        inner = asked.get(name)
        asked.update(inner if isinstance(inner, Mapping) else {})
    return asked
