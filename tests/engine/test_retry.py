"""The policy decides from a history alone; no test waits."""

import pickle

import pytest

from streamsafe.engine.retry import RetryBudget, RetryPolicy
from streamsafe.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    RateLimitError,
    StreamTimeoutError,
)

PLAIN = RetryPolicy(jitter="none")


def decide(policy, error, **changes):
    facts = dict(failures=1, attempts=1, elapsed=0.0, remaining=None, random=lambda: 0.5)
    return policy.decide(error, **{**facts, **changes})


def test_backoff_doubles_up_to_the_cap():
    waits = [PLAIN.backoff(n, lambda: 1.0) for n in range(1, 8)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize(
    ("jitter", "least", "most"), [("full", 0.0, 2.0), ("equal", 1.0, 2.0), ("none", 2.0, 2.0)]
)
def test_jitter_spreads_the_wait_as_its_name_says(jitter, least, most):
    policy = RetryPolicy(jitter=jitter)
    assert policy.backoff(3, lambda: 0.0) == least
    assert policy.backoff(3, lambda: 1.0) == most


def test_a_huge_number_of_failures_does_not_overflow():
    assert PLAIN.backoff(10**6, lambda: 1.0) == 8.0
    assert PLAIN.replace(multiplier=1e300).backoff(10, lambda: 1.0) == 8.0
    assert PLAIN.replace(base=0.0).backoff(10**6, lambda: 1.0) == 0.0


def test_three_retries_are_four_requests_without_progress():
    assert [decide(PLAIN, ConnectError("x"), failures=n).retry for n in (1, 2, 3, 4)] == [
        True, True, True, False,
    ]  # fmt: skip


def test_the_whole_is_bounded_by_max_attempts_also_with_progress():
    policy = RetryPolicy(max_attempts=2)
    assert decide(policy, ConnectError("x"), attempts=1).retry
    decision = decide(policy, ConnectError("x"), attempts=2)
    assert not decision.retry and "max_attempts" in decision.reason


def test_what_no_other_try_can_mend_is_not_tried_again():
    assert not decide(PLAIN, AuthenticationError("no")).retry
    assert not decide(PLAIN, ValueError("not ours")).retry
    assert not decide(PLAIN, StreamTimeoutError("total", 1, 1)).retry
    assert decide(PLAIN, StreamTimeoutError("inactivity", 1, 1)).retry


def test_the_servers_delay_goes_before_the_backoff():
    assert decide(PLAIN, RateLimitError("slow", retry_after=7.5)).delay == 7.5
    assert decide(PLAIN, RateLimitError("slow")).delay == 0.5


def test_a_delay_that_is_too_long_is_not_slept_through():
    decision = decide(PLAIN, RateLimitError("slow", retry_after=3600))
    assert not decision.retry and "3600" in decision.reason
    assert decide(RetryPolicy(max_retry_after=None), RateLimitError("x", retry_after=3600)).retry


def test_no_retry_begins_behind_max_elapsed_or_the_total_deadline():
    policy = RetryPolicy(jitter="none", max_elapsed=10)
    assert decide(policy, ConnectError("x"), elapsed=9.5).retry
    assert not decide(policy, ConnectError("x"), elapsed=9.6).retry
    assert decide(PLAIN, ConnectError("x"), remaining=0.6).retry
    assert not decide(PLAIN, ConnectError("x"), remaining=0.5).retry


def test_a_shared_budget_stops_retries_and_comes_back_with_good_streams():
    budget = RetryBudget(tokens=2, refund=0.5)
    policy = RetryPolicy(budget=budget)
    assert [decide(policy, ConnectError("x")).retry for _ in range(3)] == [True, True, False]
    budget.refund()
    assert not decide(policy, ConnectError("x")).retry
    budget.refund()
    assert decide(policy, ConnectError("x")).retry


def test_only_a_retry_that_will_be_made_takes_a_token():
    budget = RetryBudget(tokens=1)
    policy = RetryPolicy(budget=budget)
    assert not decide(policy, AuthenticationError("no")).retry
    assert not decide(policy, ConnectError("x"), failures=4).retry
    assert budget.remaining == 1.0


def test_a_budget_refills_with_time_up_to_its_size():
    now = [0.0]
    budget = RetryBudget(tokens=2, per_second=0.5, now=lambda: now[0])
    assert budget.take() and budget.take() and not budget.take()
    now[0] = 2.0
    assert budget.take() and not budget.take()
    now[0] = 1000.0
    assert budget.remaining == 2.0


def test_policies_and_budgets_can_be_pickled():
    policy = RetryPolicy(max_retries=7, budget=RetryBudget(tokens=5))
    again = pickle.loads(pickle.dumps(policy))
    assert again.max_retries == 7 and again.budget.remaining == 5


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"max_attempts": 0},
        {"base": -0.1},
        {"cap": "8"},
        {"multiplier": 0.5},
        {"multiplier": 10**400},
        {"jitter": "some"},
        {"max_retry_after": -1},
        {"max_elapsed": float("nan")},
        {"budget": 3},
    ],
)
def test_a_wrong_setting_is_named(arguments):
    name = next(iter(arguments))
    with pytest.raises(ConfigurationError, match=name):
        RetryPolicy(**arguments)


def test_a_number_stands_for_the_number_of_retries():
    assert RetryPolicy.of(0).max_retries == 0
    assert RetryPolicy.of(PLAIN) is PLAIN
    with pytest.raises(ConfigurationError, match="retry="):
        RetryPolicy.of("often")
