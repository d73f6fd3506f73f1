from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.observe.sketch import ACCURACY, SMALLEST, Sketch

values = st.lists(st.floats(1e-5, 1e5), min_size=1, max_size=200)


def filled(numbers: list[float]) -> Sketch:
    sketch = Sketch()
    for number in numbers:
        sketch.add(number)
    return sketch


@given(values, st.floats(0, 1))
def test_a_quantile_is_within_the_accuracy_of_the_exact_one(numbers: list[float], part: float):
    rank = math.floor(part * (len(numbers) - 1))
    exact = sorted(numbers)[rank]
    assert filled(numbers).quantile(part) == pytest.approx(exact, rel=ACCURACY * 1.001)


@given(values, values)
def test_merging_two_sketches_is_sketching_all_values(one: list[float], two: list[float]):
    merged = filled(one)
    merged.merge(filled(two))
    whole = filled(one + two)
    assert merged.counts == whole.counts
    assert merged.total == pytest.approx(whole.total)


@given(values)
def test_flat_numbers_give_the_same_sketch_again(numbers: list[float]):
    sketch = filled(numbers)
    again = Sketch.of_flat(sketch.flat())
    assert (again.counts, again.total) == (sketch.counts, sketch.total)


def test_it_does_not_grow_with_the_number_of_values():
    source = random.Random(1)
    sketch = filled([source.lognormvariate(-3, 1) for _ in range(50_000)])
    assert sketch.count == 50_000
    assert len(sketch.counts) < 300


def test_an_empty_sketch_has_no_percentiles():
    assert Sketch().summary() == {
        "count": 0, "mean": None, "p50": None, "p90": None, "p99": None, "max": None,
    }  # fmt: skip


@pytest.mark.parametrize("value", [0.0, -1.0, SMALLEST / 10])
def test_what_has_no_logarithm_counts_as_the_smallest(value: float):
    assert filled([value]).quantile(0.5) == pytest.approx(SMALLEST, rel=2 * ACCURACY)


def test_below_counts_the_values_up_to_a_bound():
    sketch = filled([0.1, 0.2, 0.4, 0.8])
    assert [sketch.below(bound) for bound in (0.05, 0.3, 10)] == [0, 2, 4]
