"""OpenAI legacy Completions: a prompt as text, and an answer that goes on from it exactly."""

import json

import pytest

from streamsafe.errors import APIError, ConfigurationError
from streamsafe.models import Call, Completion
from streamsafe.providers import presets

PROVIDER = presets.provider("openai_completions")
TARGET = presets.target(PROVIDER, "key", environ={})
HI = {"role": "user", "content": "Once"}


def ask(messages=(HI,), body=None, extra=None, model="m", **parameters):
    return PROVIDER.request(Call(messages, model, parameters, body, extra), TARGET)


def body(*payloads, done=True):
    lines = [json.dumps(payload) for payload in payloads] + ["[DONE]"] * done
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def piece(text, finish=None, index=0, **more):
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "model": "m-1", "choices": [choice],
            **more}  # fmt: skip


def test_a_prompt_is_asked_with_url_headers_and_body():
    request = ask(max_tokens=9, stop="END", seed=1, echo=True)
    assert request.url == "https://api.openai.com/v1/completions"
    assert request.headers == {"Authorization": "Bearer key"}
    assert request.json == {
        "model": "m", "prompt": "Once", "max_tokens": 9, "stop": "END", "seed": 1, "echo": True,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_messages_become_one_prompt_of_their_texts():
    parts = [{"type": "text", "text": "Once "}, "upon"]
    asked = [{"role": "system", "content": "Tell."}, {"role": "user", "content": parts}]
    assert ask(asked).json["prompt"] == "Tell.\n\nOnce upon"


def test_a_prompt_of_the_programs_own_goes_before_the_messages():
    assert ask(prompt=["a", "b"]).json["prompt"] == ["a", "b"]


def test_an_image_is_no_text():
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    with pytest.raises(ConfigurationError, match=r"messages\[0\].*only text"):
        ask([{"role": "user", "content": [image]}])


def test_a_body_of_the_apis_own_passes_untouched():
    own = {"model": "y", "prompt": "Once", "suffix": "end"}
    assert ask((), own).json == {**own, "stream": True}


@pytest.mark.parametrize(
    ("reason", "normal"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter")],
)
def test_finish_reasons(decode, reason, normal):
    got = decode("openai_completions", [body(piece("x"), piece("", reason))])
    assert got.finished and got.completion.text == "x"
    assert got.completion.finish_reason == normal


def test_several_answers_and_their_usage(decode):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    stream = body(
        piece("a", usage=None), piece("b", index=1), piece("", "stop"), piece("", "length", 1),
        {"choices": [], "usage": usage},
    )  # fmt: skip
    got = decode("openai_completions", [stream], Call([HI], "m", {"n": 2}))
    assert got.finished and got.completion.usage.raw == usage
    assert [choice.text for choice in got.completion.choices] == ["a", "b"]


@pytest.mark.parametrize(("prompt", "n", "choices"), [
    (["A", "B"], None, 2), (["A"], 2, 2), (["A", "B"], 2, 4), ([[1, 2], [3]], None, 2),
    ([1, 2, 3], None, 1), ("A", None, 1),
])  # fmt: skip
def test_there_is_an_answer_to_each_prompt(decode, prompt, n, choices):
    call = Call(model="m", parameters={"prompt": prompt, **({"n": n} if n else {})})
    said = [piece("x", "stop", index) for index in range(choices)]
    assert decode("openai_completions", [body(*said, done=False)], call).finished
    if choices > 1:
        got = decode("openai_completions", [body(*said[:-1], done=False)], call)
        assert not got.finished


def test_an_error_inside_the_stream(decode):
    got = decode("openai_completions", [body(piece("x"), {"error": {"message": "m"}})])
    assert isinstance(got.failure, APIError) and got.completion.text == "x"


def test_a_plain_answer_means_the_same(decode):
    answer = json.dumps(piece("Yes", "stop")).encode()
    got = decode("openai_completions", [answer], content_type="application/json")
    assert got.finished and got.completion.text == "Yes"


def continued(call, text=" upon"):
    return PROVIDER.request(PROVIDER.continued(call, Completion(text), "prefill"), TARGET).json


@pytest.mark.parametrize(
    "call", [Call([HI], "m"), Call((), "m", {"prompt": "Once"}), Call(body={"prompt": "Once"})]
)
def test_prompt_and_partial_text_are_one_text(call):
    call = call.replace(model="m")
    assert continued(call)["prompt"] == "Once upon"
    assert PROVIDER.profile("m").exact


@pytest.mark.parametrize(
    "call", [Call((), "m", {"prompt": ["a", "b"]}), Call([HI], "m", {"echo": True})]
)
def test_several_prompts_or_an_echo_can_not_be_gone_on_from(call):
    with pytest.raises(ConfigurationError):
        continued(call)


def test_no_message_asks_to_go_on():
    with pytest.raises(ConfigurationError):
        PROVIDER.continued(Call([HI], "m"), Completion("x"), "user_message")
