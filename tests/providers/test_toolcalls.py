"""Tool calls are joined to what was meant, however a server numbers and cuts them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.providers.toolcalls import ToolCalls


def piece(index=None, id=None, name=None, arguments=None):
    """One entry of a delta's ``tool_calls``, without the keys that are None."""
    function = {"name": name, "arguments": arguments}
    call = {"index": index, "id": id, "function": _without_none(function)}
    return _without_none(call)


def _without_none(mapping):
    return {key: value for key, value in mapping.items() if value is not None}


def join(*deltas):
    """(id, name, arguments) of the calls in these deltas; one that is no delta is an entry."""
    calls = ToolCalls()
    joined = {}
    for delta in deltas:
        if "tool_calls" not in delta and "function_call" not in delta:
            delta = {"tool_calls": [delta]}
        for fragment in calls.fragments(delta):
            id, name, arguments = joined.get(fragment.index, ("", "", ""))
            joined[fragment.index] = (
                id + fragment.id, name + fragment.name, arguments + fragment.arguments
            )  # fmt: skip
    assert list(joined) == list(range(len(joined)))
    return list(joined.values())


def test_fragments_of_two_calls_that_interleave():
    assert join(
        piece(0, "a", "f", ""),
        piece(1, "b", "g", ""),
        piece(0, arguments='{"x'),
        piece(1, arguments="{"),
        piece(0, arguments='":1}'),
        piece(1, arguments="}"),
    ) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_a_new_id_under_the_same_index_begins_a_call():
    assert join(
        piece(0, "a", "f", "{"),
        piece(0, arguments="}"),
        piece(0, "b", "g", "{"),
        piece(0, arguments="}"),
    ) == [("a", "f", "{}"), ("b", "g", "{}")]


def test_an_id_that_was_seen_before_goes_on_with_its_call():
    assert join(
        piece(0, "a", "f", "{"), piece(0, "b", "g", "{"), piece(0, "a", None, "}")
    ) == [("a", "f", "{}"), ("b", "g", "{")]


def test_a_new_id_without_an_index_begins_a_call():
    assert join(piece(None, "a", "f", "{}"), piece(None, "b", "f", "{}")) == [
        ("a", "f", "{}"),
        ("b", "f", "{}"),
    ]


@pytest.mark.parametrize("index", [None, 0])
def test_whole_calls_without_ids(index):
    assert join(piece(index, None, "f", '{"x":1}'), piece(index, None, "g", '{"y":2}')) == [
        ("", "f", '{"x":1}'),
        ("", "g", '{"y":2}'),
    ]


@pytest.mark.parametrize("index", [None, 0])
def test_the_same_function_twice_without_ids(index):
    assert join(piece(index, None, "f", '{"x":1}'), piece(index, None, "f", '{"x":2}')) == [
        ("", "f", '{"x":1}'),
        ("", "f", '{"x":2}'),
    ]


def test_fragments_with_neither_id_nor_index_go_on_with_the_last_call():
    assert join(
        piece(name="f"), piece(arguments='{"x"'), piece(arguments=":1}"), piece(name="g"),
        piece(arguments="{}"),
    ) == [("", "f", '{"x":1}'), ("", "g", "{}")]  # fmt: skip


def test_an_unnumbered_call_without_arguments_ends_where_another_is_named():
    assert join(piece(name="f"), piece(name="g", arguments="{}")) == [
        ("", "f", ""),
        ("", "g", "{}"),
    ]


def test_the_name_may_come_behind_the_id():
    assert join(piece(0, "a"), piece(0, name="f"), piece(0, arguments="{}")) == [("a", "f", "{}")]


def test_ids_and_names_that_are_repeated_or_empty_are_taken_once():
    assert join(
        piece(0, "a", "f", '{"x"'), piece(0, "a", "f", ":"), piece(0, "", "", "1}")
    ) == [("a", "f", '{"x":1}')]


def test_an_object_as_arguments_is_dumped():
    ((_, _, arguments),) = join(piece(0, "a", "f", {"city": "Zürich", "n": [1, None]}))
    assert arguments == '{"city":"Zürich","n":[1,null]}'


def test_an_id_may_be_a_number():
    made = join(piece(0, 7, "f", "{}"), piece(0, 8, "f", "{}"))
    assert made == [("7", "f", "{}"), ("8", "f", "{}")]


def test_one_call_in_no_list():
    cut = [piece(0, "", "f", "{"), piece(0, "", "f", '"x":1}')]
    assert join(*({"tool_calls": one} for one in cut)) == [("", "f", '{"x":1}')]


def test_arguments_that_repeat_all_so_far():
    assert join(
        piece(0, "a", "f", "{"), piece(0, "a", "f", '{"x":'), piece(0, "a", "f", '{"x":1}')
    ) == [("a", "f", '{"x":1}')]


def test_a_call_that_is_sent_once_more_with_the_finish():
    assert join(
        piece(0, "a", "f", '{"x'), piece(0, arguments='":1}'), piece(0, "a", "f", '{"x":1}')
    ) == [("a", "f", '{"x":1}')]


def test_an_object_in_an_object_is_no_repetition():
    assert join(
        piece(0, "a", "f", '{"x":'), piece(0, arguments='{"x":1}'), piece(0, arguments="}")
    ) == [("a", "f", '{"x":{"x":1}}')]


def test_a_legacy_function_call_is_a_call_without_an_id():
    calls = ToolCalls()
    calls.fragments({"function_call": {"name": "f", "arguments": ""}})
    (fragment,) = calls.fragments({"function_call": {"arguments": "{}"}})
    assert fragment == (0, "", "", "{}")
    assert calls.legacy and calls.begun


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": 3},
        {"tool_calls": None, "function_call": []},
        {"tool_calls": [None, "x", 1]},
        {"tool_calls": [{"index": [1], "id": {"a": 1}, "function": 7}]},
        {"tool_calls": [{"function": {"name": ["n"], "arguments": 3}}]},
    ],
)
def test_nonsense_raises_nothing(delta):
    ToolCalls().fragments(delta)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_ARGUMENTS = st.dictionaries(st.text(max_size=6), _VALUES, max_size=4).map(json.dumps)
_CALLS = st.lists(st.tuples(st.sampled_from("fgh"), _ARGUMENTS), min_size=1, max_size=4)


def _cut(data, text):
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=5))
    ends = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in zip(ends, ends[1:])]


@given(_CALLS, st.data(), st.sampled_from(["by index", "constant index", "no index"]))
def test_fragments_cut_anywhere_join_to_the_calls(calls, data, style):
    deltas = []
    for number, (name, arguments) in enumerate(calls):
        index = {"by index": number, "constant index": 0, "no index": None}[style]
        deltas.append(piece(index, f"id{number}", name, ""))
        deltas += [piece(index, arguments=part) for part in _cut(data, arguments)]
    # Never taken for a repetition of all so far: in a JSON text, that can only begin a value.
    assert join(*deltas) == [(f"id{number}", *call) for number, call in enumerate(calls)]


@given(_CALLS, st.data())
def test_repeating_arguments_join_to_the_calls(calls, data):
    deltas = []
    for number, (name, arguments) in enumerate(calls):
        so_far = ""
        for part in _cut(data, arguments):
            so_far += part
            if so_far and not so_far.rstrip().endswith((":", ",", "[")):
                deltas.append(piece(number, f"id{number}", name, so_far))
    assert join(*deltas) == [(f"id{number}", *call) for number, call in enumerate(calls)]


@given(_CALLS)
def test_whole_calls_with_ids_join_to_the_calls_without_an_index(calls):
    deltas = [
        {"tool_calls": [piece(None, f"id{n}", name, arguments) for n, (name, arguments) in
                        enumerate(calls)]}
    ]  # fmt: skip
    assert join(*deltas) == [(f"id{number}", *call) for number, call in enumerate(calls)]
