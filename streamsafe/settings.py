"""Settings: what a session holds: provider, credentials, transport, and what goes for all streams.

Here lives how a stream's setup and routes are made of that and of what the stream is given of its
own. What a program can ask for is in ``session``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional, Union

from streamsafe import arguments as checked
from streamsafe.engine import resume as ladder
from streamsafe.engine.retry import RetryPolicy
from streamsafe.engine.timing import Clock, SystemClock, Timeouts
from streamsafe.errors import ConfigurationError
from streamsafe.journal.base import Journal
from streamsafe.journal.sink import Sink
from streamsafe.lifecycle import Observer
from streamsafe.limits import Limits
from streamsafe.models import Call
from streamsafe.providers import presets
from streamsafe.providers.base import Provider
from streamsafe.setup import Callbacks, Route, Setup
from streamsafe.wire.http import HttpTransport
from streamsafe.wire.transport import Transport


class Settings:
    """What a ``StreamSession`` is given, checked; see there."""

    def __init__(
        self,
        provider: Union[str, Provider] = "openai",
        *,
        api_key: Optional[str] = None,
        base_url: Optional[str] = None,
        model: Optional[str] = None,
        timeouts: Union[Timeouts, float] = Timeouts(),
        retry: Union[RetryPolicy, int] = RetryPolicy(),
        resume: str = "auto",
        limits: Limits = Limits(),
        observers: Sequence[Observer] = (),
        journal: Optional[Any] = None,
        http: Optional[Any] = None,
        transport: Optional[Transport] = None,
        headers: Optional[Mapping[str, str]] = None,
        clock: Optional[Clock] = None,
        **defaults: Any,
    ) -> None:
        self.provider = presets.provider(provider)
        self.model = checked.text("model", model)
        self.timeouts = Timeouts.of(timeouts)
        self.retry = RetryPolicy.of(retry)
        self.resume_mode = ladder.mode_of(resume)
        self.limits = checked.limits(limits)
        self.observers = checked.observers(observers)
        self.journal = checked.journal(journal)
        self.defaults = checked.parameters(defaults)
        self._api_key = checked.text("api_key", api_key)
        self._base_url = checked.text("base_url", base_url)
        self._headers = checked.headers(headers)
        self._http = checked.http(http)
        self._clock: Clock = checked.clock(clock) or SystemClock()
        self._own_transport = checked.transport(transport) is None
        self._transport: Transport = (
            HttpTransport(http, limits=limits) if transport is None else transport
        )
        self._barred: set[tuple[Optional[str], str]] = set()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__, _api_key=None, observers=())
        if self._own_transport:
            state["_transport"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._transport is None:
            self._transport = HttpTransport(self._http, limits=self.limits)

    def _setup(
        self,
        call: Call,
        stream_id: str,
        fallbacks: Sequence[Any],
        callbacks: Callbacks,
        timeouts: Union[Timeouts, float, None],
        retry: Union[RetryPolicy, int, None],
        resume: Optional[str],
        observers: Sequence[Observer],
        cancel: Optional[Any],
        journal: Optional[Journal],
        sink: Optional[Sink],
    ) -> Setup:
        return Setup(
            call=call,
            routes=(self._route(call.model), *self._fallbacks(fallbacks)),
            timeouts=self.timeouts if timeouts is None else Timeouts.of(timeouts),
            retry=self.retry if retry is None else RetryPolicy.of(retry),
            resume=self.resume_mode if resume is None else ladder.mode_of(resume),
            limits=self.limits,
            clock=self._clock,
            stream_id=stream_id,
            callbacks=callbacks,
            observers=self.observers + checked.observers(observers),
            cancel=checked.cancel(cancel),
            journal=journal,
            sink=sink,
        )

    def _route(self, model: Optional[str]) -> Route:
        target = presets.target(
            self.provider,
            self._api_key,
            self._base_url,
            self._headers,
            keyless=self._http is not None,
        )
        return Route(self.provider, target, self._transport, model, self._barred)

    def _fallbacks(self, fallbacks: Sequence[Any]) -> Iterator[Route]:
        """Routes of sessions, which bring their own defaults, and of (provider, model) pairs over
        this session's transport."""
        for fallback in checked.several("fallbacks", fallbacks):
            if isinstance(fallback, Settings):
                yield fallback._route(fallback.model)._replace(defaults=fallback.defaults)
            elif isinstance(fallback, tuple) and len(fallback) == 2:
                provider, model = presets.provider(fallback[0]), fallback[1]
                model = checked.text("the model of a fallback", model)
                target = presets.target(provider, None, None, {})
                yield Route(provider, target, self._transport, model, self._barred)
            else:
                raise ConfigurationError(
                    f"fallbacks: {fallback!r}: expected a StreamSession or (provider, model)"
                )
