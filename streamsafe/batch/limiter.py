"""Limiter: how many prompts of a batch are asked at a time, by what the server says.

Pure: it is told what happened and when, and says whether one more may be asked. It sleeps for
nobody and knows no thread.

As TCP finds its rate (RFC 5681): each answer lets the number grow, by one until the first refusal
and by one a round after it; a refusal halves it. On top of that all wait for as long as the
server asks one of them to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Optional

from streamsafe.providers.ratelimits import rate_limits

#: At the start, before anything is known of the server; what a browser opens to a host, rounded up.
FIRST = 8
#: What a refusal leaves of the number (RFC 5681, section 3.1).
CUT = 0.5
#: The wait after a refusal that names none, in seconds; doubled by each further one, up to
#: the cap. The policy for a single stream backs off from half a second as well.
BACKOFF, BACKOFF_CAP = 0.5, 30.0
#: So many prompts that fail one after the other, none answered between, mean an outage.
OUTAGE = 3


class Limiter:
    """Says how many. Used by the driver alone; ``now`` is seconds of a monotonic clock.

    ``most`` is the bound that is never exceeded.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.limit = float(min(FIRST, most))
        self._refused_before = False
        self._cut_at = -math.inf
        self._hold_until = -math.inf
        self._refusals = 0
        self._failures = 0
        #: Since when the server refuses without an answer between, or None.
        self.refusing_since: Optional[float] = None
        #: Whether the server has answered at all.
        self.answered_once = False

    def wait(self, running: int, now: float) -> Optional[float]:
        """Seconds until one more may be asked: 0.0 = now, None = when one of those running ends."""
        if running >= int(self.limit):
            return None
        return max(0.0, self._hold_until - now)

    def answered(self, headers: Mapping[str, str], opened: float, wall: float) -> None:
        """There is an answer. ``opened``: when it began, ``wall``: the same since the epoch."""
        self.answered_once, self.refusing_since = True, None
        self._refusals = self._failures = 0
        grown = self.limit + (1.0 / self.limit if self._refused_before else 1.0)
        self.limit = min(float(self._most), grown)
        for room in rate_limits(headers, wall):
            # A bucket that fills evenly has room for one more after this share of the time. A
            # window that is renewed all at once refuses then, and says how long to wait.
            if room.remaining < 1 and room.reset is not None:
                self._hold(opened + room.reset / max(1.0, room.limit or 1.0))

    def refused(self, began: float, retry_after: Optional[float], now: float) -> None:
        """A request that began at ``began`` was refused for want of room."""
        if self.refusing_since is None:
            self.refusing_since = now
        if began >= self._cut_at:  # those that were under way already tell of the old number
            self.limit = max(1.0, self.limit * CUT)
            self._cut_at, self._refused_before = now, True
            self._refusals += 1
        backoff = min(BACKOFF_CAP, BACKOFF * 2.0 ** min(self._refusals - 1, 16))
        self._hold(now + (backoff if retry_after is None else retry_after))

    def failed(self, now: float) -> None:
        """A prompt failed by a fault that may pass."""
        self._failures += 1
        over = self._failures - max(OUTAGE, int(self.limit))
        if over >= 0:  # an outage: the other prompts need not run into it at full speed
            self.limit = 1.0
            self._refused_before = True
            self._hold(now + min(BACKOFF_CAP, BACKOFF * 2.0 ** min(over, 16)))

    def _hold(self, until: float) -> None:
        self._hold_until = max(self._hold_until, until)
