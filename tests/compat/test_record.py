"""Records: attributes over a dict."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Optional

import pytest

from streamsafe.compat.record import Record


class Inner(Record):
    text: Optional[str]


class Outer(Record):
    SHAPES = {"inner": Inner, "many": {"a": Inner}, "own": dict}

    inner: Inner
    absent: Optional[int]


def test_fields_are_attributes_and_items_at_every_depth() -> None:
    record = Outer({"inner": {"text": "x"}, "other": [{"deep": {"er": 1}}]})
    assert record.inner.text == record["inner"]["text"] == "x"
    assert record.other[0].deep.er == 1
    assert type(record.inner) is Inner


def test_a_field_has_the_class_of_its_type() -> None:
    record = Outer({"many": [{"type": "a"}, {"type": "b"}]})
    assert [type(item) for item in record.many] == [Inner, Record]


def test_what_is_the_programs_own_stays_a_plain_dict() -> None:
    record = Outer({"own": {"items": {}}})
    assert type(record.own) is dict
    assert type(record.own["items"]) is dict


def test_a_known_field_that_was_not_sent_is_none_and_an_unknown_one_an_error() -> None:
    record = Outer({"inner": {}})
    assert record.absent is None and record.inner.text is None
    assert not hasattr(record, "surprise")
    with pytest.raises(AttributeError, match="Outer has no field 'surprise'"):
        record.surprise
    assert getattr(record, "surprise", "no") == "no"


def test_an_empty_record_is_true() -> None:
    assert Outer({"inner": {}}).inner


def test_it_can_be_changed() -> None:
    record = Outer({"inner": {"text": "x"}})
    record.inner.text = "y"
    record._note = 1
    assert record.to_dict() == {"inner": {"text": "y"}}
    assert record._note == 1


def pickled(record: Record) -> Record:
    made: Record = pickle.loads(pickle.dumps(record))
    return made


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_it_can_be_copied_and_pickled(again: object) -> None:
    record = Outer({"inner": {"text": "x"}})
    made = again(record)  # type: ignore[operator]
    assert made == record and type(made) is Outer and type(made.inner) is Inner


def test_what_it_was_made_of_is_not_changed() -> None:
    payload = {"inner": {"text": "x"}}
    Outer(payload).inner.text = "y"
    assert payload == {"inner": {"text": "x"}}
    assert type(payload["inner"]) is dict


def test_it_is_given_out_as_sent_or_with_all_known_fields() -> None:
    record = Outer({"inner": {"text": None}, "more": 1})
    sent = {"inner": {"text": None}, "more": 1}
    assert record.to_dict() == record.model_dump(exclude_unset=True) == sent
    assert record.model_dump() == {"inner": {"text": None}, "absent": None, "more": 1}
    assert record.model_dump(exclude_none=True) == {"inner": {}, "more": 1}
    assert json.loads(record.model_dump_json()) == record.model_dump()
    assert record.model_dump_json(exclude_unset=True) == '{"inner":{"text":null},"more":1}'
    assert json.loads(record.to_json()) == json.loads(json.dumps(record)) == sent
    assert type(record.to_dict()["inner"]) is dict


def test_what_is_given_out_can_be_chosen() -> None:
    record = Outer({"inner": {"text": "x"}, "more": 1})
    assert record.model_dump(include={"more"}) == {"more": 1}
    assert record.model_dump(exclude={"inner"}, mode="json") == {"more": 1, "absent": None}
    assert record.model_dump_json(exclude={"inner"}, exclude_none=True, by_alias=True) == (
        '{"more":1}'
    )
    with pytest.raises(TypeError, match="expected a set of names"):
        record.model_dump(exclude={"inner": {"text"}})  # type: ignore[arg-type]


def test_it_shows_what_it_is() -> None:
    assert repr(Outer({"inner": {"text": "x"}})) == "Outer(inner=Inner(text='x'))"
