"""The figures, on timelines that were made up."""

from __future__ import annotations

import pytest

from streamsafe.debug.analysis import analyse, gaps, spread
from streamsafe.debug.logbook import merged
from streamsafe.debug.timeline import Mark, Read, Timeline, Try


def read(at, waited, *, attempt=1, content=1, held=0.0, size=10):
    return Read(at, attempt, size, 1, 0, 1, content, waited, held)


def timeline(steps, *tries, ended, **facts):
    return Timeline(
        "s", "openai", "m", 100.0, 1.7e9, ended, verdict="complete", ended=ended, steps=steps,
        tries=tries, attempts=len(tries), **facts,
    )  # fmt: skip


def test_a_spread_is_by_nearest_rank():
    found = spread([(float(n), 1) for n in range(1, 101)])
    assert (found.count, found.min, found.max) == (100, 1.0, 100.0)
    assert (found.avg, found.p50, found.p99) == (50.5, 50.0, 99.0)


def test_a_spread_of_nothing_has_no_values():
    assert spread([]) == (0, 0.0, None, None, None, None, None)


def test_values_count_as_often_as_they_stand_for():
    assert spread([(1.0, 99), (100.0, 1)]).p50 == 1.0
    assert spread([(1.0, 99), (100.0, 1)]).avg == pytest.approx(1.99)


def test_gaps_run_from_content_to_content_without_what_the_program_held():
    reads = [
        read(1.0, 0.9), read(2.0, 0.2, held=0.8), read(3.0, 1.0, content=0), read(3.5, 0.5),
        read(9.0, 0.0, attempt=2), read(9.3, 0.3, attempt=2),
    ]  # fmt: skip
    # Not the first of an attempt; a read without content lengthens the gap it stands in.
    assert gaps(reads) == [(0.2, 1), (1.5, 1), (0.3, 1)]


def test_merging_keeps_the_sums_and_the_extremes():
    one = merged(merged(read(1.0, 0.1), read(2.0, 0.9)), read(3.0, 0.2, size=70))
    assert (one.count, one.at, one.until, one.size) == (3, 1.0, 3.0, 90)
    assert one.waited == pytest.approx(1.2)
    assert (one.longest, one.largest) == (0.9, 70)
    figures = analyse(timeline([one], Try(1, 100.0), ended=110.0, merged=2))
    assert (figures.reads, figures.waits.max, figures.sizes.max) == (3, 0.9, 70)
    assert figures.approximate


def test_the_time_is_told_apart_by_who_took_it():
    failed = Try(
        1, 100.0, steps={"sent": 101.0}, opened=103.0, ended=103.0, outcome="failed",
    )  # fmt: skip
    good = Try(
        2, 105.0, steps={"sent": 105.5}, opened=106.0, first_read=107.0, last_read=110.0,
        first_content=107.0, held_last=1.0, ended=111.0, outcome="complete",
    )  # fmt: skip
    steps = [
        Mark(100.0, "attempt", 1), Mark(103.0, "retrying", 1), Mark(105.0, "attempt", 2),
        read(107.0, 0.0, attempt=2), read(110.0, 1.0, attempt=2, held=2.0),
    ]  # fmt: skip
    figures = analyse(timeline(steps, failed, good, ended=111.0, held=3.0))
    shares = figures.shares
    assert (shares.connecting, shares.server) == (1.5, 2.0 + 1.5 + 1.0)
    assert (shares.consumer, shares.backoff, shares.rest) == (3.0, 2.0, 0.0)
    assert sum(shares) == figures.duration == 11.0
    assert (figures.first_byte, figures.first_token) == (7.0, 7.0)


def test_a_wait_in_vain_is_the_servers_but_not_what_the_program_held_before_it():
    one = Try(
        1, 100.0, steps={"sent": 100.0}, opened=100.0, first_read=100.0, last_read=100.0,
        held_last=4.0, ended=110.0, outcome="failed",
    )  # fmt: skip
    shares = analyse(timeline([read(100.0, 0.0)], one, ended=110.0, held=4.0)).shares
    assert (shares.server, shares.consumer) == (6.0, 4.0)


def test_tokens_per_second_count_from_the_first_token_without_what_was_held():
    one = Try(1, 100.0, steps={"sent": 100.0}, first_read=102.0, first_content=102.0)
    figures = analyse(timeline([], one, ended=112.0, held=5.0, output_tokens=50))
    assert figures.tokens_per_second == pytest.approx(10.0)
