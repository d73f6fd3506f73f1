"""Chunks become a completion."""

import random

from hypothesis import given
from hypothesis import strategies as st

from streamsafe.engine.accumulator import FOLD, Accumulator, Gatherer, channels, estimate_usage
from streamsafe.models import Chunk, ToolCall, ToolCallFragment, Usage


def accumulated(*chunks, keep=None):
    made = Accumulator(keep)
    for chunk in chunks:
        made.add(chunk)
        made.fold()
    return made


def call(index, id="", name="", arguments="", choice=0):
    fragment = ToolCallFragment(index, id, name, arguments)
    return Chunk("tool_call", tool_call=fragment, index=choice)


def test_each_kind_goes_to_its_own_text():
    completion = accumulated(
        Chunk("reasoning", reasoning="Let me "),
        Chunk("reasoning", reasoning="think."),
        Chunk("text", "Hel"),
        Chunk("text", "lo"),
        Chunk("refusal", refusal="No."),
        Chunk("citation", citation={"url": "u"}),
        Chunk("other", raw={"x": 1}),
        Chunk("finish", finish_reason="stop", raw_finish_reason="end_turn"),
        Chunk("usage", usage=Usage(1, 2, total_tokens=3)),
    ).completion()
    assert (completion.reasoning, completion.text, completion.refusal) == (
        "Let me think.", "Hello", "No.",
    )  # fmt: skip
    assert completion.citations == ({"url": "u"},)
    assert (completion.finish_reason, completion.raw_finish_reason) == ("stop", "end_turn")
    assert completion.usage.total_tokens == 3


def test_interleaved_tool_calls_are_joined_by_their_index():
    completion = accumulated(
        call(0, "a", "first", '{"x"'),
        call(1, "b", "second"),
        call(0, arguments=":1}"),
        call(1, arguments="{}"),
    ).completion()
    assert completion.tool_calls == (
        ToolCall("a", "first", '{"x":1}'),
        ToolCall("b", "second", "{}"),
    )


def test_several_choices_are_kept_apart_and_the_first_is_the_completions_own():
    completion = accumulated(
        Chunk("text", "B", index=1), Chunk("text", "A"), Chunk("finish", finish_reason="stop")
    ).completion()
    assert completion.text == "A"
    assert [choice.text for choice in completion.choices] == ["A", "B"]
    assert [choice.finish_reason for choice in completion.choices] == ["stop", None]


def test_a_restart_voids_what_was_before():
    made = accumulated(Chunk("text", "old"), Chunk("restart"), Chunk("text", "new"))
    assert made.completion().text == "new"


@given(st.lists(st.text(), max_size=40), st.randoms())
def test_the_text_is_the_concatenation_whenever_it_is_looked_at(pieces, rng):
    made = Gatherer()
    for place, piece in enumerate(pieces):
        made.add(piece)
        if rng.random() < 0.3:
            assert made.fold() == "".join(pieces[: place + 1])
    assert made.fold() == "".join(pieces) and made.chars == len("".join(pieces))


def test_much_text_is_folded_now_and_then():
    made = Accumulator()
    for _ in range(3 * FOLD):
        made.add(Chunk("text", "x"))
        made.fold()
    assert len(made.first_text.pieces) < FOLD
    assert made.completion().text == "x" * 3 * FOLD


def test_so_are_reasoning_and_the_arguments_of_calls():
    made = Accumulator()
    fragment = ToolCallFragment(0, "", "", "x")
    for _ in range(3 * FOLD):
        made.add(Chunk("reasoning", reasoning="x"))
        made.add(Chunk("tool_call", tool_call=fragment))
        made.fold()
    choice = made._choices[0]
    growing = choice.reasoning, choice.calls[0].arguments
    assert all(len(gatherer.pieces) < FOLD for gatherer in growing)
    assert made.completion().tool_calls[0].arguments == "x" * 3 * FOLD


def test_a_kept_tail_is_the_end_of_the_text_and_its_length_is_known():
    rng = random.Random(7)
    made, whole = Accumulator(keep=100), ""
    for _ in range(5000):
        piece = "".join(rng.choice("abc é🙂") for _ in range(rng.randrange(5)))
        whole += piece
        made.add(Chunk("text", piece))
        made.fold()
    completion = made.completion()
    assert completion.text_chars == len(whole)
    assert 100 <= len(completion.text) <= 200 + 5 * FOLD
    assert whole.endswith(completion.text)


def test_channels_name_the_texts_of_an_answer():
    made = accumulated(Chunk("text", "A"), call(0, "i", "f", "{}"), Chunk("text", "B", index=2))
    assert channels(made.choices()) == {
        ("text", 0): "A", ("tool_call", 0, 0): "f\0{}", ("text", 2): "B",
    }  # fmt: skip


def test_an_estimate_says_that_it_is_one():
    assert estimate_usage(9, 4) == Usage(3, 1, total_tokens=4, estimated=True)
