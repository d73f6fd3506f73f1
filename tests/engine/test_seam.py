"""A continued answer joined to what was delivered, for every way in which servers continue."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streamsafe.engine.accumulator import Accumulator
from streamsafe.engine.seam import Continued, Kept, find_overlap
from streamsafe.models import Chunk, ToolCallFragment

FINISH = Chunk("finish", finish_reason="stop")

WORDS = st.lists(
    st.sampled_from(["owls", "turn", "their", "heads", "far,", "and", "é", "🙂", "so", "a", "\n"]),
    min_size=4,
    max_size=40,
)


def delivered(*chunks):
    made = Accumulator()
    for chunk in chunks:
        made.add(chunk)
    return made.completion()


def sizes():
    return st.lists(st.integers(1, 9), max_size=60)


def cut_up(text, lengths):
    pieces = []
    for length in lengths:
        pieces.append(text[:length])
        text = text[length:]
    return [piece for piece in [*pieces, text] if piece]


def joined(first, head, lengths=(), *, chunked=True, **how):
    """Text of ``first`` and of what a program sees of the continuation; and the joint."""
    how.setdefault("how", "prefill")
    joint = Continued(delivered(Chunk("text", first)), 2, **how)
    chunks = [Chunk("text", piece) for piece in cut_up(head, lengths)] + [FINISH]
    lists = [[chunk] for chunk in chunks] if chunked else [chunks]
    seen = [chunk for each in lists for chunk in joint.feed(each)] + joint.end()
    assert seen[-1] is FINISH
    text = first
    for chunk in seen:
        text = "" if chunk.kind == "restart" else text + chunk.text
    return text, joint, seen


@given(st.text(min_size=1), st.integers(0, 500), sizes(), st.booleans())
def test_an_exact_continuation_is_taken_as_it_is(whole, at, lengths, chunked):
    at %= len(whole) + 1
    text, joint, _ = joined(whole[:at], whole[at:], lengths, chunked=chunked, exact=True)
    assert text == whole
    assert joint.seam.confidence == 1.0 and joint.seam.dropped == ""


def test_repeated_words_of_an_exact_continuation_are_the_answers_own():
    assert joined("It was very", " very cold", exact=True)[0] == "It was very very cold"


@given(st.text(min_size=8), st.integers(1, 500), sizes(), st.booleans())
def test_a_server_that_echoes_the_prefix_doubles_nothing(whole, at, lengths, chunked):
    at = 1 + at % len(whole)
    text, joint, _ = joined(whole[:at], whole, lengths, chunked=chunked, echoes=True)
    assert text == whole
    assert joint.discarded == at


@given(WORDS, st.integers(1, 500), sizes(), st.booleans())
def test_an_echo_whose_trailing_blanks_were_trimmed_is_still_an_echo(words, at, lengths, again):
    whole = " ".join(words)
    at = 1 + at % len(whole)
    first, rest = whole[:at], whole[at:]
    assume(first.strip() and not rest.startswith((" ", "\n")))
    blanks = first[len(first.rstrip()) :]
    head = first.rstrip() + (blanks if again else "") + rest
    assert joined(first, head, lengths, echoes=True)[0] == whole


def test_an_echo_is_not_gathered_to_be_compared_anew_at_every_piece():
    text = "Owls turn their heads. " * 10
    joint = Continued(delivered(Chunk("text", text)), 2, how="prefill", exact=True, echoes=True)
    for at in range(0, 200, 4):
        assert joint.feed([Chunk("text", text[at : at + 4])]) == [] and joint._head == ""
    assert joint.end() == []
    assert (joint.discarded, joint.seam.confidence) == (200, 0.8)


def test_a_model_that_does_not_echo_after_all_loses_nothing():
    assert joined("Owls turn", " their heads", echoes=True)[0] == "Owls turn their heads"
    assert joined("Owls turn", " Owls can", echoes=True)[0] == "Owls turn Owls can"


@given(WORDS, st.integers(1, 500), sizes(), st.booleans())
def test_stripped_blanks_are_had_once_whether_written_again_or_not(words, at, lengths, again):
    whole = " ".join(words)
    at = 1 + at % len(whole)
    first, rest = whole[:at], whole[at:]
    blanks = first[len(first.rstrip()) :]
    assume(not rest[:1].isspace())
    text, _, _ = joined(first, (blanks if again else "") + rest, lengths, strips=True)
    assert text == whole


def test_blanks_alone_wait_for_what_follows():
    joint = Continued(delivered(Chunk("text", "One.\n\n")), 2, how="prefill", strips=True)
    assert joint.feed([Chunk("text", "\n")]) == []
    assert [chunk.text for chunk in joint.feed([Chunk("text", "\nTwo")])] == ["Two"]


@given(WORDS, st.integers(1, 500), st.integers(1, 12), sizes(), st.booleans())
def test_words_that_the_model_repeats_are_never_doubled(words, at, repeated, lengths, chunked):
    # Numbered words: a text without repetitions of its own, so that what is right is certain.
    whole = " ".join(f"{word.strip() or 'x'}{place}" for place, word in enumerate(words))
    first = whole[: 1 + at % len(whole)]
    kept = first.split(" ")
    tail = " ".join(kept[-min(repeated, max(1, len(kept) - 4)) :])
    assume(len(kept) > 4 and len(tail) >= 2)
    text, joint, _ = joined(
        first, tail + whole[len(first) :], lengths, chunked=chunked, how="user_message"
    )
    assert text == whole
    assert joint.seam.dropped.endswith(tail)


@pytest.mark.parametrize(
    ("first", "head", "text"),
    [
        ("The quick brown", "brown fox", "The quick brown fox"),
        ("The quick bro", "brown fox", "The quick brown fox"),
        ("The quick ", "...quick brown fox", "The quick brown fox"),
        ("The quick brown ", "… brown fox", "The quick brown fox"),
        ("The quick brown ", " fox", "The quick brown fox"),
        ("The quick brown", " fox", "The quick brown fox"),
        ("```python\nx = 1\n", "```python\nx = 1\ny = 2", "```python\nx = 1\ny = 2"),
        ("```python\nx = 1\n", "```python\ny = 2", "```python\nx = 1\ny = 2"),
        ("```python\nx = 1", "\n```\n\nSo x is 1.", "```python\nx = 1\n```\n\nSo x is 1."),
        ("```python\nx = 1\n", "```\nSo x is 1.", "```python\nx = 1\n```\nSo x is 1."),
        ("```python\nx = 1\n", "```", "```python\nx = 1\n```"),
        ("```pyth", "```python\nx = 1", "```python\nx = 1"),
        ("```\nx = 1\n", "```\ny = 2", "```\nx = 1\ny = 2"),
        ("```\nx = 1\n", "```\n\nSo x is 1.", "```\nx = 1\n```\n\nSo x is 1."),
    ],
)
def test_the_head_of_a_model_that_was_asked_to_go_on(first, head, text):
    assert joined(first, head, how="user_message")[0] == text
    assert joined(first, head, [1] * len(head), how="user_message")[0] == text


def test_how_sure_the_join_is_grows_with_the_overlap():
    short = joined("The quick brown", "brown fox", how="user_message")[1].seam
    long = joined("See the quick brown", "the quick brown fox", how="user_message")[1].seam
    none = joined("The quick brown", " fox", how="user_message")[1].seam
    assert none.confidence < short.confidence < long.confidence < 1.0
    assert (long.at, long.how, long.attempt) == (19, "user_message", 2)


def test_a_fresh_start_that_is_equal_is_dropped_like_a_restart():
    first = "Once upon a time there was an owl who"
    text, joint, seen = joined(first, first + " sang.", [3] * 20, how="user_message")
    assert text == first + " sang."
    assert all(chunk.kind != "restart" for chunk in seen)
    assert joint.seam.how == "restart"


def test_a_fresh_start_that_differs_is_told():
    first = "Once upon a time there was an owl who"
    text, _, seen = joined(first, "Once upon a time there was a fox.", [3] * 20, how="user_message")
    assert text == "Once upon a time there was a fox."
    assert [chunk.kind for chunk in seen].count("restart") == 1


def test_a_held_head_is_given_out_when_the_answer_ends():
    text, _, _ = joined("Owls turn their heads", "Owls", how="user_message")
    assert text == "Owls turn their headsOwls"


def test_nothing_is_held_once_the_join_is_made():
    joint = Continued(delivered(Chunk("text", "Owls")), 2, how="prefill", exact=True)
    joint.feed([Chunk("text", " turn")])
    chunks = [Chunk("text", " their"), Chunk("reasoning", reasoning="hm")]
    assert joint.feed(chunks) == chunks
    assert joint.end() == []


def test_what_was_unfinished_is_taken_back_and_what_is_finished_given_again():
    first = delivered(
        Chunk("text", "Let me look."),
        Chunk("tool_call", tool_call=ToolCallFragment(0, "a", "look", '{"ci')),
    )
    joint = Kept(
        [Chunk("text", first.text)], Continued(first, 2, how="prefill", exact=True)
    )
    seen = joint.feed([Chunk("text", " Here:")]) + joint.feed([FINISH]) + joint.end()
    assert [(chunk.kind, chunk.text) for chunk in seen] == [
        ("restart", ""), ("text", "Let me look."), ("text", " Here:"), ("finish", ""),
    ]  # fmt: skip


def test_a_head_too_short_to_tell_waits():
    assert find_overlap("The quick brown", "br", False) is None
    assert find_overlap("The quick brown", "br", True).drop == 0
    assert find_overlap("The quick brown", "", False) is None
