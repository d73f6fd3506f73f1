"""Which exchanges of a cassette were one stream."""

from __future__ import annotations

import pytest

from streamsafe.debug.cassette import End, Exchange, Failure
from streamsafe.doctor.playback import grouped

URL = "https://h/v1/chat/completions"
WHOLE = End(1.0, "finished")
BROKEN = Failure(1.0, "ConnectionDroppedError", "reset")


def asks(text, *more, url=URL, method="POST", **facts):
    messages = [{"role": "user", "content": text}, *more]
    return Exchange(method, url, {"messages": messages}, status=200, **facts)


def sizes(*exchanges):
    return [len(group) for group in grouped(exchanges)]


def test_what_is_asked_again_after_a_break_is_one_stream():
    assert sizes(asks("a", failure=BROKEN), asks("a", end=WHOLE)) == [2]


def test_the_same_question_after_a_whole_answer_is_another_stream():
    assert sizes(asks("a", end=WHOLE), asks("a", end=WHOLE)) == [1, 1]


def test_another_question_is_another_stream():
    assert sizes(asks("a", failure=BROKEN), asks("b", end=WHOLE)) == [1, 1]


def test_a_partial_answer_put_behind_is_the_same_question():
    partial = {"role": "assistant", "content": "Once"}
    assert sizes(asks("a", failure=BROKEN), asks("a", partial, end=WHOLE)) == [2]


def test_a_get_of_what_the_server_keeps_goes_on():
    first = Exchange("POST", "https://h/v1/responses", {"input": "a"}, status=200, failure=BROKEN)
    more = Exchange("GET", "https://h/v1/responses/resp_1?stream=true", None, status=200, end=WHOLE)
    assert sizes(first, more) == [2]


@pytest.mark.parametrize(
    "body", [{"prompt": "a"}, {"input": "a"}, {"contents": [{"parts": []}]}, {"other": 1}, None]
)
def test_every_way_of_asking_is_compared(body):
    one = Exchange("POST", URL, body, status=503, end=End(0.1, "left"))
    assert sizes(one, one) == [2]
