"""Chaos: faults by chance, the same ones for the same seed.

Here lives the choice of a fault for each request and its exchange. It is for runs that are
long or wild; a test that wants one fault writes it down (``script``).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Callable

from streamsafe.testing import answers
from streamsafe.testing.request import RecordedRequest
from streamsafe.testing.script import (
    Exchange,
    Step,
    fin,
    heartbeats,
    pause,
    reply,
    rst,
    stall,
    stream,
)

#: The faults, in the order in which the dice are read.
FAULTS = (
    "drop", "reset", "stall", "rate_limit", "unavailable", "malformed", "slow", "heartbeats",
    "error",
)  # fmt: skip

#: What the provider families send where their server fails in the middle of a stream.
_ERROR = b'data: {"error":{"message":"chaos: the server had an error","type":"server_error"}}\n\n'

#: How many heartbeats come in place of the answer's next event before it goes on.
_BEATS = 5


class Chaos:
    """Draws at most one fault for each request, with the given probabilities (0 to 1 each).

    ``drop``: the connection is closed in the middle. ``reset``: it is reset. ``stall``: silence
    for good. ``rate_limit``: status 429, Retry-After one second. ``unavailable``: status 503.
    ``malformed``: one event's JSON is cut short, the rest is whole. ``slow``: ten times as slow.
    ``heartbeats``: comments for a while, then the rest. ``error``: an error inside the stream.
    Their sum is at most 1; what is left is the chance of a healthy answer.

    ``pace`` is the seconds between two events of a healthy answer. Request number n (from 1)
    gets the same fault at the same place for the same ``seed`` and probabilities, on every machine.
    Raises ValueError for a name or number that does not fit.
    """

    def __init__(self, seed: int = 0, *, pace: float = 0.0, **probabilities: float) -> None:
        for name, value in probabilities.items():
            if name not in FAULTS:
                raise ValueError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value}: expected a probability from 0 to 1")
        total = sum(probabilities.values())
        if total > 1 + 1e-9:
            raise ValueError(f"the probabilities are {total:g} in all: more than 1")
        self.seed = seed
        self.pace = pace
        self.probabilities = {name: probabilities.get(name, 0.0) for name in FAULTS}

    def fault(self, number: int) -> str:
        """The fault of request ``number``, or "" for a healthy answer."""
        drawn = self._random(number).random()
        for name, probability in self.probabilities.items():
            drawn -= probability
            if drawn < 0:
                return name
        return ""

    def exchange(self, number: int, events: Sequence[bytes]) -> Exchange:
        """The exchange of request ``number`` whose healthy answer is ``events``."""
        fault = self.fault(number)
        if fault == "rate_limit":
            body = {"error": {"message": "chaos: slow down", "type": "rate_limit_error"}}
            return reply(429, json=body, headers={"Retry-After": "1"})
        if fault == "unavailable":
            body = {"error": {"message": "chaos: overloaded", "type": "server_error"}}
            return reply(503, json=body)
        # Drawn after the fault's own number, so that the place does not hang on it.
        where = self._random(-number).randrange(len(events)) if events else 0
        before, after = list(events[:where]), list(events[where:])
        broken: dict[str, list[Step]] = {
            "drop": [*before, fin()],
            "reset": [*before, rst()],
            "stall": [*before, stall()],
            "malformed": [*before, *(_cut(event) for event in after[:1]), *after[1:]],
            "heartbeats": [*before, heartbeats(_BEATS, every=max(self.pace, 0.01)), *after],
            "error": [*before, _inline_error(events)],
        }
        steps = broken.get(fault, [*events])
        pace = self.pace * 10 if fault == "slow" else self.pace
        if fault == "slow":
            pace = max(pace, 0.05)
        return stream(_paced(steps, pace), content_type=answers.content_type(events))

    def handler(
        self, answer: Callable[[RecordedRequest], Sequence[bytes]]
    ) -> Callable[[RecordedRequest], Exchange]:
        """For ``server.handle``: the chaos over the answers that ``answer`` gives.

        Requests are numbered in the order of their coming; concurrent ones may change places.
        """
        numbers = itertools.count(1)
        return lambda request: self.exchange(next(numbers), answer(request))

    def _random(self, number: int) -> random.Random:
        # Seeded by text: that is hashed with SHA-512, the same in all versions of Python.
        return random.Random(f"{self.seed}:{number}")


def _paced(steps: Sequence[Step], pace: float) -> list[Step]:
    if not pace:
        return list(steps)
    return [each for step in steps for each in (pause(pace), step)]


def _cut(event: bytes) -> bytes:
    """The event with the second half of its text gone, its end in place."""
    text = event.rstrip(b"\r\n")
    return text[: len(text) // 2] + event[len(text) :]


def _inline_error(events: Sequence[bytes]) -> bytes:
    first = events[0] if events else b""
    if first.startswith(b"{"):
        return b'{"error":"chaos: the server had an error"}\n'
    if b'"type":"message_start"' in first:
        return answers.anthropic(error="chaos: overloaded")[-1]
    return _ERROR
