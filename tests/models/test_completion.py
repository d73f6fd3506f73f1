"""Values: frozen, comparable, picklable; the completion's own views of itself."""

import json
import pickle

import pytest

from streamsafe.models import (
    Attempt,
    Call,
    Chunk,
    Completion,
    Outcome,
    Request,
    Timings,
    ToolCall,
    Usage,
)


@pytest.mark.parametrize(
    "value",
    [
        Completion(text="a", outcome=Outcome.COMPLETE, usage=Usage(1, 2)),
        Attempt(1, 2.0, status=200),
        Call([{"role": "user", "content": "Hi"}], "m"),
        Request("POST", "http://x", {"a": "b"}, {"c": 1}),
    ],
)
def test_values_are_frozen_equal_by_their_fields_and_picklable(value):
    assert pickle.loads(pickle.dumps(value)) == value
    name = value.__slots__[0]
    with pytest.raises(AttributeError, match="frozen"):
        setattr(value, name, None)
    with pytest.raises(AttributeError, match="frozen"):
        delattr(value, name)
    assert value.replace() == value and hash(value.replace()) == hash(value)
    assert value != 3
    with pytest.raises(TypeError):
        value.replace(nonsense=1)


def test_a_chunk_is_immutable_and_empty_but_for_its_kind():
    chunk = Chunk("finish", finish_reason="stop")
    assert (chunk.text, chunk.reasoning, chunk.refusal, chunk.index) == ("", "", "", 0)
    with pytest.raises(AttributeError):
        chunk.text = "x"


def test_the_message_for_the_next_turn():
    completion = Completion(
        text="Look:", refusal="no", tool_calls=(ToolCall("a", "look", '{"x":1}'),)
    )
    message = completion.to_message()
    assert message == {
        "role": "assistant", "content": "Look:", "refusal": "no",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}
        ],
    }  # fmt: skip
    json.dumps(message)
    own = Completion(message={"role": "assistant", "content": [{"type": "text"}]})
    own.to_message()["content"].append(1)
    assert own.to_message() == {"role": "assistant", "content": [{"type": "text"}]}


def test_arguments_of_a_tool_call_are_parsed_or_the_error_says_where():
    assert ToolCall("a", "look", '{"x": 1}').parsed() == {"x": 1}
    assert ToolCall("a", "look", " ").parsed() == {}
    with pytest.raises(ValueError, match="look"):
        ToolCall("a", "look", '{"x": ').parsed()


def test_how_a_notebook_shows_it_escapes_what_the_model_wrote():
    shown = Completion(
        text="<script>", outcome=Outcome.TRUNCATED, finish_reason="length", model="<m>",
        usage=Usage(1, 2, estimated=True), timings=Timings(duration=1.5),
        attempts=(Attempt(1, 0.0), Attempt(2, 0.0)),
    )._repr_html_()  # fmt: skip
    assert "<script>" not in shown and "<m>" not in shown
    for fact in ("truncated", "length", "about 2 tokens", "1.50 s", "2 attempts"):
        assert fact in shown


def test_a_completion_reads_as_its_text():
    assert str(Completion(text="Hello")) == "Hello"
    assert Completion(outcome=Outcome.COMPLETE).complete
    assert not Completion(outcome=Outcome.TRUNCATED).complete


def test_usage_adds_up():
    assert Usage(1, 2, 3, 4, 5).plus(Usage(1, 1, 1, 1, 1, True)) == Usage(2, 3, 4, 5, 6, True)
