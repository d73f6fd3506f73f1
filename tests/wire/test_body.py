"""A request's JSON becomes bytes, or the error says where it is no JSON."""

from __future__ import annotations

import decimal
import json
import types
from typing import Any

import pytest

from streamsafe.errors import ConfigurationError
from streamsafe.wire import body


@pytest.mark.parametrize("value", [{}, [], "x", 0, None, True, {"a": [1.5, {"b": "naïve 🎈"}]}])
def test_json_goes_out_and_comes_back(value: Any) -> None:
    assert json.loads(body.encode(value)) == value


def test_it_is_compact_and_utf8() -> None:
    assert body.encode({"a": "ü", "b": [1, 2]}) == '{"a":"ü","b":[1,2]}'.encode()


def test_a_lone_surrogate_is_escaped() -> None:
    assert body.encode({"a": "ü\ud83d"}) == rb'{"a":"\u00fc\ud83d"}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"messages": [{"content": "a"}, {"score": float("nan")}]}, "nan at messages[1].score"),
        ({"temperature": float("inf")}, "inf at temperature"),
        ([-float("inf")], "-inf at [0]"),
        (float("nan"), "nan at its top"),
        ({"a": {"b": {1, 2}}}, "a set at a.b"),
        ({"image": b"\x89PNG"}, "a bytes at image"),
        ({"n": decimal.Decimal("1")}, "a Decimal at n"),
        ({"x": ({"ok": 1}, object())}, "a object at x[1]"),
        ({"x": {(1, 2): 3}}, "a key of type tuple at x"),
        ({"x": types.MappingProxyType({})}, "make it a dict"),
    ],
)
def test_the_place_of_what_is_no_json_is_named(value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        body.encode(value)
    assert message in str(caught.value)


def test_a_body_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {"a": []}
    value["a"].append(value)
    with pytest.raises(ConfigurationError, match="contains itself"):
        body.encode(value)


def test_a_body_nested_too_deep_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ConfigurationError, match="nested too deep"):
        body.encode(value)
