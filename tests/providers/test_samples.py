"""Every recorded stream of every API: whole, byte by byte, cut at every offset, with other line
ends and with heartbeats in between."""

import importlib.util
import json
from pathlib import Path

import pytest

from streamsafe.errors import APIError

# The helpers stand in conftest, which pytest does not let one import by name.
_spec = importlib.util.spec_from_file_location("feeding", Path(__file__).parent / "conftest.py")
feeding = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(feeding)

PRESETS = {
    ("openai", "chat.completions"): "openai",
    ("openai", "completions"): "openai_completions",
    ("openai", "responses"): "openai_responses",
    ("anthropic", "messages"): "anthropic",
    ("azure", "chat.completions"): "azure",
    ("cohere", "v2/chat"): "cohere",
    ("deepseek", "chat.completions"): "deepseek",
    ("gemini", "streamGenerateContent"): "gemini",
    ("groq", "chat.completions"): "groq",
    ("llama.cpp", "chat.completions"): "llamacpp",
    ("mistral", "chat.completions"): "mistral",
    ("ollama", "api/chat"): "ollama",
    ("ollama", "api/generate"): "ollama_generate",
    ("ollama", "chat.completions"): "ollama_openai",
    ("openrouter", "chat.completions"): "openrouter",
    ("tgi", "chat.completions"): "tgi",
    ("vllm", "chat.completions"): "vllm",
}

#: Finish reasons of the APIs in the project's words, where a test does not say it better.
NORMAL = {
    "stop": "stop", "end_turn": "stop", "stop_sequence": "stop", "STOP": "stop", "COMPLETE": "stop",
    "completed": "stop", "length": "length", "MAX_TOKENS": "length",
    "incomplete:max_output_tokens": "length", "tool_use": "tool_calls", "tool_calls": "tool_calls",
    "function_call": "tool_calls", "content_filter": "content_filter", "refusal": "refusal",
}  # fmt: skip


def _samples():
    for path in sorted(feeding.SAMPLES.glob("*.expected.json")):
        expected = json.loads(path.read_text(encoding="utf-8"))
        body = (feeding.SAMPLES / expected["file"]).read_bytes()
        yield pytest.param(expected, body, id=path.name[: -len(".expected.json")])


SAMPLES = list(_samples())


def read(expected, pieces):
    return feeding.decode(PRESETS[expected["provider"], expected["api"]], pieces)


def check(got, expected):
    """The whole of what a sample must give."""
    completion = got.completion
    assert completion.text == (expected["text"] or "")
    assert completion.reasoning == (expected["reasoning"] or "")
    if "block_reason" not in expected:  # a blocked prompt has a reason, but no words of refusal
        assert completion.refusal == (expected["refusal"] or "")
    calls = expected["tool_calls"] or []
    if "function_call" in expected:
        calls = [{"id": "", **expected["function_call"]}]
    assert [call.name for call in completion.tool_calls] == [call["name"] for call in calls]
    assert [call.parsed() for call in completion.tool_calls] == [
        json.loads(call["arguments"] or "{}") for call in calls
    ]
    for call, wanted in zip(completion.tool_calls, calls):
        assert not wanted["id"] or call.id == wanted["id"]
    assert got.finished is expected["complete"]
    if expected.get("model"):
        assert completion.model == expected["model"]
    if expected.get("id"):
        assert completion.id == expected["id"]
    check_usage(completion, expected)
    check_finish(got, expected)
    if expected["error"]:
        assert isinstance(got.failure, APIError) and got.failure.in_stream
        assert expected["error"]["message"] in got.failure.message
    assert all(chunk.raw is not None for chunk in got.chunks)


def check_usage(completion, expected):
    raw = expected["usage"] or {}
    for name, value in raw.items():
        if not isinstance(value, dict) and value is not None:
            assert completion.usage.raw[name] == value, name


def check_finish(got, expected):
    reason = expected["finish_reason"]
    if not expected["complete"] or reason in (None, "CONTINUATION"):
        return
    finish = got.completion.finish_reason
    if "block_reason" in expected:
        assert finish == "content_filter"
    elif expected["refusal"]:
        assert finish == "refusal"
    elif expected["tool_calls"]:
        assert finish == "tool_calls"
    else:
        assert finish == NORMAL[reason]


@pytest.mark.parametrize(("expected", "body"), SAMPLES)
def test_whole(expected, body):
    check(read(expected, [body]), expected)


@pytest.mark.parametrize(("expected", "body"), SAMPLES)
def test_byte_by_byte(expected, body):
    check(read(expected, [body[place : place + 1] for place in range(len(body))]), expected)


@pytest.mark.parametrize(("expected", "body"), SAMPLES)
def test_with_the_other_line_ends(expected, body):
    lf = body.replace(b"\r\n", b"\n")
    check(read(expected, [lf]), expected)
    check(read(expected, [lf.replace(b"\n", b"\r\n")]), expected)


@pytest.mark.parametrize(("expected", "body"), SAMPLES)
def test_with_heartbeats_in_between(expected, body):
    if not expected["file"].endswith(".sse"):
        pytest.skip("comments are an event stream's")
    beaten = body.replace(b"\n\n", b"\n\n: beat\n\n\n").replace(
        b"\r\n\r\n", b"\r\n\r\n: beat\r\n\r\n"
    )
    check(read(expected, [beaten]), expected)


def _true_when_cut(expected, body, cuts):
    whole = read(expected, [body])
    shown = [(c.kind, c.text, c.reasoning, c.refusal, c.tool_call) for c in whole.chunks]
    finish_at = next((n for n, c in enumerate(whole.chunks) if c.kind == "finish"), None)
    for cut in cuts:
        got = read(expected, [body[:cut]])
        seen = [(c.kind, c.text, c.reasoning, c.refusal, c.tool_call) for c in got.chunks]
        assert (expected["text"] or "").startswith(got.completion.text)
        assert (expected["reasoning"] or "").startswith(got.completion.reasoning)
        if got.finished:
            # Only behind the terminal event, whatever else is missing.
            assert expected["complete"]
            assert got.completion.text == expected["text"]
            assert finish_at is None or len(seen) > finish_at
        elif seen:
            assert shown[: len(seen)] == seen or got.failure is not None


@pytest.mark.parametrize(("expected", "body"), SAMPLES)
def test_cut_at_a_line_or_inside_one_gives_a_true_prefix(expected, body):
    ends = [place for place in range(len(body)) if body[place : place + 1] == b"\n"]
    cuts = {end + by for end in ends[-12:] for by in (-2, 0, 1)} | {*range(0, len(body), 211)}
    _true_when_cut(expected, body, sorted(cuts))


@pytest.mark.slow
@pytest.mark.parametrize(("expected", "body"), SAMPLES)
def test_cut_at_every_offset_gives_a_true_prefix_and_never_a_wrong_verdict(expected, body):
    _true_when_cut(expected, body, range(len(body)))
