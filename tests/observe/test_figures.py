from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamsafe.observe.figures import Figures, Ledger

names = st.sampled_from(["started", "complete", "failed", "bytes", "error:ServerError"])
sums = st.dictionaries(names, st.integers(1, 1000))
samples = st.dictionaries(st.sampled_from(["ttft", "gap"]), st.lists(st.floats(0.001, 10)))


def figures(counts: dict[str, int], measured: dict[str, list[float]]) -> Figures:
    made = Figures()
    for name, times in counts.items():
        made.count(name, times)
    for name, numbers in measured.items():
        for number in numbers:
            made.sketch(name).add(number)
    return made


@given(sums, samples, sums, samples)
def test_adding_flat_numbers_by_name_adds_the_figures(a, measured_a, b, measured_b):
    one, two = figures(a, measured_a), figures(b, measured_b)
    flat = one.flat()
    for name, number in two.flat().items():
        flat[name] = flat.get(name, 0) + number
    assert Figures.of_flat(flat).flat() == one.copy().add(two).flat()


def test_a_copy_does_not_change_with_the_original():
    original = figures({"started": 1}, {"gap": [0.1]})
    copy = original.copy()
    original.add(original.copy())
    assert (copy["started"], copy.sketches["gap"].count) == (1, 1)


def test_without_an_end_nothing_has_failed():
    assert figures({"started": 5, "cancelled": 3}, {}).success_rate == 1.0


def test_what_was_cut_or_filtered_succeeded_and_what_was_cancelled_did_neither():
    ends = {"complete": 5, "truncated": 1, "filtered": 1, "cancelled": 10, "failed": 3}
    assert figures(ends, {}).success_rate == 0.7


def test_errors_come_in_falling_counts():
    found = figures({"error:A": 2, "error:C": 7, "error:B": 2}, {})
    assert found.errors() == [("C", 7), ("A", 2), ("B", 2)]


def test_a_ledger_puts_made_up_models_together_once_it_is_full():
    ledger = Ledger()
    for number in range(Ledger.MAX_GROUPS + 50):
        ledger.add(("openai", f"model-{number}"), figures({"started": 1}, {}))
    assert len(ledger.groups) == Ledger.MAX_GROUPS + 1
    assert ledger.by_model()["other"]["started"] == 50
    assert ledger.total()["started"] == Ledger.MAX_GROUPS + 50
