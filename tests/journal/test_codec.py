"""What is written and read again is what it was, whatever servers send."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsafe import errors
from streamsafe.journal import codec
from streamsafe.models import (
    Attempt,
    Call,
    Choice,
    Chunk,
    Completion,
    Outcome,
    Seam,
    Timings,
    ToolCall,
    ToolCallFragment,
    Usage,
)

#: Every character there is, halves of surrogate pairs and the null included.
texts = st.text(st.characters(exclude_categories=()), max_size=20)
numbers = st.integers(0, 10**9)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, values, max_size=3)
usages = st.builds(
    Usage, numbers, numbers, numbers, numbers, numbers, st.booleans(), st.none() | objects
)
chunks = st.builds(
    Chunk,
    kind=st.sampled_from(
        ["text", "reasoning", "refusal", "tool_call", "citation", "usage", "finish", "restart",
         "other"]
    ),
    text=texts,
    reasoning=texts,
    tool_call=st.none() | st.builds(ToolCallFragment, numbers, texts, texts, texts),
    usage=st.none() | usages,
    finish_reason=st.none() | texts,
    index=numbers,
    raw=values,
    refusal=texts,
    citation=st.none() | objects,
    raw_finish_reason=st.none() | texts,
)  # fmt: skip


@given(st.lists(chunks | texts.map(lambda text: Chunk("text", text)), max_size=5))
@settings(max_examples=settings.default.max_examples // 2)
def test_chunks_go_round_with_and_without_their_payloads(given_chunks):
    again = codec.chunks_from_json(codec.chunks_to_json(given_chunks))
    assert again == [chunk._replace(raw=None) for chunk in given_chunks]
    again = codec.chunks_from_json(codec.chunks_to_json(given_chunks, keep_raw=True))
    assert again == given_chunks


@given(st.lists(chunks, max_size=5))
@settings(max_examples=settings.default.max_examples // 2)
def test_a_restart_is_seen_in_the_written_form_and_never_where_there_is_none(given_chunks):
    written = codec.chunks_to_json(given_chunks, keep_raw=True)
    wanted = any(chunk.kind == "restart" for chunk in given_chunks)
    assert codec.has_restart(written) or not wanted
    if not wanted and not any(chunk.raw or chunk.citation or chunk.usage for chunk in given_chunks):
        assert not codec.has_restart(written)


def test_a_text_that_speaks_of_a_restart_is_none():
    assert not codec.has_restart(codec.chunks_to_json([Chunk("text", '"kind":"restart"')]))


def test_plain_text_costs_little_more_than_itself():
    assert codec.chunks_to_json([Chunk("text", "owl", raw={"choices": []})]) == b'["owl"]'


@given(st.lists(objects, max_size=3), st.none() | texts, objects, st.none() | objects)
@settings(max_examples=settings.default.max_examples // 2)
def test_calls_go_round(messages, model, parameters, body):
    parameters = {f"p{name}": value for name, value in parameters.items()}
    call = Call(messages, model, parameters, {"input": body} if body else None)
    again = codec.call_from_json(codec.call_to_json(call))
    assert again == call or (not model and again == call.replace(model=None))


def test_a_call_that_is_no_json_is_named():
    with pytest.raises(errors.ConfigurationError, match="no JSON.*object"):
        codec.call_to_json(Call(parameters={"temperature": object()}))
    loop = []
    loop.append(loop)
    with pytest.raises(errors.ConfigurationError, match="no JSON"):
        codec.call_to_json(Call(parameters={"stop": loop}))


FAILURES = [
    errors.IncompleteStreamError("the body ended", hint="again"),
    errors.StreamTimeoutError("inactivity", 60.0, 61.5),
    errors.LimitExceededError("max_event_bytes", 17, 16),
    errors.RateLimitError("slow down", status=429, code="x", headers={"a": "b"}, retry_after=3.0),
    errors.StreamCancelledError("enough"),
    errors.ConfigurationError("wrong"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_the_record_of_an_attempt_goes_round_with_its_error(failure):
    attempt = Attempt(
        2, 1700000000.25, 429, "req_1", "failed", failure, 0.5, True, True, 3.25, "openai", "m",
        Usage(1, 2, estimated=True), 7, {"x-request-id": "req_1"},
    )  # fmt: skip
    again = codec.attempt_from_json(codec.attempt_to_json(attempt))
    assert again.replace(error=None) == attempt.replace(error=None)
    assert type(again.error) is type(failure)
    assert str(again.error) == str(failure) and again.error.message == failure.message
    ours = {name: value for name, value in vars(failure).items() if name != "attempts"}
    theirs = {name: value for name, value in vars(again.error).items() if name != "attempts"}
    assert theirs == ours


def test_an_error_that_is_not_ours_keeps_its_name():
    record = codec.attempt_to_json(Attempt(1, 0.0, error=KeyError("x")))
    again = codec.attempt_from_json(record).error
    assert type(again) is errors.StreamingError and str(again) == "KeyError: 'x'"
    record = codec.attempt_to_json(Attempt(1, 0.0, error=ValueError("masked")))
    assert str(codec.attempt_from_json(record).error) == "ValueError: masked"


def test_a_verdict_goes_round_with_the_texts_of_its_chunks():
    pieces = [
        Chunk("reasoning", reasoning="hm"), Chunk("text", "Owls "), Chunk("text", "turn."),
        Chunk("refusal", refusal="no"), Chunk("text", "other", index=1),
    ]  # fmt: skip
    attempts = (Attempt(1, 5.0, 200),)
    completion = Completion(
        text="Owls turn.", reasoning="hm", refusal="no", finish_reason="tool_calls",
        raw_finish_reason="tool_use", outcome=Outcome.COMPLETE, usage=Usage(3, 4, raw={"a": 1}),
        usage_total=Usage(5, 6), model="m", id="x", provider="openai", stream_id="s",
        tool_calls=(ToolCall("1", "look", '{"a":1}'),), citations=({"url": "u"},),
        choices=(Choice(0, "Owls turn."), Choice(1, "other", tool_calls=(ToolCall("2", "a", ""),))),
        seams=(Seam(4, "prefill", 0.5, "x", 2),), attempts=attempts,
        timings=Timings(0.5, duration=2.0), provider_state={"cursor": 3},
        message={"role": "assistant"}, malformed=1,
    )  # fmt: skip
    written = codec.verdict_to_json(completion)
    assert codec.verdict_from_json(written, "s", pieces, attempts) == completion
    alone = completion.replace(choices=())
    alone = alone.replace(choices=(Choice(0, *(getattr(alone, n) for n in Choice._fields[1:])),))
    written = codec.verdict_to_json(alone)
    assert b"Owls" not in written
    assert codec.verdict_from_json(written, "s", pieces, attempts) == alone


def test_the_whole_text_comes_back_where_the_program_kept_the_tail():
    completion = Completion(text="turn.", text_chars=10, outcome=Outcome.COMPLETE)
    completion = completion.replace(choices=(Choice(0, "turn."),))
    written = codec.verdict_to_json(completion)
    again = codec.verdict_from_json(written, "s", [Chunk("text", "Owls turn.")], ())
    assert again.text == "Owls turn." and again.text_chars == 10
