"""Answers: open when the program has them, unbroken or an error, closed when they are left."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from streamsafe import RetryPolicy, StreamingError
from streamsafe.compat import openai
from streamsafe.compat.openai import OpenAI
from streamsafe.testing import FaultServer, openai_chat, reply, rst, stall, stream, wait

ASKED: dict[str, Any] = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hi"}]}
EVENTS = openai_chat("The quick brown fox jumps")
SOON = RetryPolicy(base=0.0)


def text_of(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_the_request_is_made_before_the_loop(server: FaultServer) -> None:
    with OpenAI() as client:
        with client.chat.completions.create(stream=True, **ASKED) as answer:
            assert len(server.requests) == 1
            assert answer.response.status_code == 200
            assert answer.response.headers["X-Request-ID"] == "req-1"
            assert "key" not in str(answer.response.request)


def test_a_chunk_is_given_before_the_next_one_comes(server: FaultServer) -> None:
    server.expect(stream(EVENTS[:3], wait("read"), EVENTS[3:]))
    with OpenAI() as client:
        answer = client.chat.completions.create(stream=True, **ASKED)
        assert text_of(next(answer) for _ in range(3)) == "The quick"
        server.gate("read").open()
        assert text_of(answer) == " brown fox jumps"


def test_two_loops_read_one_answer(server: FaultServer) -> None:
    server.expect(stream(EVENTS))
    with OpenAI() as client:
        answer = client.chat.completions.create(stream=True, **ASKED)
        for chunk in answer:
            if chunk.choices[0].delta.content:
                break
        assert text_of(answer) == " quick brown fox jumps"
        assert list(answer) == []


@pytest.mark.parametrize("leave", ["close", "with", "drop"])
def test_an_answer_that_is_left_lets_its_connection_go(server: FaultServer, leave: str) -> None:
    server.expect(stream(EVENTS[:3], then=stall()))
    with OpenAI() as client:
        answer = client.chat.completions.create(stream=True, **ASKED)
        next(answer)
        if leave == "close":
            answer.close()
        elif leave == "with":
            with answer:
                pass
        del answer
        assert server.requests[0].client_gone.wait(5)


def test_a_loop_over_an_answer_without_a_name_lets_go_by_break(server: FaultServer) -> None:
    server.expect(stream(EVENTS[:3], then=stall()))
    gc.disable()
    try:
        with OpenAI() as client:
            for _ in client.chat.completions.create(stream=True, **ASKED):
                break
            assert server.requests[0].client_gone.wait(5)
    finally:
        gc.enable()


def test_it_can_be_cancelled_from_another_thread(server: FaultServer) -> None:
    server.expect(stream(EVENTS[:3], then=stall()))
    with OpenAI() as client:
        answer = client.chat.completions.create(stream=True, **ASKED)
        threading.Timer(0.05, answer.stream.cancel).start()
        with pytest.raises(openai.OpenAIError, match="cancelled"):
            list(answer)


def test_what_the_server_refuses_is_raised_by_the_call(server: FaultServer) -> None:
    server.expect(reply(401, json={"error": {"message": "Wrong key", "code": "invalid_api_key"}}))
    with OpenAI() as client, pytest.raises(openai.AuthenticationError, match="401 - Wrong key"):
        client.chat.completions.create(stream=True, **ASKED)


def test_what_fails_behind_a_good_status_is_raised_by_the_loop(server: FaultServer) -> None:
    server.expect(stream(b'data: {"error": {"message": "No luck", "type": "invalid_prompt"}}\n\n'))
    with OpenAI() as client:
        answer = client.chat.completions.create(stream=True, **ASKED)
        with pytest.raises(openai.APIError, match="No luck") as caught:
            list(answer)
    assert caught.value.body == {"message": "No luck", "type": "invalid_prompt"}


@pytest.mark.parametrize("then", [[], [rst()]], ids=["ended", "reset"])
def test_an_answer_that_breaks_off_is_an_error_that_has_it(server: FaultServer, then: Any) -> None:
    server.expect(stream(EVENTS[:3], then=then))
    with OpenAI() as client:
        with pytest.raises(openai.APIConnectionError) as caught:
            list(client.chat.completions.create(stream=True, **ASKED))
    assert caught.value.partial.text == "The quick"
    assert isinstance(caught.value, StreamingError)


def test_an_answer_that_can_not_be_unbroken_is_an_error(server: FaultServer) -> None:
    server.expect(stream(EVENTS[:3], then=rst()), stream(openai_chat("A slow fox")))
    with OpenAI(resume="restart", max_retries=SOON) as client:
        with pytest.raises(openai.APIConnectionError, match="began differently") as caught:
            list(client.chat.completions.create(stream=True, **ASKED))
    assert caught.value.partial.text == "The quick"


def test_in_one_piece_it_may_well_begin_anew(server: FaultServer) -> None:
    server.expect(stream(EVENTS[:3], then=rst()), stream(openai_chat("A slow fox", id="other")))
    with OpenAI(max_retries=SOON) as client:
        answer = client.chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "A slow fox"
    assert answer.id == "other"


def test_a_silent_server_is_a_timeout(server: FaultServer) -> None:
    server.expect(stream(EVENTS[:2], then=stall()))
    with OpenAI(timeout=0.2, max_retries=0) as client:
        with pytest.raises(openai.APITimeoutError) as caught:
            list(client.chat.completions.create(stream=True, **ASKED))
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.partial.text == "The"
