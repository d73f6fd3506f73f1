"""Setup: all that a stream is made of, as values. The session makes it, the run reads it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

from streamsafe.engine.retry import RetryPolicy
from streamsafe.engine.timing import Clock, Timeouts
from streamsafe.errors import StreamingError
from streamsafe.journal.base import Journal, Saved
from streamsafe.journal.sink import Sink
from streamsafe.lifecycle import Observer
from streamsafe.limits import Limits
from streamsafe.models import Attempt, Call, Completion, Request
from streamsafe.providers.base import Provider, Target
from streamsafe.wire.transport import Transport


class Route(NamedTuple):
    """Whom the question is put to, and by what way. ``barred`` is shared by all streams of a
    session: (model, rung) pairs that servers have refused. ``defaults``: parameters that stand in
    for those of the session that was asked; None = those."""

    provider: Provider
    target: Target
    transport: Transport
    model: Optional[str]
    barred: set[tuple[Optional[str], str]]
    defaults: Optional[Mapping[str, Any]] = None


class Callbacks(NamedTuple):
    """The program's own functions, or None; see ``StreamSession.stream``."""

    on_token: Optional[Callable[[str], object]] = None
    on_error: Optional[Callable[[StreamingError], object]] = None
    on_complete: Optional[Callable[[Completion], object]] = None
    on_retry: Optional[Callable[[Attempt], object]] = None
    on_stall: Optional[Callable[[float], object]] = None


class Setup(NamedTuple):
    """``routes``: the first is asked, the others are fallbacks, in their order. ``saved`` is what a
    journal holds of a stream that is to be gone on with. ``keep``: characters of text to keep in
    memory, None = all. ``given``: of the call's parameters those that are no session's defaults.
    ``first``: the request of the first route, made already."""

    call: Call
    routes: tuple[Route, ...]
    timeouts: Timeouts
    retry: RetryPolicy
    resume: str
    limits: Limits
    clock: Clock
    stream_id: str
    callbacks: Callbacks = Callbacks()
    observers: tuple[Observer, ...] = ()
    cancel: Optional[Any] = None
    journal: Optional[Journal] = None
    sink: Optional[Sink] = None
    keep: Optional[int] = None
    saved: Optional[Saved] = None
    skip_malformed: bool = False
    random: Callable[[], float] = random.random
    given: Mapping[str, Any] = {}
    first: Optional[Request] = None

    def asked(self, route: Route) -> Call:
        """The question as it is put to a route: for its model, with its defaults."""
        if route.defaults is None or self.call.body is not None:
            same = route.model == self.call.model
            return self.call if same else self.call.replace(model=route.model)
        parameters = present({**route.defaults, **self.given})
        return self.call.replace(model=route.model, parameters=parameters)

    @property
    def secrets(self) -> list[str]:
        """The keys of all routes, which nobody is to see."""
        return [secret for route in self.routes for secret in route.target.secrets]


def present(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have a value: None is what programs pass on where they were given nothing. But of
    ``stream_options``, which are sent unasked, it is said with None that none are wanted."""
    return {
        name: value
        for name, value in parameters.items()
        if value is not None or name == "stream_options"
    }
