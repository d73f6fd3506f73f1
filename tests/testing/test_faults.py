"""Every fault by its name, over every preset's answers, read by streamsafe itself."""

from __future__ import annotations

import pytest

from streamsafe import (
    APIError,
    AuthenticationError,
    ConnectionDroppedError,
    IncompleteStreamError,
    MalformedStreamError,
    OverloadedError,
    RateLimitError,
    StreamSession,
    StreamTimeoutError,
    Timeouts,
)
from streamsafe.providers.presets import PRESETS
from streamsafe.testing import FaultServer, fault, prose
from streamsafe.testing.answers import content_type, for_path, for_preset, known_path
from streamsafe.testing.faults import FAULTS
from streamsafe.testing.script import stream

TEXT = prose(400)

#: What streamsafe makes of a fault that it is not to mend; None: the whole answer all the same.
ENDS = {
    "ok": None,
    "drop": ConnectionDroppedError,
    "reset": ConnectionDroppedError,
    "stall": StreamTimeoutError,
    "rate_limit": RateLimitError,
    "unavailable": (OverloadedError, APIError),
    "malformed": MalformedStreamError,
    "slow": None,
    "heartbeats": None,
    "error": APIError,
    "timeout": StreamTimeoutError,
    "no_answer": ConnectionDroppedError,
    "truncated": IncompleteStreamError,
    "buffered": None,
    "html": MalformedStreamError,
    "split": None,
    "compressed": None,
    "unauthorized": AuthenticationError,
}

#: Lines, not events, are what an API without Server-Sent Events is made of: what is slow or held
#: back by design is tried with one API alone.
ONE_API = ("slow", "buffered", "timeout", "stall")


@pytest.fixture(scope="module")
def server():
    with FaultServer() as running:
        yield running


def session(server, preset, **settings):
    base = {"openai": "/v1", "azure": "", "vertex": "/v1/projects/p/locations/l/publishers/google"}
    return StreamSession(
        preset, api_key="k", base_url=server.url + base.get(preset, ""), model="m", retry=0,
        resume="never", timeouts=Timeouts(first_token=0.4, inactivity=0.4), **settings,
    )  # fmt: skip


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_answer_of_every_preset_is_read_to_its_exact_text(server, preset):
    events = for_preset(preset)(TEXT)
    server.always(stream(events, content_type=content_type(events)))
    with session(server, preset) as asking:
        completion = asking.complete("Hi")
    assert (completion.text, completion.outcome.value) == (TEXT, "complete")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_path_of_every_preset_names_the_same_answer(server, preset):
    server.reset()
    server.handle(lambda request: fault("ok", for_path(request.path)(TEXT)))
    with session(server, preset) as asking:
        assert asking.complete("Hi").text == TEXT
    path = server.requests[0].path
    assert for_path(path) is for_preset(preset) and known_path(path)


@pytest.mark.parametrize("preset", ["anthropic", "cohere", "gemini", "ollama", "openai",
                                    "openai_responses"])  # fmt: skip
@pytest.mark.parametrize("name", sorted(set(ENDS) - set(ONE_API)))
def test_a_fault_is_what_its_name_says_in_the_words_of_each_api(server, preset, name):
    server.always(fault(name, for_preset(preset)(TEXT), 9))
    check(server, preset, name)


@pytest.mark.parametrize("name", ONE_API)
def test_a_fault_that_takes_time(server, name):
    server.always(fault(name, for_preset("openai")("a few words"), 2))
    settings = {"first_token": 5.0} if name == "buffered" else {}
    check(server, "openai", name, **settings)


def check(server, preset, name, **clocks):
    delivered = []
    with session(server, preset) as asking:
        clocks = Timeouts(**{"first_token": 0.4, "inactivity": 0.4, **clocks})
        answer = asking.stream("Hi", on_token=delivered.append, timeouts=clocks)
        if ENDS[name] is None:
            assert answer.until_done().complete
            return
        with pytest.raises(ENDS[name]) as caught:
            answer.until_done()
    assert "".join(delivered) == caught.value.partial.text
    if name == "error":
        assert caught.value.in_stream and "chaos" in str(caught.value)


def test_the_list_here_is_whole():
    assert set(ENDS) == {"ok", *FAULTS}


def test_a_fault_that_is_not_known_names_those_that_are():
    with pytest.raises(ValueError, match="no fault 'drip'; there are ok, drop, reset"):
        fault("drip", [])


def test_prose_is_as_long_as_it_is_asked_for_and_the_same_each_time():
    assert [len(prose(n)) for n in (0, 1, 9999)] == [0, 1, 9999]
    assert prose(500, seed=1) == prose(500, seed=1) != prose(500)
    with pytest.raises(ValueError, match=r"prose\(-1\)"):
        prose(-1)
