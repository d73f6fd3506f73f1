"""What the end of one prompt means for the others."""

import pickle

import pytest

from streamsafe import (
    Attempt,
    AuthenticationError,
    BadRequestError,
    Completion,
    ConnectError,
    NotFoundError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    RetryBudget,
    RetryPolicy,
    ServerError,
    StreamCancelledError,
)
from streamsafe.batch.judge import PATIENCE, Judge
from streamsafe.batch.limiter import OUTAGE, Limiter
from streamsafe.batch.retrying import BUDGET_PER_WORKER, Queueing, policy_of, refused
from streamsafe.batch.task import Answer

ANSWER = Answer(Completion("x", attempts=(Attempt(1, 1_000_000.0),)))


@pytest.fixture
def limiter():
    return Limiter(8)


@pytest.fixture
def judge(limiter):
    return Judge(RetryPolicy(), limiter)


def fails(judge, error, times=1, now=0.0):
    for _ in range(times):
        judge.learn(Answer(error=error), now, now)
    return judge.asks_again(error, now)


# -- asked again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RateLimitError("429"), OverloadedError("503")])
def test_what_was_refused_is_asked_again_by_fewer(judge, limiter, error):
    assert fails(judge, error) and limiter.limit == 4


@pytest.mark.parametrize(
    "error", [ServerError("500"), BadRequestError("400"), ConnectError("no"), TypeError("ours")]
)
def test_what_failed_otherwise_is_not(judge, limiter, error):
    assert not fails(judge, error)


def test_refusals_are_borne_until_patience_ends_and_an_answer_renews_it(judge):
    error = RateLimitError("429")
    assert fails(judge, error, now=0.0) and fails(judge, error, now=PATIENCE)
    assert not fails(judge, error, now=PATIENCE + 1)
    judge.learn(ANSWER, PATIENCE + 2, PATIENCE + 2)
    assert fails(judge, error, now=PATIENCE + 3)


def test_a_server_that_was_there_is_waited_for(judge):
    judge.learn(ANSWER, 0.0, 0.0)
    assert fails(judge, ConnectError("refused"), times=9)
    assert judge.hopeless is None


def test_many_failures_in_a_row_slow_it_down(judge, limiter):
    fails(judge, ServerError("502"), times=8)
    assert limiter.limit == 1


def test_an_answer_from_the_journal_says_nothing_of_the_server(judge, limiter):
    judge.learn(ANSWER._replace(reused=True), 0.0, 0.0)
    assert not limiter.answered_once


# -- hopeless --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [AuthenticationError("401"), QuotaExceededError("429"), StreamCancelledError("stop")]
)
def test_some_errors_are_everybodys_at_once(judge, error):
    assert not fails(judge, error)
    assert judge.hopeless is error
    assert not judge.asks_again(RateLimitError("429"), 0.0)


@pytest.mark.parametrize("error", [ConnectError("refused"), NotFoundError("no such model")])
def test_a_wrong_address_or_model_is_known_after_a_few_where_nothing_was_answered(judge, error):
    fails(judge, error, times=OUTAGE - 1)
    assert judge.hopeless is None
    fails(judge, error)
    assert judge.hopeless is error


# -- the policy of each stream ---------------------------------------------------------------------


def decide(policy, error, failures=1):
    return policy.decide(
        error, failures=failures, attempts=1, elapsed=0, remaining=None, random=lambda: 0.5
    )


def partial(error):
    error.partial = Completion("The beginning")
    return error


def test_a_refused_stream_leaves_the_waiting_to_the_queue():
    policy = policy_of(RetryPolicy(), 8, queueing=True)
    assert not decide(policy, RateLimitError("429")).retry
    assert decide(policy, ServerError("500")).retry
    assert decide(policy_of(RetryPolicy(), 8, queueing=False), RateLimitError("429")).retry


def test_one_that_had_begun_to_answer_waits_itself():
    policy = policy_of(RetryPolicy(), 8, queueing=True)
    assert decide(policy, partial(RateLimitError("429"))).retry
    assert not refused(policy, partial(RateLimitError("429")))


def test_it_keeps_all_settings_and_shares_a_budget():
    own = RetryBudget()
    policy = policy_of(RetryPolicy(max_retries=7, cap=3, budget=own), 8, queueing=True)
    assert isinstance(policy, Queueing) and (policy.max_retries, policy.cap) == (7, 3)
    assert policy.budget is own
    assert policy.replace(max_attempts=2).max_retries == 7
    assert pickle.loads(pickle.dumps(policy)).max_retries == 7
    assert policy_of(RetryPolicy(), 64, queueing=True).budget.remaining == BUDGET_PER_WORKER * 64


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (RetryPolicy(max_retries=0), RateLimitError("429")),
        (RetryPolicy(), RateLimitError("429", retryable=False)),
        (RetryPolicy(max_retry_after=5), RateLimitError("429", retry_after=6)),
    ],
)
def test_what_a_policy_would_not_wait_for_is_not_waited_for(policy, error):
    assert not refused(policy, error)
