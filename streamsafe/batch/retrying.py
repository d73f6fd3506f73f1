"""The retry policy of a stream that is one of many.

Here lives who waits for a server that refuses: one stream alone waits by itself and holds its
place meanwhile; of many, the refused go back to the queue, and all of them go slower.
"""

from __future__ import annotations

from typing import Any, Optional

from streamsafe.engine.retry import Decision, RetryBudget, RetryPolicy
from streamsafe.errors import ConnectError, OverloadedError, RateLimitError, StreamingError

#: Retries that the streams of a batch share before they must be earned by answers: enough for
#: each of the workers to fail once or twice at the same time.
BUDGET_PER_WORKER = 4.0


class Queueing(RetryPolicy):
    """A RetryPolicy that leaves a refused request to the queue it came from."""

    # No __slots__ of its own: a Frozen's fields are those that its class names there.

    def decide(self, error: BaseException, **history: Any) -> Decision:
        """As for a stream alone, but for what the queue waits for."""
        if refused(self, error):
            return Decision(False, 0.0, "asked again when the server has room")
        return super().decide(error, **history)


def policy_of(given: RetryPolicy, workers: int, queueing: bool) -> RetryPolicy:
    """The policy for each stream of a batch, with a budget for all of them."""
    kind = Queueing if queueing else RetryPolicy
    fields = given.fields()
    if given.budget is None:
        fields["budget"] = RetryBudget(tokens=max(10.0, BUDGET_PER_WORKER * workers))
    return kind(**fields)


def refused(policy: RetryPolicy, error: Optional[BaseException]) -> bool:
    """The server had no room for the request (429, 503, 529), will have it soon, and nothing of
    the answer had come."""
    if not isinstance(error, (RateLimitError, OverloadedError)) or not error.retryable:
        return False
    if policy.max_retries == 0 or delivered(error):
        return False
    asked, most = error.retry_after, policy.max_retry_after
    return asked is None or most is None or asked <= most


def unreachable(policy: RetryPolicy, error: Optional[BaseException]) -> bool:
    """No connection came about: nothing was asked, and nothing had come before."""
    return isinstance(error, ConnectError) and policy.max_retries > 0 and not delivered(error)


def delivered(error: StreamingError) -> bool:
    """Whether a part of the answer had come."""
    partial = error.partial
    return bool(partial.text or partial.reasoning or partial.refusal or partial.tool_calls)
