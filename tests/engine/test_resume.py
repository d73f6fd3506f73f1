"""The ladder: which rung is taken, from values alone."""

import pytest

from streamsafe.engine.accumulator import Accumulator
from streamsafe.engine.joint import Restart
from streamsafe.engine.resume import mode_of, plan
from streamsafe.engine.seam import Continued, Kept
from streamsafe.errors import ConfigurationError
from streamsafe.models import Call, Chunk, ToolCallFragment, Usage
from streamsafe.providers.base import Profile

CALL = Call([{"role": "user", "content": "Hi"}], "m", {"max_tokens": 100})
TEXT = Chunk("text", "Owls turn their heads")
TOOL = Chunk("tool_call", tool_call=ToolCallFragment(0, "a", "look", '{"ci'))
REASONING = Chunk("reasoning", reasoning="Hm")


class Fake:
    """A provider of which only the profile and ``continued`` matter."""

    name = "fake"

    def __init__(self, cannot=(), **profile):
        self._profile = Profile(**profile)
        self._cannot = cannot

    def profile(self, model):
        return self._profile

    def continued(self, call, partial, how):
        if how in self._cannot:
            raise ConfigurationError(f"no {how} here")
        return call.replace(extra={"how": how, "text": partial.text})


def delivered(*chunks):
    made = Accumulator()
    for chunk in chunks:
        made.add(chunk)
    return made.completion()


def planned(mode, provider, *chunks, call=CALL, barred=()):
    chunks = chunks or (TEXT,)
    return plan(mode, call, delivered(*chunks), True, provider, 2, frozenset(barred))


@pytest.mark.parametrize("mode", ["auto", "continue", "restart", "never"])
def test_nothing_delivered_is_always_a_plain_retry(mode):
    made = plan(mode, CALL, delivered(), False, Fake(), 2)
    assert made == (CALL, None, "", "")


def test_what_the_server_keeps_is_not_begun_a_second_time():
    kept = Fake(cursor="seq")
    assert plan("auto", CALL, delivered(), False, kept, 2).how == "cursor"
    assert plan("never", CALL, delivered(), False, kept, 2) == (CALL, None, "", "")
    kept = Fake(cannot=["cursor", "poll"], cursor="seq")
    assert plan("auto", CALL, delivered(), False, kept, 2) == (CALL, None, "", "")


def test_never_is_never():
    assert "never" in planned("never", Fake(prefill="yes", cursor="seq")).refusal


def test_auto_takes_the_cursor_first():
    made = planned("auto", Fake(prefill="yes", cursor="seq"))
    assert made.how == made.call.extra["how"] == "cursor"


def test_without_a_cursor_to_begin_with_the_next_rung_is_taken():
    kept = Fake(cannot=["cursor"], prefill="yes", cursor="seq")
    assert planned("auto", kept).how == "poll"
    kept = Fake(cannot=["cursor", "poll"], prefill="yes", cursor="seq")
    assert planned("auto", kept).how == "prefill"


def test_auto_goes_on_only_where_the_profile_is_sure():
    assert planned("auto", Fake(prefill="yes")).how == "prefill"
    for prefill in ("no", "unsure"):
        assert "restart" in planned("auto", Fake(prefill=prefill)).refusal


@pytest.mark.parametrize(
    ("profile", "how"),
    [
        ({"prefill": "yes"}, "prefill"),
        ({"prefill": "unsure"}, "prefill"),
        ({"prefill": "no"}, "user_message"),
    ],
)
def test_continue_always_finds_a_way(profile, how):
    assert planned("continue", Fake(**profile)).how == how


def test_a_prefill_that_was_refused_switches_to_a_message():
    for mode in ("auto", "continue"):
        assert planned(mode, Fake(prefill="yes"), barred=["prefill"]).how == "user_message"


def test_restart_asks_the_same_again():
    made = planned("restart", Fake(prefill="yes", cursor="seq"))
    assert made.call is CALL and isinstance(made.joint, Restart)


@pytest.mark.parametrize(
    "parameters",
    [
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        {"format": "json"},
        {"text": {"format": {"type": "json_schema"}}},
        {"n": 2},
    ],
)
def test_structured_output_and_several_choices_are_asked_for_again(parameters):
    made = planned("auto", Fake(prefill="yes"), call=CALL.replace(parameters=parameters))
    assert isinstance(made.joint, Restart) and made.call.extra == {}


@pytest.mark.parametrize("parameters", [{"response_format": {"type": "text"}}, {"n": 1}])
def test_plain_text_is_gone_on_with(parameters):
    made = planned("auto", Fake(prefill="yes"), call=CALL.replace(parameters=parameters))
    assert isinstance(made.joint, Continued)


def test_reasoning_alone_is_asked_for_again():
    assert isinstance(planned("auto", Fake(prefill="yes"), REASONING).joint, Restart)


def test_a_tool_call_is_taken_back_and_the_text_before_it_gone_on_with():
    made = planned("auto", Fake(prefill="yes"), REASONING, TEXT, TOOL)
    assert isinstance(made.joint, Kept)
    seen = made.joint.feed([Chunk("text", ".")])
    assert [chunk.kind for chunk in seen] == ["restart", "reasoning", "text", "text"]


def test_the_bound_on_the_answers_length_is_lowered_by_what_came():
    assert planned("auto", Fake(prefill="yes")).call.parameters["max_tokens"] == 100 - 6
    usage = Chunk("usage", usage=Usage(output_tokens=40))
    assert planned("auto", Fake(prefill="yes"), TEXT, usage).call.parameters["max_tokens"] == 60
    usage = Chunk("usage", usage=Usage(output_tokens=400))
    assert planned("auto", Fake(prefill="yes"), TEXT, usage).call.parameters["max_tokens"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": 100},
        {"generationConfig": {"maxOutputTokens": 100}},
        {"options": {"num_predict": 100}},
    ],
)
def test_the_bound_is_lowered_in_a_body_of_the_providers_own(body):
    made = planned("auto", Fake(prefill="yes"), call=CALL.replace(body=body))
    (lowered,) = made.call.body.values()
    if isinstance(lowered, dict):
        (lowered,) = lowered.values()
    assert 0 < lowered < 100


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2},
        {"generationConfig": {"candidateCount": 2}},
        {"response_format": {"type": "json_object"}},
        {"generationConfig": {"responseMimeType": "application/json"}},
    ],
)
def test_a_body_that_asks_for_structure_or_several_choices_is_asked_again(body):
    made = planned("auto", Fake(prefill="yes"), call=CALL.replace(body=body))
    assert made.how == "restart"


def test_a_provider_that_cannot_continue_this_call_says_why():
    made = planned("auto", Fake(cannot=["prefill"], prefill="yes"))
    assert "no prefill here" in made.refusal


def test_an_unknown_mode_is_named():
    assert mode_of("auto") == "auto"
    with pytest.raises(ConfigurationError, match="resume='often'"):
        mode_of("often")


def test_of_an_answers_tail_alone_nothing_exact_is_expected():
    tail = delivered(TEXT).replace(text_chars=100_000)
    sure = Fake(prefill="yes", exact=True)
    made = plan("auto", CALL, tail, True, sure, 2)
    assert "its end alone is at hand" in made.refusal
    assert plan("auto_restart", CALL, tail, True, sure, 2).how == "restart"
    assert plan("continue", CALL, tail, True, sure, 2).how == "prefill"
    begun = delivered(TEXT, TOOL).replace(text_chars=100_000)
    assert plan("continue", CALL, begun, True, sure, 2).how == "restart"
