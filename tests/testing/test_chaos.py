"""Faults by chance, the same for the same seed."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import requests

from streamsafe.testing import Chaos, FaultServer, anthropic, ollama, openai_chat
from streamsafe.testing.faults import FAULTS
from streamsafe.testing.script import Fin, Finish, Heartbeats, Pause, Rst, Stall

EVENTS = openai_chat("The quick brown fox jumps over the lazy dog")


def only(fault, number=1, events=EVENTS, **options):
    return Chaos(7, **{fault: 1.0}, **options).exchange(number, events)


def test_the_same_seed_gives_the_same_faults():
    even = {name: 0.9 / len(FAULTS) for name in FAULTS}
    first, second, other = Chaos(1, **even), Chaos(1, **even), Chaos(2, **even)
    drawn = [first.exchange(number, EVENTS) for number in range(1, 200)]
    assert drawn == [second.exchange(number, EVENTS) for number in range(1, 200)]
    assert drawn != [other.exchange(number, EVENTS) for number in range(1, 200)]


def test_it_is_the_same_on_every_machine():
    chaos = Chaos(1, drop=0.3, reset=0.3)
    assert [chaos.fault(number) for number in range(1, 9)] == [
        "", "drop", "drop", "", "", "", "", "reset",
    ]  # fmt: skip


def test_faults_come_as_often_as_was_said():
    chaos = Chaos(3, drop=0.2, stall=0.1)
    drawn = Counter(chaos.fault(number) for number in range(5000))
    assert 900 < drawn["drop"] < 1100 and 400 < drawn["stall"] < 600
    assert drawn[""] + drawn["drop"] + drawn["stall"] == 5000


def test_each_fault_is_what_it_is_called():
    assert isinstance(only("drop").steps[-1], Fin)
    assert isinstance(only("reset").steps[-1], Rst)
    assert isinstance(only("stall").steps[-1], Stall)
    assert only("rate_limit").status == 429 and ("Retry-After", "1") in only("rate_limit").headers
    assert only("unavailable").status == 503
    beats = only("heartbeats").steps
    assert any(isinstance(step, Heartbeats) for step in beats)
    assert [step for step in beats if isinstance(step, bytes)] == EVENTS


def test_what_breaks_breaks_at_different_places():
    places = {len(only("drop", number).steps) for number in range(50)}
    assert len(places) > 5


def test_slow_is_slower_than_the_pace():
    pauses = [step.seconds for step in only("slow", pace=0.02).steps if isinstance(step, Pause)]
    assert pauses and set(pauses) == {0.2}


def test_a_malformed_event_keeps_its_end():
    steps = only("malformed", 2).steps
    assert len(steps) == len(EVENTS) + 1 and isinstance(steps[-1], Finish)
    broken = [step for step, event in zip(steps, EVENTS) if step != event]
    assert len(broken) == 1 and broken[0].endswith(b"\n\n")
    with pytest.raises(ValueError):
        json.loads(broken[0][len("data: ") :])


@pytest.mark.parametrize("answer", [openai_chat, anthropic, ollama])
def test_an_error_inside_the_stream_is_in_the_api_s_own_form(answer):
    *_, last, _finish = only("error", events=answer("some words")).steps
    payload = json.loads(last.split(b"data: ")[-1])
    assert "chaos" in json.dumps(payload["error"])
    assert last.startswith(b"event: error\n") == (answer is anthropic)


def test_an_answer_of_ndjson_keeps_its_content_type():
    headers = Chaos().exchange(1, ollama("x")).headers
    assert headers == (("Content-Type", "application/x-ndjson"),)


def test_a_server_runs_on_it():
    chaos = Chaos(1, unavailable=0.5)
    with FaultServer() as server, requests.Session() as client:
        server.handle(chaos.handler(lambda request: EVENTS))
        got = [client.get(server.url).status_code for _ in range(20)]
    assert got == [503 if chaos.fault(number) else 200 for number in range(1, 21)]
    assert set(got) == {200, 503}


@pytest.mark.parametrize(
    "wrong, what", [({"dropp": 0.1}, "no fault 'dropp'"), ({"drop": 2}, "from 0 to 1"),
                    ({"drop": 0.6, "stall": 0.6}, "more than 1")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(wrong, what):
    with pytest.raises(ValueError, match=what):
        Chaos(**wrong)
