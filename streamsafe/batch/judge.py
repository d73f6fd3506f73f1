"""Judge: what the end of one prompt means for the others.

Here lives what is learnt from answers and errors: the limiter is told, a prompt that was refused
is asked again, and where the rest would end in the same error it is not asked at all. Pure: the
time is handed in.
"""

from __future__ import annotations

from typing import Optional

from streamsafe.batch.limiter import OUTAGE, Limiter
from streamsafe.batch.retrying import refused, unreachable
from streamsafe.batch.task import Answer
from streamsafe.engine.retry import RetryPolicy
from streamsafe.errors import (
    AuthenticationError,
    ConnectError,
    MalformedStreamError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    StreamCancelledError,
)

#: For how long, in seconds, a server may refuse everything before the prompts fail: a window of
#: a minute's rate limit and a restart go by, a server that is gone for good does not.
PATIENCE = 600.0

#: What the next prompt would end in as well.
_HOPELESS = (AuthenticationError, QuotaExceededError, StreamCancelledError)
#: The same, where nothing was answered before: a wrong address, model or key.
_HOPELESS_AT_FIRST = (ConnectError, MalformedStreamError, NotFoundError, PermissionDeniedError)


class Judge:
    """Told of each end, in the order of the ends; used by the driver alone."""

    def __init__(self, policy: RetryPolicy, limiter: Limiter) -> None:
        self._policy = policy
        self._limiter = limiter
        self._in_vain = 0
        #: The error that all further prompts would end in, once there is one.
        self.hopeless: Optional[Exception] = None

    def learn(self, answer: Answer, began: float, now: float) -> None:
        """A prompt asked at ``began`` has ended so."""
        limiter, error = self._limiter, answer.error
        if answer.completion is not None:
            if not answer.reused and answer.completion.attempts:
                last = answer.completion.attempts[-1]
                limiter.answered(last.headers, now - last.duration, last.started)
            return
        if isinstance(error, _HOPELESS_AT_FIRST) and not limiter.answered_once:
            self._in_vain += 1
        if self.hopeless is None and (isinstance(error, _HOPELESS) or self._in_vain >= OUTAGE):
            self.hopeless = error
        if refused(self._policy, error) or unreachable(self._policy, error):
            limiter.refused(began, getattr(error, "retry_after", None), now)
        elif getattr(error, "retryable", False):
            limiter.failed(now)

    def asks_again(self, error: Optional[Exception], now: float) -> bool:
        """Whether a prompt that ended in this error goes back to the queue."""
        since = self._limiter.refusing_since
        if self.hopeless is not None or since is None or now - since > PATIENCE:
            return False
        if refused(self._policy, error):
            return True
        return self._limiter.answered_once and unreachable(self._policy, error)
