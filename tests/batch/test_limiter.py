"""How many at a time: grown by answers, halved by refusals, held for as long as the server asks."""

import pytest

from streamsafe.batch.limiter import BACKOFF, BACKOFF_CAP, FIRST, OUTAGE, Limiter


def answer(limiter, times=1, headers=None, at=0.0):
    for _ in range(times):
        limiter.answered(headers or {}, at, 1_000_000.0)


def test_it_begins_with_what_was_asked_for_but_not_with_a_crowd():
    assert int(Limiter(3).limit) == 3
    assert int(Limiter(500).limit) == FIRST


def test_one_more_may_start_while_there_are_fewer_than_the_limit():
    limiter = Limiter(2)
    assert [limiter.wait(running, 0.0) for running in (0, 1, 2, 3)] == [0.0, 0.0, None, None]


def test_before_any_refusal_each_answer_lets_it_grow_by_one_up_to_the_bound():
    limiter = Limiter(20)
    answer(limiter, 4)
    assert limiter.limit == FIRST + 4
    answer(limiter, 100)
    assert limiter.limit == 20


def test_a_refusal_halves_it_and_then_it_grows_by_one_a_round():
    limiter = Limiter(8)
    limiter.refused(0.0, 0.0, 1.0)
    assert limiter.limit == 4
    answer(limiter, 4)
    assert 4.8 < limiter.limit < 5.1


def test_refusals_of_requests_that_were_under_way_already_halve_it_once():
    limiter = Limiter(8)
    for now in (1.0, 1.1, 1.2):
        limiter.refused(0.5, 0.0, now)
    assert limiter.limit == 4
    limiter.refused(1.3, 0.0, 1.4)
    assert limiter.limit == 2


def test_it_never_falls_below_one():
    limiter = Limiter(8)
    for now in range(10):
        limiter.refused(float(now), 0.0, now + 0.5)
    assert limiter.limit == 1
    assert limiter.wait(0, 99.0) == 0.0


def test_all_wait_for_as_long_as_the_server_asks_one_to():
    limiter = Limiter(8)
    limiter.refused(0.0, 7.0, 10.0)
    limiter.refused(0.0, 2.0, 10.0)  # an earlier end does not shorten it
    assert limiter.wait(0, 12.0) == pytest.approx(5.0)
    assert limiter.wait(0, 17.0) == 0.0


def test_without_a_word_from_the_server_the_wait_doubles_with_each_refusal_up_to_a_cap():
    limiter, waits, now = Limiter(8), [], 0.0
    for _ in range(9):
        limiter.refused(now, None, now)
        waits.append(limiter.wait(0, now))
        now += waits[-1] + 1
    assert waits[:3] == [BACKOFF, 2 * BACKOFF, 4 * BACKOFF] and waits[-1] == BACKOFF_CAP
    answer(limiter)
    limiter.refused(now, None, now)
    assert limiter.wait(0, now) == BACKOFF


def test_where_no_request_is_left_it_waits_for_the_share_in_which_one_comes_back():
    limiter = Limiter(8)
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }
    answer(limiter, headers=headers, at=100.0)
    assert limiter.wait(0, 100.0) == pytest.approx(1.0)


def test_where_there_is_room_it_does_not_wait():
    limiter = Limiter(8)
    headers = {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1m0s"}
    answer(limiter, headers=headers)
    assert limiter.wait(0, 0.0) == 0.0


def test_a_few_failures_are_chance_but_many_in_a_row_are_an_outage():
    limiter = Limiter(2)
    for _ in range(OUTAGE - 1):
        limiter.failed(0.0)
    assert limiter.wait(0, 0.0) == 0.0
    limiter.failed(0.0)
    assert (limiter.limit, limiter.wait(0, 0.0)) == (1, BACKOFF)
    limiter.failed(0.0)
    assert limiter.wait(0, 0.0) == 2 * BACKOFF
    answer(limiter)
    limiter.failed(9.0)
    assert limiter.wait(0, 9.0) == 0.0


def test_it_knows_since_when_nothing_but_refusals_came():
    limiter = Limiter(2)
    assert limiter.refusing_since is None and not limiter.answered_once
    limiter.refused(1.0, None, 2.0)
    limiter.refused(2.0, None, 5.0)
    assert limiter.refusing_since == 2.0
    answer(limiter)
    assert limiter.refusing_since is None and limiter.answered_once
