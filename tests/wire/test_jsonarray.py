"""An array that is streamed element by element is cut into its elements."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.errors import LimitExceededError
from streamsafe.limits import Limits
from streamsafe.wire.jsonarray import JSONArrayFramer

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='"\\{}[],:é😀\n x', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=3), max_size=4)


@given(
    objects=OBJECTS,
    cuts=st.lists(st.integers(0, 300), max_size=6),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
def test_elements_come_whole_wherever_the_body_is_cut(
    objects: list[Any], cuts: list[int], indent: Any, ascii_only: bool
) -> None:
    body = json.dumps(objects, indent=indent, ensure_ascii=ascii_only).encode()
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    framer = JSONArrayFramer()
    events = [e for a, b in zip(edges, edges[1:]) for e in framer.feed(body[a:b])]
    assert [json.loads(event.data) for event in events] == objects
    assert framer.tail == ""


@pytest.mark.parametrize(
    "body", [b'{"a":1}', b'{"a":1}{"a":1}', b'[{"a":1},\n{"a":1}', b'{"a":1}\n']
)
def test_objects_without_their_array_are_taken_as_well(body: bytes) -> None:
    assert {event.data for event in JSONArrayFramer().feed(body)} == {'{"a":1}'}


def test_an_element_is_there_the_moment_it_is_closed() -> None:
    framer = JSONArrayFramer()
    assert framer.feed(b'[{"a":{"b":"}') == []
    assert framer.tail == '{"a":{"b":"}'
    assert [event.data for event in framer.feed(b'"}}')] == ['{"a":{"b":"}"}}']


def test_bytes_that_are_no_utf8_are_counted() -> None:
    framer = JSONArrayFramer()
    assert framer.feed(b'[{"a":"\xff"}]')[0].data == '{"a":"\ufffd"}'
    assert framer.replaced == 1


@pytest.mark.parametrize("reads", [[b'[{"a":"123456789"}]'], [b'[{"a":"12345', b"678901234"]])
def test_an_element_may_be_so_long(reads: list[bytes]) -> None:
    framer = JSONArrayFramer(Limits(max_event_bytes=12))
    for data in reads:
        framer.feed(data)
    assert isinstance(framer.failure, LimitExceededError)
    assert framer.failure.limit == "max_event_bytes"
