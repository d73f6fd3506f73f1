"""Values are compared by their fields, and do not change."""

import pickle

import pytest

from streamsafe import Attempt, Completion, RetryPolicy, Timeouts


def test_equal_values_have_equal_hashes():
    assert RetryPolicy(max_elapsed=5) == RetryPolicy(max_elapsed=5.0)
    assert hash(RetryPolicy(max_elapsed=5)) == hash(RetryPolicy(max_elapsed=5.0))
    one, other = (
        Completion("text", attempts=(Attempt(1, 0.0, headers=headers),))
        for headers in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    )
    assert one == other and hash(one) == hash(other)


def test_what_differs_can_be_told_apart_in_a_set():
    assert len({Timeouts(), Timeouts(total=5), Timeouts(total=6), Timeouts(total=5.0)}) == 3


def test_a_value_is_changed_in_a_copy_alone():
    timeouts = Timeouts()
    with pytest.raises(AttributeError, match=r"\.replace\(total="):
        timeouts.total = 5
    with pytest.raises(AttributeError, match="frozen"):
        del timeouts.total
    changed = timeouts.replace(total=5)
    assert (timeouts.total, changed.total) == (None, 5)
    assert pickle.loads(pickle.dumps(changed)) == changed
