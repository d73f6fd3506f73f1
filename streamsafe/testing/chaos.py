"""Chaos: faults by chance, the same ones for the same seed.

Here lives the choice of a fault for each request and its exchange. It is for runs that are
long or wild; a test that wants one fault writes it down (``script``).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Callable

from streamsafe.testing.faults import FAULTS, fault
from streamsafe.testing.request import RecordedRequest
from streamsafe.testing.script import Exchange


class Chaos:
    """Draws at most one fault for each request, with the given probabilities (0 to 1 each).

    The faults are those of ``faults.fault``: ``Chaos(7, drop=0.1, rate_limit=0.2)``. Their sum is
    at most 1; what is left is the chance of a healthy answer.

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
        # Drawn after the fault's own number, so that the place does not hang on it.
        where = self._random(-number).randrange(len(events)) if events else 0
        return fault(self.fault(number) or "ok", events, where, pace=self.pace)

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
