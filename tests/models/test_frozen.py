"""Values are compared by their fields, and do not change."""

import copy
import pickle
import sys

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


class Patient(Timeouts):
    """A program's own."""

    __slots__ = ()


def test_a_subclass_keeps_the_fields():
    patient = Patient(total=5)
    assert patient != Patient() and "total=5" in repr(patient)
    for same in (pickle.loads(pickle.dumps(patient)), copy.deepcopy(patient), patient.replace()):
        assert type(same) is Patient and same == patient and same.total == 5


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace is of Python 3.13")
def test_the_library_can_change_a_copy():
    assert copy.replace(Timeouts(), total=5) == Timeouts(total=5)
