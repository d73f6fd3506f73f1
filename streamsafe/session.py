"""StreamSession: defaults, credentials, transport and observers, shared by many streams.

Here lives what a program can ask a session for. What it holds is ``settings``, a stream is run by
``run``, a request made by its provider: a session does no work of its own.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from streamsafe import arguments as checked
from streamsafe.arguments import Prompt
from streamsafe.engine.retry import RetryPolicy
from streamsafe.engine.timing import Timeouts
from streamsafe.errors import ConfigurationError, StreamingError
from streamsafe.events import EventStream, Source
from streamsafe.handle import StreamHandle
from streamsafe.journal.base import Saved
from streamsafe.lifecycle import Observer
from streamsafe.limits import Limits
from streamsafe.models import Attempt, Call, Completion, Request, ServerSentEvent
from streamsafe.settings import Settings
from streamsafe.setup import Setup
from streamsafe.stream import Stream

if TYPE_CHECKING:
    from streamsafe.batch import Progress, Result


class StreamSession(Settings):
    """Streams answers from one provider.

    ``provider``: a preset's name (``streamsafe.providers.presets.PRESETS``) or a Provider. The key
    is ``api_key`` or comes from the preset's environment variable at each stream; ``base_url`` ends
    where the vendor's own SDK ends it. ``model`` and ``defaults`` go into each request and can be
    overridden by each stream. ``headers`` are added to each request.

    ``timeouts`` (a Timeouts, or a number: the total in seconds), ``retry`` (a RetryPolicy, or the
    number of retries), ``resume`` ("auto", "continue", "restart", "never"), ``limits``,
    ``observers`` and ``journal`` hold for all streams that are not given their own.

    ``http`` is your own ``requests.Session``: its proxies, certificates, adapters and auth are then
    used. ``transport`` replaces HTTP altogether (a recorder, a replay, a fake).

    Thread-safe and fork-safe. Picklable, without connections, observers and key: the other
    process takes the key from its environment. Raises ConfigurationError for what can't be right.
    """

    # -- streams -----------------------------------------------------------------------------

    def stream(
        self,
        prompt_or_messages: Prompt = None,
        *,
        model: Optional[str] = None,
        on_token: Optional[Callable[[str], object]] = None,
        on_error: Optional[Callable[[StreamingError], object]] = None,
        on_complete: Optional[Callable[[Completion], object]] = None,
        on_retry: Optional[Callable[[Attempt], object]] = None,
        on_stall: Optional[Callable[[float], object]] = None,
        timeouts: Union[Timeouts, float, None] = None,
        retry: Union[RetryPolicy, int, None] = None,
        resume: Optional[str] = None,
        journal: Optional[Any] = None,
        stream_id: Optional[str] = None,
        cancel: Optional[Any] = None,
        fallbacks: Sequence[Any] = (),
        observers: Sequence[Observer] = (),
        on_malformed: str = "error",
        sink: Optional[Any] = None,
        keep: str = "all",
        body: Optional[Mapping[str, Any]] = None,
        **parameters: Any,
    ) -> Stream:
        """A lazy Stream of the answer: nothing is sent before it is iterated.

        ``prompt_or_messages``: a str, or OpenAI-style messages; or None with ``body``, the request
        in the provider's own words, passed through untouched. ``parameters`` go into the body
        (``max_tokens``, ``temperature``, ``tools`` …); None leaves one out, be it a default of the
        session's.

        Callbacks run on the thread that reads: ``on_token(text)``; ``on_error(error)`` for each
        failure, also one that is then retried (``error.will_retry``); ``on_retry(attempt)`` with
        the record of the attempt that failed, before the wait; ``on_complete(completion)``. Only
        ``on_stall(seconds)`` runs on a helper thread of the watchdog's. One that raises ends the
        stream with that exception.

        ``journal`` keeps every chunk on disk before it is handed out. ``sink``: a path, a file
        object or a function to which the text goes as it comes; with ``keep="tail"`` only the end
        of the text stays in memory (``completion.text_chars`` counts all of it).

        ``cancel``: anything with ``is_set()``, such as a threading.Event; looked at ten times a
        second. ``stream_id``: a name of your own. ``on_malformed``: "error", or "skip" to go on
        behind an event that can't be read (told to ``on_error`` and counted). ``observers`` are
        added to the session's. The rest overrides the session's setting for this stream.

        ``fallbacks``: sessions, or (provider, model) pairs over this session's transport, that are
        asked in their order where the one before has failed for good; in mid-answer only with
        ``resume="continue"``. Sessions bring their own defaults.

        Raises ConfigurationError before anything is sent.
        """
        call = checked.call(
            prompt_or_messages, model, body, parameters, usual=self.model, defaults=self.defaults
        )
        setup = self._setup(
            call,
            checked.stream_id(stream_id),
            fallbacks,
            checked.callbacks(on_token, on_error, on_complete, on_retry, on_stall),
            timeouts,
            retry,
            resume,
            observers,
            cancel,
            self.journal if journal is None else checked.journal(journal),
            checked.sink(sink),
        )
        return _stream(
            setup._replace(
                keep=checked.keep(keep),
                skip_malformed=checked.skips(on_malformed),
                given=parameters,
            )
        )

    def resume(
        self,
        stream_id: str,
        *,
        journal: Optional[Any] = None,
        observers: Sequence[Observer] = (),
        on_token: Optional[Callable[[str], object]] = None,
        on_error: Optional[Callable[[StreamingError], object]] = None,
        on_complete: Optional[Callable[[Completion], object]] = None,
        on_retry: Optional[Callable[[Attempt], object]] = None,
        on_stall: Optional[Callable[[float], object]] = None,
        timeouts: Union[Timeouts, float, None] = None,
        retry: Union[RetryPolicy, int, None] = None,
        resume: Optional[str] = None,
        cancel: Optional[Any] = None,
        fallbacks: Sequence[Any] = (),
        sink: Optional[Any] = None,
    ) -> Stream:
        """Go on with a stream whose process has gone, from what its journal holds.

        So also with one that failed or was cancelled. The stream's ``completion.text`` is what had
        been written; its iterator gives what comes after that. One that was complete gives nothing
        more. A ``sink`` is given the whole text: first, before anything is asked, what the journal
        holds; a path is written anew, whatever the dead process left of it.

        It is the session's provider that is asked, for the model that had begun; for the session's
        own where another provider had. ``fallbacks`` as for ``stream``: in mid-answer they are
        asked with ``resume="continue"`` alone. Of what the journal has of the parameters, other
        sessions are sent those that are not this one's defaults.

        Raises ResumeError for an unknown id, or while another process or thread is reading it;
        iterating raises it where the answer can't be gone on with (see ``resume``).
        """
        keeping = self.journal if journal is None else checked.journal(journal)
        if keeping is None:
            raise ConfigurationError("resume() wants a journal: pass journal= or give it one")
        stream_id = checked.stream_id(stream_id)
        info = keeping.info(stream_id)
        known = info.provider == self.provider.name
        setup = self._setup(
            Call((), info.model if known else self.model or info.model),
            stream_id,
            fallbacks,
            checked.callbacks(on_token, on_error, on_complete, on_retry, on_stall),
            timeouts,
            retry,
            resume,
            observers,
            cancel,
            keeping,
            checked.sink(sink),
        )
        if info.status != "complete":
            keeping.claim(stream_id, secrets=setup.secrets)
        try:
            return self._taken_up(setup, keeping.load(stream_id), known)
        except BaseException:
            keeping.release(stream_id)
            raise

    def complete(self, prompt_or_messages: Prompt = None, **arguments: Any) -> Completion:
        """Read a stream to its end and return the completion; arguments as for ``stream``."""
        with self.stream(prompt_or_messages, **arguments) as stream:
            return stream.until_done()

    def submit(self, prompt_or_messages: Prompt = None, **arguments: Any) -> StreamHandle:
        """Read a stream on a thread of its own; arguments as for ``stream``.

        Callbacks then run on that thread.
        """
        return StreamHandle(self.stream(prompt_or_messages, **arguments), self.limits.max_queue)

    def map(
        self,
        prompts: Iterable[Any],
        *,
        executor: Optional[Any] = None,
        max_workers: int = 8,
        journal: Optional[Any] = None,
        progress: Union[Callable[[Progress], object], bool, None] = None,
        name: str = "batch",
        **same: Any,
    ) -> Generator[Result, None, None]:
        """Ask many prompts, some at a time, and iterate their Results in the prompts' order.

        A prompt is what ``stream`` takes, or a mapping with one of ``prompt``, ``messages`` and
        ``body``, perhaps an ``id``, and parameters of its own. They may be endless: few are read
        ahead. ``same`` are arguments of ``stream`` for all of them. What fails is a Result with an
        ``error``; only what the rest would end in as well (a wrong key or address, no credit) is
        raised, after the results of what had been asked.

        ``max_workers``: how many are asked at a time, at most. A server that refuses for want of
        room (429, 503) is asked by fewer, and again once there is room, for up to ten minutes
        in which it answers nothing. All share a RetryBudget. A broken answer is gone on with or
        asked for again (``resume="auto"`` means "auto_restart" here).

        ``executor``: any ``concurrent.futures.Executor``, None = threads of its own. Another
        process takes a pickled session: the key from its environment, no observers. It is not
        shut down.

        ``journal``: a second run over the same one asks only what has no answer there, and goes on
        with what has a part of it. ``name`` tells batches in it apart.

        ``progress``: a function that is called with a Progress after each; True for a bar (tqdm);
        None for one if standard error is a terminal; False for none.

        It works while it is iterated. Leaving the loop cancels what runs. Raises
        ConfigurationError before anything is sent.
        """
        from streamsafe.batch.mapping import mapped

        if executor is None:
            self._route(self.model)  # the key is wanted here, not in another process
        return mapped(
            self, prompts, executor=executor, max_workers=max_workers,
            journal=checked.journal(journal), progress=progress, name=name, same=same,
        )  # fmt: skip

    def events(
        self,
        url: str,
        *,
        method: str = "GET",
        json: Optional[Any] = None,
        headers: Optional[Mapping[str, str]] = None,
        last_event_id: Optional[str] = None,
        timeouts: Union[Timeouts, float, None] = None,
        retry: Union[RetryPolicy, int, None] = None,
        limits: Optional[Limits] = None,
        observers: Sequence[Observer] = (),
    ) -> EventStream[ServerSentEvent]:
        """A plain source of Server-Sent Events of any kind, reconnecting by the WHATWG's rules.

        ``last_event_id``: go on behind this event. Of ``timeouts``, ``first_token`` runs to the
        first byte and ``inactivity`` between bytes, heartbeats included; ``stall`` does not
        apply. ``retry`` counts consecutive connects that brought neither event nor heartbeat;
        0: read once, the end of the body is the end. ``observers`` are added to the session's; no
        key of it is sent.
        """
        return self._plain(
            "sse", url, method, json, headers, last_event_id, timeouts, retry, limits, observers
        )

    def lines(
        self,
        url: str,
        *,
        method: str = "GET",
        json: Optional[Any] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeouts: Union[Timeouts, float, None] = None,
        limits: Optional[Limits] = None,
        observers: Sequence[Observer] = (),
    ) -> EventStream[Any]:
        """A plain source of JSON lines (NDJSON): each line's value as it comes.

        Read once: lines have no ids to go on from, so a drop is raised, and the end of the body
        is the end.
        """
        return self._plain(
            "ndjson", url, method, json, headers, None, timeouts, 0, limits, observers
        )

    def _plain(
        self,
        framing: str,
        url: str,
        method: str,
        json: Optional[Any],
        headers: Optional[Mapping[str, str]],
        last_event_id: Optional[str],
        timeouts: Union[Timeouts, float, None],
        retry: Union[RetryPolicy, int, None],
        limits: Optional[Limits],
        observers: Sequence[Observer],
    ) -> EventStream[Any]:
        clocks = self.timeouts if timeouts is None else Timeouts.of(timeouts)
        return EventStream(
            Source(
                request=Request(
                    checked.method(method), checked.url(url), checked.headers(headers), json
                ),
                framing=framing,
                last_event_id=checked.text("last_event_id", last_event_id) or "",
                transport=self._transport,
                timeouts=clocks.replace(stall=None),
                retry=self.retry if retry is None else RetryPolicy.of(retry),
                limits=self.limits if limits is None else checked.limits(limits),
                clock=self._clock,
                stream_id=checked.stream_id(None),
                random=random.random,
                observers=self.observers + checked.observers(observers),
            )
        )

    # -- the session's own end -----------------------------------------------------------------

    def close(self) -> None:
        """Close the idle connections. Streams that are being read go on."""
        self._transport.close()

    def __enter__(self) -> StreamSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<StreamSession {self.provider.name} model={self.model!r}>"

    def _taken_up(self, setup: Setup, saved: Saved, known: bool) -> Stream:
        """A stream as a journal has it; ``known``: by this session's own provider."""
        if not known:
            saved = saved._replace(state={})  # another server's cursor
        asked, usual = saved.call.parameters, self.defaults.items()
        given = {name: value for name, value in asked.items() if (name, value) not in usual}
        setup = setup._replace(call=saved.call, given=given, saved=saved)
        if saved.completion is None:
            return _stream(setup)
        if setup.sink is not None:
            setup.sink.write(saved.chunks)
            setup.sink.finish()
        return Stream(setup)


def _stream(setup: Setup) -> Stream:
    # What an API cannot take is found now, where the program can see what it wrote.
    made = [route.provider.request(setup.asked(route), route.target) for route in setup.routes]
    first = made[0] if setup.asked(setup.routes[0]) is setup.call else None
    return Stream(setup._replace(first=first))
