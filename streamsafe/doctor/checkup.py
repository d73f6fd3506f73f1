"""Checkup: one small call, or only its connection, watched by a StreamDebugger.

Here lives the making of the call; what it tells is ``checks``'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.debug.debugger import StreamDebugger
from streamsafe.doctor.address import address_of
from streamsafe.doctor.checks import Check, checks, worst
from streamsafe.engine.timing import Timeouts
from streamsafe.errors import ConfigurationError, StreamingError
from streamsafe.lifecycle import AttemptStarted, Record, Step
from streamsafe.providers.presets import PRESETS
from streamsafe.session import StreamSession
from streamsafe.wire.environment import proxy_of

#: Long enough for a rhythm to show, short enough to cost next to nothing.
PROMPT = "Count from one to sixty in words, separated by commas. Nothing else."
MAX_TOKENS = 300

#: Seconds without a first token, and of the whole, after which a call is given up.
FIRST_TOKEN, TOTAL = 60.0, 120.0


class Target(NamedTuple):
    """Whom to ask. ``preset`` is None for a plain event source at ``url``."""

    preset: Optional[str]
    url: Optional[str]
    model: Optional[str] = None


class Checkup(NamedTuple):
    """What came out. ``worst`` is "ok", "note", "warning" or "error"; ``answer`` is the text; the
    ``debugger`` can report on the call in full."""

    target: Target
    url: str
    checks: list[Check]
    worst: str
    answer: str
    debugger: StreamDebugger


def target_of(where: str, model: Optional[str] = None, preset: Optional[str] = None) -> Target:
    """The target of a preset's name, or of a URL, whose end tells the API unless ``preset`` does.

    Raises ConfigurationError for what is neither.
    """
    if where in PRESETS:
        return Target(where, None, model)
    if "://" not in where:
        raise ConfigurationError(
            f"{where!r} is neither a preset nor a URL (http://... or https://...); presets: "
            f"{', '.join(PRESETS)}"
        )
    found = address_of(where)
    return Target(
        preset or found.preset or "openai_compatible", found.base_url, model or found.model
    )


class Options(NamedTuple):
    """How to ask. ``call=False``: only connect. ``events``: read so many events of a plain source
    in place of an answer. ``timeout``: seconds for a first token."""

    call: bool = True
    prompt: str = PROMPT
    max_tokens: int = MAX_TOKENS
    timeout: float = FIRST_TOKEN
    events: int = 0
    headers: Mapping[str, str] = {}


def examine(target: Target, options: Options = Options()) -> Checkup:
    """Make the call and say what was right and wrong.

    Nothing is retried: what goes wrong is to be seen. Raises ConfigurationError where the call
    can't be made as it is (no key, no model).
    """
    watcher = _Watcher(options.call)
    answer = ""
    with _session(target, options) as session:
        try:
            if options.events:
                _read_events(session, target, options, watcher)
            else:
                answer = _read_answer(session, target, options, watcher)
        except ConfigurationError:
            raise
        except StreamingError:
            pass  # the debugger has seen it
    debugger = watcher.debugger
    timeline = debugger.timeline()
    found = checks(timeline, debugger.diagnose(), proxy_of(watcher.url))
    url = timeline.tries[-1].url if timeline.tries else ""
    return Checkup(target, url, found, worst(found), answer, debugger)


def _session(target: Target, options: Options) -> StreamSession:
    return StreamSession(
        target.preset or "openai_compatible",
        base_url=target.url,
        # A connection alone needs no key, and a plain source is sent none.
        api_key=None if options.call and not options.events else "none",
        timeouts=Timeouts(
            first_token=options.timeout, inactivity=options.timeout, stall=options.timeout,
            total=max(TOTAL, 2 * options.timeout),
        ),
        retry=0,
        resume="never",
        headers=options.headers,
    )  # fmt: skip


def _read_answer(
    session: StreamSession, target: Target, options: Options, watcher: _Watcher
) -> str:
    asked: dict[str, Any] = {"max_tokens": options.max_tokens} if options.call else {}
    model = target.model or (None if options.call else "none")
    stream = session.stream(options.prompt, model=model, observers=(watcher,), **asked)
    watcher.leave = stream.cancel
    with stream:
        try:
            for _ in stream:
                pass
        finally:
            watcher.leave = None
    return stream.completion.text


def _read_events(
    session: StreamSession, target: Target, options: Options, watcher: _Watcher
) -> None:
    events = session.events(target.url or "", headers=options.headers, observers=(watcher,))
    watcher.leave = events.cancel
    with events:
        for number, _ in enumerate(events, 1):
            if number >= options.events:
                return


class _Watcher:
    """A debugger, and the one who leaves when the connection is there if no call is wanted."""

    def __init__(self, call: bool) -> None:
        self.debugger = StreamDebugger()
        self.url = ""
        self.leave: Any = None
        self._call = call

    def observe(self, record: Record) -> None:
        """Take note, and leave in time."""
        self.debugger.observe(record)
        if isinstance(record, AttemptStarted):
            self.url = record.request.url
        if isinstance(record, Step) and not self._call and self._is_there(record.name):
            self.leave("connected, and no call was wanted")

    def _is_there(self, step: str) -> bool:
        https = self.url.lower().startswith("https:")
        return step == ("tls" if https else "connected")
