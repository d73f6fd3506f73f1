"""The short ways for a piece of text say the same as the general one, whatever comes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.models import Call, ServerSentEvent
from streamsafe.providers import presets
from streamsafe.providers.jsonevents import JSONDecoder
from streamsafe.providers.pattern import TRIES, Pattern

CALL = Call([{"role": "user", "content": "Hi"}], "m")
TEXTS = st.lists(st.text(max_size=8) | st.sampled_from(['"', "\\", "\n", "\ud83d", "é", ""]))


def chat(text, **more):
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return {"id": "c1", "object": "chunk", "choices": [choice], **more}


def block(text, **more):
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta, **more}


BEGINNINGS = {
    "openai": [{"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {"role": "x"}}]}],
    "anthropic": [
        {"type": "message_start", "message": {"id": "m1", "model": "m", "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ],
}
MAKERS = {"openai": chat, "anthropic": block}


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
        found.append(
            (repr(chunks), repr(decoder.failure), decoder.finished, decoder.id, decoder.model)
        )
    return found


def event(payload, name="message", ascii=True, dense=True):
    separators = (",", ":") if dense else None
    data = json.dumps(payload, ensure_ascii=ascii, separators=separators)
    return ServerSentEvent(name, data)


@pytest.mark.parametrize("preset", ["openai", "anthropic"])
@given(TEXTS, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_every_event_says_the_same_on_both_ways(preset, texts, ascii, dense, padded, data):
    """Also one that was damaged, or has more in it, anywhere among those of the pattern."""
    events = [event(payload) for payload in BEGINNINGS[preset]]
    for text in texts:
        more = data.draw(
            st.sampled_from([{}, {}, {}, {"usage": None}, {"created": 2}, {"index": 1}, {"x": [1]}])
        )
        if padded:
            more["obfuscation"] = data.draw(st.text("ab\"", max_size=3))
        events.append(event(MAKERS[preset](text, **more), ascii=ascii, dense=dense))
    if texts and data.draw(st.booleans()):
        place = data.draw(st.integers(len(BEGINNINGS[preset]), len(events) - 1))
        hurt = events[place].data
        at = data.draw(st.integers(0, len(hurt)))
        cut = data.draw(st.integers(0, 3))
        put = data.draw(st.sampled_from(["", '"', "}", "\\", " ", '"content":"a",', "x"]))
        name = data.draw(st.sampled_from(["message", "error", "content_block_delta"]))
        events[place] = ServerSentEvent(name, hurt[:at] + put + hurt[at + cut :])
    short, general = both_ways(preset, events)
    assert short == general


@pytest.mark.parametrize("preset", ["openai", "anthropic"])
def test_payloads_are_each_chunks_own(preset):
    decoder = presets.provider(preset).decoder(CALL)
    decoder.feed([event(payload) for payload in BEGINNINGS[preset]])
    made = [decoder.feed([event(MAKERS[preset](text))])[0] for text in "abcd"]
    assert [chunk.text for chunk in made] == list("abcd")
    for chunk in made:
        assert chunk.raw == MAKERS[preset](chunk.text)
        assert list(chunk.raw) == list(MAKERS[preset](""))
        held = chunk.raw["choices"][0]["delta"] if preset == "openai" else chunk.raw["delta"]
        held["changed"] = True
    assert decoder.feed([event(MAKERS[preset]("e"))])[0].raw == MAKERS[preset]("e")


@pytest.mark.parametrize("preset", ["openai", "anthropic"])
def test_the_pattern_is_taken_and_used(preset):
    """Else the tests above would compare the general way with itself."""
    decoder = presets.provider(preset).decoder(CALL)
    decoder.feed([event(payload) for payload in BEGINNINGS[preset]])
    for text in "abc":
        decoder.feed([event(MAKERS[preset](text))])
    assert decoder._pattern.parts()[-1] == MAKERS[preset]("a")
    assert decoder._pattern.tries == TRIES


def test_padding_is_read_with_the_text():
    decoder = presets.provider("openai").decoder(CALL)
    decoder.feed([event(payload) for payload in BEGINNINGS["openai"]])
    sent = [chat(text, usage=None, obfuscation=text * 3) for text in "abcdefgh"]
    assert [decoder.feed([event(payload)])[0].raw for payload in sent] == sent
    assert decoder._pattern.tries == TRIES


def test_a_stream_that_always_differs_elsewhere_is_soon_let_be():
    decoder = presets.provider("openai").decoder(CALL)
    decoder.feed([event(payload) for payload in BEGINNINGS["openai"]])
    for number in range(20):
        decoder.feed([event(chat("a", created=number))])
    assert decoder._pattern.tries == 0
    assert decoder._pattern.parts()[-1]["created"] == TRIES - 1


def with_text(payload, text):
    return {**payload, "t": text}


def learnt(data, payload):
    pattern = Pattern("t", 0, with_text)
    pattern.learn(ServerSentEvent("message", data), payload, "a")
    return pattern.parts()


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
    decoder = presets.provider("anthropic").decoder(CALL)
    decoder.feed([event(payload) for payload in BEGINNINGS["anthropic"]])
    stop = event({"type": "content_block_stop", "index": 0})
    for one in (event(block("a")), event(block("b")), stop, event(block("c")), stop):
        decoder.feed([one])
    assert [part["text"] for part in decoder.state["content"]] == ["ab", "c"]
