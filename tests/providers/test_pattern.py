"""The short ways for a piece of text say the same as the general one, whatever comes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.models import Call, ServerSentEvent
from streamsafe.providers import presets
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.pattern import TRIES, Pattern, Piece

CALL = Call([{"role": "user", "content": "Hi"}], "m")
TEXTS = st.lists(st.text(max_size=8) | st.sampled_from(['"', "\\", "\n", "\ud83d", "é", ""]))


def chat(text, delta=None, **more):
    delta = {"content": text} if delta is None else delta
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return {"id": "c1", "object": "chunk", "choices": [choice], **more}


def reasoned(text, **more):
    return chat(text, {"role": "assistant", "content": None, "reasoning_content": text}, **more)


def argument(text, **more):
    call = {"index": 1, "id": None, "function": {"name": "", "arguments": text}}
    return chat(text, {"tool_calls": [call]}, **more)


def block(text, kind="text_delta", name="text", **more):
    delta = {"type": kind, name: text}
    return {"type": "content_block_delta", "index": 0, "delta": delta, **more}


def thought(text, **more):
    return block(text, "thinking_delta", "thinking", **more)


def given_to_a_tool(text, **more):
    return block(text, "input_json_delta", "partial_json", **more)


CALL_BEGINS = {"index": 1, "id": "t1", "function": {"name": "look", "arguments": ""}}
CHAT_BEGINS = [
    {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {"role": "x"}}]},
    {"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": [CALL_BEGINS]}}]},
]


def block_begins(**block):
    start = {"id": "m1", "model": "m", "usage": {}}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]


MAKERS = {
    "openai": [chat, reasoned, argument],
    "anthropic": [block, thought, given_to_a_tool],
}
#: A kind of piece: the preset, what comes before such pieces, what makes one.
KINDS = {
    "openai": ("openai", CHAT_BEGINS, chat),
    "openai_reasoning": ("openai", CHAT_BEGINS, reasoned),
    "openai_arguments": ("openai", CHAT_BEGINS, argument),
    "anthropic": ("anthropic", block_begins(type="text", text=""), block),
    "anthropic_thinking": ("anthropic", block_begins(type="thinking", thinking=""), thought),
    "anthropic_input": (
        "anthropic",
        block_begins(type="tool_use", id="t1", name="look", input={}),
        given_to_a_tool,
    ),
}


def begun(kind):
    """A decoder that has seen what comes before the pieces, and what makes one."""
    preset, beginning, maker = KINDS[kind]
    decoder = presets.provider(preset).decoder(CALL)
    decoder.feed([event(payload) for payload in beginning])
    return decoder, maker


def said(chunk):
    return chunk.text or chunk.reasoning or chunk.tool_call.arguments


def both_ways(preset, events):
    """What comes of the events as they are read, and by the general way alone."""
    found = []
    for general in (False, True):
        decoder = presets.provider(preset).decoder(CALL)
        chunks = []
        for group in (events[:3], events[3:]):
            chunks += JSONDecoder.feed(decoder, group) if general else decoder.feed(group)
            if decoder.failure is not None or decoder.closed:
                break
        told = (chunks, decoder.failure, decoder.finished, decoder.id, decoder.model)
        # An open block shows in the state once it is closed.
        decoder.feed([event({"type": "content_block_stop", "index": 0})])
        found.append((*map(repr, told), repr(decoder.state)))
    return found


def event(payload, name="message", ascii=True, dense=True):
    separators = (",", ":") if dense else None
    data = json.dumps(payload, ensure_ascii=ascii, separators=separators)
    return ServerSentEvent(name, data)


@pytest.mark.parametrize("kind", KINDS)
@given(TEXTS, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_every_event_says_the_same_on_both_ways(kind, texts, ascii, dense, padded, data):
    """Also one that was damaged, or has more in it, anywhere among those of the pattern."""
    preset, beginning, maker = KINDS[kind]
    events = [event(payload) for payload in beginning]
    for text in texts:
        more = data.draw(
            st.sampled_from([{}, {}, {}, {"usage": None}, {"created": 2}, {"index": 1}, {"x": [1]}])
        )
        one = data.draw(st.sampled_from([maker, maker, maker, *MAKERS[preset]]))
        if padded:
            more["obfuscation"] = data.draw(st.text("ab\"", max_size=3))
        events.append(event(one(text, **more), ascii=ascii, dense=dense))
    if texts and data.draw(st.booleans()):
        place = data.draw(st.integers(len(beginning), len(events) - 1))
        hurt = events[place].data
        at = data.draw(st.integers(0, len(hurt)))
        cut = data.draw(st.integers(0, 3))
        put = data.draw(st.sampled_from(["", '"', "}", "\\", " ", '"content":"a",', "x"]))
        name = data.draw(st.sampled_from(["message", "error", "content_block_delta"]))
        events[place] = ServerSentEvent(name, hurt[:at] + put + hurt[at + cut :])
    short, general = both_ways(preset, events)
    assert short == general


@pytest.mark.parametrize("kind", KINDS)
def test_payloads_are_each_chunks_own(kind):
    decoder, maker = begun(kind)
    made = [decoder.feed([event(maker(text))])[0] for text in "abcd"]
    assert [said(chunk) for chunk in made] == list("abcd")
    for chunk in made:
        assert chunk.raw == maker(said(chunk))
        assert list(chunk.raw) == list(maker(""))
        spoil(chunk.raw)
    assert decoder.feed([event(maker("e"))])[0].raw == maker("e")


def spoil(value):
    """Change every list and object in it, as a program may."""
    for item in list(value.values()) if isinstance(value, dict) else list(value):
        if isinstance(item, (dict, list)):
            spoil(item)
    value.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_the_pattern_is_taken_and_used(kind):
    """Else the tests above would compare the general way with itself."""
    decoder, maker = begun(kind)
    for text in "abc":
        decoder.feed([event(maker(text))])
    assert decoder._pattern.parts()[4] == maker("b")
    assert decoder._pattern.tries == TRIES


def test_nothing_is_learnt_from_a_text_that_may_stay_the_only_one():
    decoder, maker = begun("openai")
    decoder.feed([event(maker("a"))])
    assert decoder._pattern.parts()[4] == {}


def test_padding_is_read_with_the_text():
    decoder, _ = begun("openai")
    sent = [chat(text, usage=None, obfuscation=text * 3) for text in "abcdefgh"]
    assert [decoder.feed([event(payload)])[0].raw for payload in sent] == sent
    assert decoder._pattern.tries == TRIES


def test_a_stream_that_always_differs_elsewhere_is_soon_let_be():
    decoder, _ = begun("openai")
    for number in range(20):
        decoder.feed([event(chat("a", created=number))])
    assert decoder._pattern.tries == 0
    assert decoder._pattern.parts()[4] == {}


def test_arguments_go_to_the_call_that_has_the_index_now():
    """Another id under an index that is in use begins another call."""
    decoder, _ = begun("openai_arguments")
    found = decoder.feed([event(argument(text)) for text in "ab"])
    again = {"index": 1, "id": "t2", "function": {"name": "look", "arguments": ""}}
    found += decoder.feed([event(chat("", {"tool_calls": [again]}))])
    found += decoder.feed([event(argument(text)) for text in "cd"])
    said = [(chunk.tool_call.index, chunk.tool_call.arguments) for chunk in found]
    assert said == [(0, "a"), (0, "b"), (1, ""), (1, "c"), (1, "d")]


def test_an_error_beside_a_text_is_an_error():
    """Groq's stands in a member of its own."""
    decoder, _ = begun("openai")
    decoder.feed([event(chat("a", x_groq={"error": "over capacity"}))])
    assert decoder.failure is not None


def with_text(payload, text):
    return {**payload, "t": text}


def learnt(data, payload):
    pattern = Pattern()
    pattern.learn(ServerSentEvent("message", data), payload, Piece("a", "t", 0, with_text))
    return pattern.parts()[:5]


@pytest.mark.parametrize(
    "data",
    [
        '{"t":"a","t":"a"}',  # the last one counts
        '{"x":"t","t":"a"}',  # the name as a value
        '{"x\\"t":"a","t":"a"}',
        '{"t" :"b"}',
        '{"t":null}',
        '{"t"',
    ],
)
def test_what_is_not_plain_to_see_is_no_pattern(data):
    assert learnt(data, {"t": "a"})[-1] == {}


def test_what_has_more_than_plain_values_is_no_pattern():
    assert learnt('{"t":"a","x":[]}', {"t": "a", "x": []})[-1] == {}


def test_a_name_and_its_text_may_stand_apart():
    found = learnt('{ "t" : "a" , "n" : 1 }', {"t": "a", "n": 1})
    assert found == ("message", '{ "t" : "', 9, ' , "n" : 1 }', {"t": "a", "n": 1})


def test_a_text_behind_the_end_of_its_block_is_none_of_the_block():
    """Whatever the pattern says: no API sends that, and nothing of it may be lost."""
    decoder, _ = begun("anthropic")
    stop = event({"type": "content_block_stop", "index": 0})
    for one in (event(block("a")), event(block("b")), stop, event(block("c")), stop):
        decoder.feed([one])
    assert [part["text"] for part in decoder.state["content"]] == ["ab", "c"]
