"""The forms in which a prompt is given, and the name that its question has."""

import inspect

import pytest

from streamsafe import ConfigurationError, StreamSession
from streamsafe.batch.item import RESERVED, fingerprint, item_of

MESSAGES = [{"role": "user", "content": "Hi"}]


def test_a_text_or_messages_are_what_stream_takes():
    assert item_of(3, "Hi") == (3, "3", "Hi", {"prompt_or_messages": "Hi"})
    assert item_of(0, MESSAGES).arguments == {"prompt_or_messages": MESSAGES}


@pytest.mark.parametrize("key", ["id", "custom_id"])
def test_a_mapping_may_have_a_name_and_parameters(key):
    item = item_of(3, {key: "q-1", "prompt": "Hi", "model": "m", "max_tokens": 5})
    assert (item.index, item.id) == (3, "q-1")
    assert item.arguments == {"prompt_or_messages": "Hi", "model": "m", "max_tokens": 5}
    assert item_of(0, {"id": 17, "messages": MESSAGES}).id == "17"


def test_a_line_of_an_openai_batch_file_is_a_chat_that_can_be_gone_on_with():
    line = {
        "custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": MESSAGES, "max_tokens": 9, "stream": False},
    }  # fmt: skip
    item = item_of(0, line)
    assert item.id == "request-1"
    assert item.arguments == {"prompt_or_messages": MESSAGES, "model": "m", "max_tokens": 9}


def test_any_other_body_is_passed_through_as_it_is():
    body = {"model": "m", "input": "Hi"}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": body}
    assert item_of(0, line).arguments == {"body": body}
    params = {"model": "claude", "max_tokens": 9, "messages": MESSAGES}
    assert item_of(0, {"custom_id": "1", "params": params}).arguments == {"body": params}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"promt": "Hi"}, "promt: expected one of prompt, messages, body"),
        ({}, "no keys"),
        ({"prompt": "Hi", "messages": MESSAGES}, "prompt, messages: expected one"),
        ({"prompt": "Hi", "id": 1.5}, "id=1.5"),
        ({"prompt": "Hi", "id": True}, "id=True"),
        ({"body": "Hi"}, "body is a str"),
        ({"prompt": "Hi", "sink": "/etc/passwd"}, "may not set sink"),
        ({"body": {"messages": MESSAGES, "sink": "x"}}, "may not set sink"),
    ],
)
def test_what_is_wrong_is_said(given, said):
    with pytest.raises(ConfigurationError, match=said):
        item_of(0, given)


def test_a_prompt_may_set_no_argument_of_stream_but_its_model():
    arguments = {
        name
        for name, parameter in inspect.signature(StreamSession.stream).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    assert arguments - {"self", "model"} == RESERVED


def test_a_fingerprint_stands_for_the_question_whatever_the_order_of_its_keys():
    one = fingerprint("openai", {"a": 1, "b": [2]})
    assert one == fingerprint("openai", {"b": [2], "a": 1}) and len(one) == 12
    assert one != fingerprint("openai", {"a": 1, "b": [3]})
    with pytest.raises(ConfigurationError, match="no JSON"):
        fingerprint({"a": object()})
