"""What servers send that no documentation shows: only the SDKs' errors may come of it."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from streamsafe import RetryPolicy, StreamingError
from streamsafe.compat.anthropic import Anthropic
from streamsafe.compat.openai import OpenAI
from streamsafe.testing import FaultServer, anthropic, openai_chat, responses, rst, stream

QUESTION = [{"role": "user", "content": "Hi"}]
CALL = [("f", {"a": 1})]
ODD: list[Any] = [None, 0, -3, "x", "", [], {}, True, 1.5, [None], {"a": None}, 10**30]


def chat(server: FaultServer, whole: bool) -> None:
    with OpenAI(max_retries=0) as client:
        made: Any = client.chat.completions.create(
            model="m", messages=QUESTION, stream=not whole  # type: ignore[call-overload]
        )
        (made if whole else list(made)[-1]).model_dump_json()


def response(server: FaultServer, whole: bool) -> None:
    with OpenAI(max_retries=0) as client:
        made: Any = client.responses.create(
            model="m", input="Hi", stream=not whole  # type: ignore[call-overload]
        )
        if whole:
            assert isinstance(made.output_text, str)
        else:
            list(made)


def message(server: FaultServer, whole: bool) -> None:
    asked: dict[str, Any] = {"model": "claude", "max_tokens": 5, "messages": QUESTION}
    with Anthropic(max_retries=0) as client:
        if whole:
            client.messages.create(**asked).model_dump_json()
            return
        with client.messages.stream(**asked) as events:
            for event in events:
                getattr(event, "snapshot", None)
            events.get_final_message()


EVENTS = {
    chat: openai_chat("Once upon a time", tool_calls=CALL, usage=(1, 2)),
    response: responses("Once upon a time", usage=(1, 2)),
    message: anthropic("Once upon", tool_calls=CALL, reasoning="Hm"),
}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("ask", EVENTS)
@pytest.mark.parametrize("times", [30, pytest.param(120, marks=pytest.mark.slow)])
def test_odd_values_are_passed_on_or_are_an_error_of_the_sdks(
    ask: Callable[..., None], whole: bool, times: int, server: FaultServer
) -> None:
    for events in made_odd(EVENTS[ask], random.Random(7), times):
        server.expect(stream(events))
        try:
            ask(server, whole)
        except StreamingError:
            pass
        except Exception as error:
            raise AssertionError(b"".join(events).decode()) from error


def made_odd(events: list[bytes], chosen: random.Random, times: int) -> Iterator[list[bytes]]:
    """The events with one value of one of them missing, or another."""
    payloads = [event.partition(b"data: ")[2] for event in events]
    places = [
        (number, path)
        for number, payload in enumerate(payloads)
        if payload.startswith(b"{")
        for path in _paths(json.loads(payload))
    ]
    for number, path in (chosen.choice(places) for _ in range(times)):
        payload = json.loads(payloads[number])
        inner = payload
        for step in path[:-1]:
            inner = inner[step]
        if isinstance(inner, dict) and chosen.random() < 0.3:
            del inner[path[-1]]
        else:
            inner[path[-1]] = copy.deepcopy(chosen.choice(ODD))
        head = events[number].partition(b"data: ")[0]
        odd = head + b"data: " + json.dumps(payload).encode() + b"\n\n"
        yield [*events[:number], odd, *events[number + 1 :]]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in inner:
        yield (*path, name)
        if isinstance(item, (dict, list)):
            yield from _paths(item, (*path, name))


def test_a_chunk_that_does_not_say_what_it_is_has_its_fields(server: FaultServer) -> None:
    # Azure's first one, with the verdict on the prompt: its object, id and model are empty.
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "",
             "prompt_filter_results": [{"prompt_index": 0}]}  # fmt: skip
    events = [b"data: %b\n\n" % json.dumps(first).encode(), *openai_chat("Once upon")]
    server.expect(stream(events[:3], then=rst()), stream(events))
    with OpenAI(resume="restart", max_retries=RetryPolicy(base=0)) as client:
        chunks = list(client.chat.completions.create(model="m", messages=QUESTION, stream=True))
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert chunks[0].choices == [] and chunks[1].choices[0].delta.refusal is None
    assert [chunk.id for chunk in chunks if chunk.choices] == ["chatcmpl-test"] * 4
