"""A thousand prompts against a server that fails in every way it can."""

import itertools
from collections import Counter

import pytest

from streamsafe import RetryPolicy, StreamSession, Timeouts
from streamsafe.testing import FaultServer, faults
from streamsafe.testing.answers import openai_chat
from streamsafe.testing.chaos import Chaos

PROMPTS = [f"question {number}" for number in range(1000)]
#: All but those after which nothing is to be asked again: a wrong key, a page for people.
FAULTS = [fault for fault in faults.FAULTS if fault not in ("unauthorized", "html")]
#: One request in twenty meets one of them.
SHARE = 0.05 / len(FAULTS)
#: Those through which an answer comes whole all the same.
HARMLESS = ("", "slow", "heartbeats", "buffered", "split", "compressed")


@pytest.mark.slow
def test_a_thousand_answers_are_exact_and_none_is_asked_for_more_often_than_needed():
    storm = Chaos(7, **dict.fromkeys(FAULTS, SHARE))
    numbers, asked, broken, met = itertools.count(1), Counter(), Counter(), Counter()

    def handler(request):
        number, prompt = next(numbers), request.json["messages"][-1]["content"]
        fault = storm.fault(number)
        met[fault] += 1
        asked[prompt] += 1
        broken[prompt] += fault not in HARMLESS
        return storm.exchange(number, openai_chat(answer_to(prompt), usage=(3, 6)))

    with FaultServer() as server, StreamSession(
        "openai_compatible",
        base_url=f"{server.url}/v1",
        model="m",
        timeouts=Timeouts(first_token=2, inactivity=2, stall=2),
        retry=RetryPolicy(base=0.1),
    ) as session:
        server.handle(handler)
        results = list(session.map(iter(PROMPTS), max_workers=16))
    assert [result.value().text for result in results] == [answer_to(p) for p in PROMPTS]
    assert set(met) == {"", *FAULTS}
    assert {p: times for p, times in asked.items() if times > 1 + broken[p]} == {}


def answer_to(prompt):
    return f"The answer to {prompt}, whole."
