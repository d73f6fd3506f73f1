"""Thresholds: from when on the diagnosis calls something slow."""

from __future__ import annotations

from streamsafe.errors import ConfigurationError
from streamsafe.models import Frozen


class Thresholds(Frozen):
    """Seconds, all > 0. Raises ConfigurationError for a value that is no positive number.

    ``first_token``: a first token later than this is slow (people leave a page after some 10 s).
    ``buffered``: an answer that comes all at once is only suspect if it let this much time pass
    before. ``held``: a program that kept the server waiting for less than this is not slow.
    ``outer_retries``: equal requests that fail within this time of each other are one program's
    retries of its own.
    """

    __slots__ = ("first_token", "buffered", "held", "outer_retries")

    first_token: float
    buffered: float
    held: float
    outer_retries: float

    def __init__(
        self,
        first_token: float = 10.0,
        buffered: float = 1.0,
        held: float = 2.0,
        outer_retries: float = 60.0,
    ) -> None:
        given = {
            "first_token": first_token,
            "buffered": buffered,
            "held": held,
            "outer_retries": outer_retries,
        }
        for name, value in given.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not value > 0:
                raise ConfigurationError(f"Thresholds({name}={value!r}): expected seconds > 0")
        self._set(**given)
