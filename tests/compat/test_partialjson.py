"""The value of JSON that is still coming."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies

from streamsafe.compat.partialjson import partial

VALUES = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text, value",
    [
        ("", None),
        ("{", {}),
        ('{"a"', {}),
        ('{"a":', {}),
        ('{"a": "b', {}),
        ('{"a": "b\\', {}),
        ('{"a": "b"', {"a": "b"}),
        ('{"a": "b", "c": tru', {"a": "b"}),
        ('{"a": [1, {"b": "c', {"a": [1, {}]}),
        ('{"a": [1, {"b": "}"}', {"a": [1, {"b": "}"}]}),
        ('"abc', None),
    ],
)
def test_what_is_not_whole_is_left_out(text: str, value: Any) -> None:
    assert partial(text) == value


@given(VALUES)
def test_every_beginning_has_a_value_and_the_whole_its_own(value: Any) -> None:
    text = json.dumps(value)
    for end in range(len(text)):
        partial(text[:end])
    assert partial(text) == value


@pytest.mark.parametrize("text", ["]", '{"a": 1]', "{]"])
def test_what_can_be_no_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        partial(text)


@pytest.mark.slow
@given(VALUES)
def test_it_is_what_the_sdk_makes_of_it(value: Any) -> None:
    jiter = pytest.importorskip("jiter")
    text = json.dumps({"a": value})
    for end in range(1, len(text) + 1):
        assert partial(text[:end]) == jiter.from_json(text[:end].encode(), partial_mode=True)
