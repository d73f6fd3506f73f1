"""Playback: the streams of a cassette, read again by the code that reads a server.

Here lives what a cassette does not say: which exchanges were attempts of one stream, and in which
API's words they are. The giving of the bytes is ``debug.replay``'s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional, Union

from streamsafe.debug.cassette import Cassette, Exchange, load
from streamsafe.debug.replay import Replay
from streamsafe.doctor.address import Address, address_of
from streamsafe.engine.retry import RetryPolicy
from streamsafe.engine.timing import Timeouts
from streamsafe.errors import ConfigurationError
from streamsafe.lifecycle import Observer
from streamsafe.session import StreamSession
from streamsafe.stream import Stream
from streamsafe.testing.clock import FakeClock

#: No clock of ours: those of the recording run out where they did.
_NO_CLOCKS = Timeouts(
    connect=None, first_token=None, inactivity=None, stall=None, total=None, warn_after=None
)

#: Under these names stands what was asked, in the bodies of the APIs.
_ASKED = ("messages", "contents", "input", "prompt")


class Playback:
    """The streams of a cassette: ``len()``, and an iterator of Streams, each to be read once.

    Attempts that follow one another and ask the same are taken for one stream. ``speed`` as for a
    Replay: None = as fast as it is read. Without a speed all times that observers are told are
    those of the recording.

    Raises ConfigurationError for a damaged or foreign file, and for one of no LLM's API.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        speed: Optional[float] = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._path = os.fspath(path)
        self._speed = speed
        self._observers = tuple(observers)
        cassette = load(self._path)
        self._recorded = cassette.recorded
        self._groups = grouped(cassette.exchanges)

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Stream]:
        return (self.stream(number) for number in range(1, len(self) + 1))

    def stream(self, number: int) -> Stream:
        """Stream ``number`` (from 1). Raises ConfigurationError where there is none."""
        if not 1 <= number <= len(self):
            raise ConfigurationError(
                f"the cassette {self._path} holds {len(self)} stream(s), no number {number}"
            )
        group = self._groups[number - 1]
        first = group[0]
        where = address_of(first.url)
        if where.preset is None or not isinstance(first.json, Mapping):
            raise ConfigurationError(
                f"{self._path}: {first.method} {first.url} is no request to an API that "
                "streamsafe knows",
                hint="play it to your own client: streamsafe replay --serve",
            )
        return self._session(group, where).stream(body=first.json, model=where.model)

    def _session(self, group: Sequence[Exchange], where: Address) -> StreamSession:
        # The stream's own waits take no time; with a speed it is the replay that waits.
        clock = FakeClock(group[0].began, wall=self._recorded + group[0].began, autojump=True)
        tape = Cassette(self._recorded, tuple(group))
        turned = clock if self._speed is None else None
        return StreamSession(
            where.preset or "",
            api_key="recorded",
            base_url=where.base_url,
            transport=Replay(tape, self._speed, clock=turned),
            clock=clock,
            timeouts=_NO_CLOCKS,
            retry=_until(len(group)),
            resume=_resume(group),
            observers=self._observers,
        )


def grouped(exchanges: Sequence[Exchange]) -> list[list[Exchange]]:
    """The exchanges, those of one stream together."""
    groups: list[list[Exchange]] = []
    for one in exchanges:
        if groups and _goes_on(groups[-1][-1], one):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _goes_on(before: Exchange, one: Exchange) -> bool:
    """Whether ``one`` asks again for what ``before`` did not bring."""
    if before.end is not None and before.end.why == "finished" and before.status == 200:
        return False
    if one.method == "GET":  # of what the server keeps
        return address_of(one.url)[:2] == address_of(before.url)[:2]
    return one.method == before.method and _question(one.json) == _question(before.json)


def _question(body: Any) -> Any:
    """What stays the same where an answer is gone on with."""
    if not isinstance(body, Mapping):
        return body
    for name in _ASKED:
        asked = body.get(name)
        if isinstance(asked, list) and asked:
            return asked[0]
        if isinstance(asked, str):
            return asked[:40]
    return body


def _until(attempts: int) -> RetryPolicy:
    return RetryPolicy(
        max_retries=attempts - 1, max_attempts=attempts, base=0.001, jitter="none",
        max_retry_after=86400.0,
    )  # fmt: skip


def _resume(group: Sequence[Exchange]) -> str:
    """How the recorded program went on, as far as it can be seen."""
    if any(one.method == "GET" for one in group[1:]):
        return "auto"
    return "restart" if all(one.json == group[0].json for one in group) else "continue"
