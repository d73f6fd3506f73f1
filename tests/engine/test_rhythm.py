"""Times of content become timings."""

from streamsafe.engine.rhythm import MAX_GAPS, Rhythm, percentile
from streamsafe.models import Usage


def test_an_answer_without_content_has_no_first_token():
    timings = Rhythm(10.0).timings(12.0, None)
    assert (timings.ttft, timings.gap_p50, timings.tokens_per_second) == (None, None, None)
    assert timings.duration == 2.0


def test_the_programs_own_time_is_not_the_servers():
    rhythm = Rhythm(0.0)
    rhythm.content(1.0, 0.0)
    rhythm.content(6.0, 4.0)
    rhythm.ended = 7.0
    timings = rhythm.timings(99.0, Usage(output_tokens=10))
    assert timings.ttft == 1.0
    assert timings.gap_max == 1.0
    assert timings.held == 4.0
    assert timings.duration == 7.0
    assert timings.tokens_per_second == 10 / (7.0 - 1.0 - 4.0)


def test_what_was_held_adds_up_over_the_attempts():
    rhythm = Rhythm(0.0)
    rhythm.content(1.0, 0.0)
    rhythm.content(3.0, 1.5)
    rhythm.attempt_over(2.5)
    rhythm.content(6.0, 0.5)
    rhythm.attempt_over(0.5)
    timings = rhythm.timings(7.0, None)
    assert timings.held == 3.0
    assert timings.gap_max == 3.0 - 1.5


def test_memory_is_bounded_and_the_percentiles_stay():
    rhythm = Rhythm(0.0)
    at = 0.0
    for n in range(20 * MAX_GAPS):
        at += 0.001 * (1 + n % 100)
        rhythm.content(at, 0.0)
    timings = rhythm.timings(at, None)
    assert len(rhythm._gaps) < MAX_GAPS
    assert abs(timings.gap_p50 - 0.050) < 0.003 and abs(timings.gap_p99 - 0.099) < 0.003
    assert abs(timings.gap_max - 0.1) < 1e-6


def test_a_percentile_is_one_of_the_values():
    assert percentile([], 0.5) is None
    assert percentile([1.0], 0.99) == 1.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 99.0
