"""A restarted answer: what is equal is dropped, a difference is told."""

from hypothesis import given
from hypothesis import strategies as st

from streamsafe.engine.accumulator import Accumulator
from streamsafe.engine.joint import Restart
from streamsafe.models import Chunk, ToolCallFragment

FINISH = Chunk("finish", finish_reason="stop")


def delivered(*chunks):
    made = Accumulator()
    for chunk in chunks:
        made.add(chunk)
    return made.completion()


def shown(first, again):
    """What a program sees that has ``first`` and whose answer is asked for again."""
    joint = Restart(delivered(*first), 2)
    seen = [chunk for chunks in again for chunk in joint.feed(chunks)]
    return seen + joint.end(), joint


def texts(*pieces):
    return [[Chunk("text", piece)] for piece in pieces]


def test_what_was_delivered_is_dropped_and_the_rest_goes_on():
    seen, joint = shown([Chunk("text", "Hello wo")], texts("Hel", "lo world", "!") + [[FINISH]])
    assert [chunk.text for chunk in seen] == ["rld", "!", ""]
    assert joint.seam.at == 8 and joint.seam.how == "restart" and joint.discarded == 8


def test_at_the_first_difference_the_new_answer_comes_whole_behind_a_restart():
    seen, joint = shown([Chunk("text", "Hello wo")], texts("Hel", "lo there", "!"))
    assert [chunk.kind for chunk in seen] == ["restart", "text", "text", "text"]
    assert "".join(chunk.text for chunk in seen) == "Hello there!"
    assert joint.seam is None


def test_a_shorter_answer_is_a_different_one():
    seen, _ = shown([Chunk("text", "Hello world")], texts("Hello") + [[FINISH]])
    assert [chunk.kind for chunk in seen] == ["restart", "text", "finish"]
    seen, _ = shown([Chunk("text", "Hello world")], texts("Hello"))
    assert [chunk.kind for chunk in seen] == ["restart", "text"]


def test_reasoning_and_text_are_compared_each_by_itself():
    first = [Chunk("reasoning", reasoning="Hm, well"), Chunk("text", "A")]
    same = [[Chunk("reasoning", reasoning="Hm, "), Chunk("reasoning", reasoning="well")]]
    seen, _ = shown(first, same + texts("A", "B"))
    assert [chunk.text for chunk in seen] == ["B"]
    seen, _ = shown(first, [[Chunk("reasoning", reasoning="So")]] + texts("A", "B"))
    assert [chunk.kind for chunk in seen] == ["restart", "reasoning", "text", "text"]


def test_a_tool_call_goes_on_where_it_was_cut():
    def piece(name, arguments, id=""):
        return Chunk("tool_call", tool_call=ToolCallFragment(0, id, name, arguments))

    first = [piece("look", '{"ci', id="one")]
    again = [[piece("look", "", id="two")], [piece("", '{"city"')], [piece("", ":1}")]]
    seen, _ = shown(first, again)
    assert "".join(chunk.tool_call.arguments for chunk in seen) == 'ty":1}'
    assert {chunk.tool_call.name for chunk in seen} == {""}


def test_citations_that_were_delivered_are_not_told_again():
    cite = Chunk("citation", citation={"n": 1})
    seen, _ = shown([Chunk("text", "A"), cite], [[Chunk("text", "A"), cite, cite, FINISH]])
    assert seen == [cite, FINISH]


@given(
    st.text(min_size=1), st.integers(0, 200), st.lists(st.integers(1, 7), max_size=60),
    st.booleans(),
)  # fmt: skip
def test_an_equal_answer_is_joined_exactly_whatever_the_cuts(whole, cut, sizes, in_one_read):
    cut %= len(whole) + 1
    pieces, rest = [], whole
    for size in sizes:
        pieces, rest = pieces + [rest[:size]], rest[size:]
    again = [Chunk("text", piece) for piece in [*pieces, rest] if piece]
    lists = [again] if in_one_read else [[chunk] for chunk in again]
    first = [Chunk("text", whole[:cut])] if cut else []
    seen, joint = shown(first, lists)
    assert whole[:cut] + "".join(chunk.text for chunk in seen) == whole
    assert all(chunk.kind == "text" for chunk in seen)


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_any_other_answer_is_had_whole(first, other):
    seen, _ = shown([Chunk("text", first)], [[Chunk("text", other)]] if other else [])
    text = "".join(chunk.text for chunk in seen)
    if any(chunk.kind == "restart" for chunk in seen):
        assert text == other
    else:
        assert first + text == other


def test_what_may_be_equal_but_is_not_known_whole_is_told_as_a_restart():
    joint = Restart(delivered(Chunk("text", "la la ")).replace(text_chars=60), 2)
    seen = joint.feed([Chunk("text", "la la la ")]) + joint.feed([Chunk("text", "la"), FINISH])
    assert [chunk.kind for chunk in seen] == ["restart", "text", "text", "finish"]
