"""Arguments: what a program passes to a session, checked before anything is sent.

Here lives what an argument may be and what is said of one that is not. The values with settings of
their own (Timeouts, RetryPolicy, Limits) check themselves; messages are checked by the providers.
Each function gives the argument as the session uses it, or raises ConfigurationError.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

from streamsafe.engine.accumulator import TAIL_CHARS
from streamsafe.engine.timing import Clock
from streamsafe.errors import ConfigurationError
from streamsafe.journal.base import Journal
from streamsafe.journal.sink import Sink, sink_of
from streamsafe.lifecycle import Observer
from streamsafe.limits import Limits
from streamsafe.models import Call
from streamsafe.providers.messages import as_messages
from streamsafe.setup import Callbacks, present
from streamsafe.wire.transport import Transport

#: What a program may ask: a prompt, or OpenAI-style messages.
Prompt = Union[str, Sequence[Mapping[str, Any]], None]

#: The flags of an async function's code, ``inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR``.
_ASYNC = 0x280

#: What other clients call a setting that is no parameter of any API's.
_MEANT = {
    "timeout": "timeouts",
    "max_retries": "retry",
    "retries": "retry",
    "messages": "prompt_or_messages",
}


def text(name: str, given: Any) -> Optional[str]:
    """A str or None."""
    if given is not None and not isinstance(given, str):
        # Not shown: it may be a key.
        raise ConfigurationError(f"{name} is a {type(given).__name__}: expected a str or None")
    return given if given is None else whole(name, given)


def whole(name: str, given: str) -> str:
    """A str that stores and servers can be told: half a surrogate pair is no character."""
    try:
        given.encode()
        return str.__str__(given)  # plain: a str that is an Enum's member is written by its name
    except UnicodeEncodeError as error:
        at = error.start
    # Not from that error, which shows what may be a key.
    raise ConfigurationError(
        f"{name} holds half a surrogate pair, {given[at]!a} at {at}: expected whole characters, "
        "as bytes that are decoded with errors='replace' give"
    )


def headers(given: Any) -> dict[str, str]:
    """A mapping of names to values, or None for none."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"headers is a {type(given).__name__}: expected a mapping")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigurationError(f"headers: {name!r} or its value is no str")
    return dict(given)


def limits(given: Any) -> Limits:
    """A Limits."""
    if not isinstance(given, Limits):
        raise _wrong("limits", given, "a Limits")
    return given


def journal(given: Optional[Journal]) -> Optional[Journal]:
    """A Journal or None."""
    _want(("begin", "claim"), "journal", given, "a Journal, such as SQLiteJournal(path),")
    return given


def http(given: Any) -> Any:
    """A requests.Session or None."""
    _want(("prepare_request", "get_adapter"), "http", given, "a requests.Session")
    return given


def transport(given: Optional[Transport]) -> Optional[Transport]:
    """A Transport or None."""
    _want(("open",), "transport", given, "a Transport, such as Recorder(path),")
    return given


def clock(given: Optional[Clock]) -> Optional[Clock]:
    """A Clock or None."""
    _want(("now", "wall", "sleep"), "clock", given, "a Clock")
    return given


def cancel(given: Any) -> Any:
    """A token that can be asked ``is_set()``, or None."""
    _want(("is_set",), "cancel", given, "what has is_set(), such as threading.Event(),")
    return given


def several(name: str, given: Any) -> tuple[Any, ...]:
    """The members of a list or the like; None for none."""
    if given is None:
        return ()
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise _wrong(name, given, "a list")
    return tuple(given)


def observers(given: Any) -> tuple[Observer, ...]:
    """Observers, in a list or the like."""
    found = several("observers", given)
    for observer in found:
        if isinstance(observer, type) or not callable(getattr(observer, "observe", None)):
            raise ConfigurationError(
                f"observers: {observer!r} has no observe(record); see streamsafe.lifecycle.Observer"
            )
    return found


def callbacks(*functions: Any) -> Callbacks:
    """Functions, in the order of Callbacks; None where there is none."""
    for name, function in zip(Callbacks._fields, functions):
        if function is not None and not callable(function):
            raise _wrong(name, function, "a function or None")
        _not_async(name, function)
    return Callbacks(*functions)


def sink(given: Any) -> Optional[Sink]:
    """Where the text goes as it comes; None = nowhere."""
    _not_async("sink", given)
    return sink_of(given)


def _not_async(name: str, function: Any) -> None:
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & _ASYNC:
        raise _wrong(name, function, "a plain function: nobody awaits an async one here")


def keep(given: Any) -> Optional[int]:
    """How many characters of text stay in memory, None = all."""
    if given not in ("all", "tail"):
        raise _wrong("keep", given, "'all' or 'tail'")
    return TAIL_CHARS if given == "tail" else None


def skips(on_malformed: Any) -> bool:
    """Whether events that can't be read are passed over."""
    if on_malformed not in ("error", "skip"):
        raise _wrong("on_malformed", on_malformed, "'error' or 'skip'")
    return bool(on_malformed == "skip")


def stream_id(given: Any) -> str:
    """A name of the program's own, or a new one for None."""
    if given is None:
        return f"st_{os.urandom(8).hex()}"
    if not isinstance(given, str) or not given:
        raise _wrong("stream_id", given, "a str that is not empty")
    return whole("stream_id", given)


def _body(given: Any) -> dict[str, Any]:
    """A request's JSON object."""
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"body={type(given).__name__}: expected a mapping, the request's JSON object"
        )
    return dict(given)


def parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """What goes into the request's body; not what was meant for the session."""
    for name, value in given.items():
        if name in _MEANT:
            raise ConfigurationError(
                f"{name}= is no parameter of a request; did you mean {_MEANT[name]}=?"
            )
        if name.startswith("on_") and callable(value):
            known = ", ".join(Callbacks._fields)
            raise ConfigurationError(f"{name}= is no callback known here: {known}")
    return dict(given)


def call(
    prompt: Prompt,
    model: Any,
    body: Any,
    given: Mapping[str, Any],
    *,
    usual: Optional[str] = None,
    defaults: Mapping[str, Any],
) -> Call:
    """A prompt or messages with parameters, or a body. ``usual`` is the model where none is named,
    ``defaults`` are the parameters to begin with; a body goes without."""
    model, asked = text("model", model), parameters(given)
    if body is None:
        return Call(as_messages(prompt), model or usual, present({**defaults, **asked}))
    if prompt is not None:
        raise ConfigurationError("give a prompt or messages, or body=, not both")
    own = _body(body)
    model = model or text("the body's model", own.get("model")) or usual
    return Call((), model, present(asked), own)


def url(given: Any) -> str:
    """An address of HTTP."""
    if not isinstance(given, str) or not given.lower().startswith(("http://", "https://")):
        raise _wrong("url", given, "http://... or https://...")
    return given


def method(given: Any) -> str:
    """An HTTP method, in capitals."""
    if not isinstance(given, str) or not given.isalpha():
        raise _wrong("method", given, "one such as 'GET' or 'POST'")
    return given.upper()


def _want(methods: tuple[str, ...], name: str, given: Any, expected: str) -> None:
    if given is not None and not all(callable(getattr(given, one, None)) for one in methods):
        raise _wrong(name, given, f"{expected} or None")


def _wrong(name: str, given: Any, expected: str) -> ConfigurationError:
    return ConfigurationError(f"{name}={given!r}: expected {expected}")
