"""The ready-made answers, read by the plainest of readers."""

from __future__ import annotations

import json

import pytest

from streamsafe.testing import (
    anthropic,
    cohere,
    gemini,
    ollama,
    ollama_generate,
    openai_chat,
    openai_completions,
    responses,
    tokens,
)
from streamsafe.testing.answers import content_type, for_path

TEXT = "Łódź is  a city,\nfar from \u2028here 🌊 "
ALL = [openai_chat, responses, anthropic, gemini, cohere, ollama]


def payloads(events):
    """The JSON of each event; the names must agree with it."""
    read = []
    for event in events:
        assert event.endswith((b"\n\n", b"\r\n\r\n")) or event.startswith(b"{")
        lines = event.decode().strip().split("\n")
        data = lines[-1][len("data: ") :] if lines[-1].startswith("data: ") else lines[-1]
        if data != "[DONE]":
            read.append(json.loads(data))
        if len(lines) == 2:
            assert lines[0] == f"event: {read[-1]['type']}"
    return read


def texts(name, events, reasoning=False):
    read = payloads(events)
    if name == "openai_chat":
        key = "reasoning_content" if reasoning else "content"
        return [c["delta"].get(key) for p in read for c in p.get("choices", ())]
    if name == "responses":
        kind = "reasoning_summary_text" if reasoning else "output_text"
        return [p["delta"] for p in read if p["type"] == f"response.{kind}.delta"]
    if name == "anthropic":
        key = "thinking" if reasoning else "text"
        return [p["delta"].get(key) for p in read if p["type"] == "content_block_delta"]
    if name == "gemini":
        parts = [part for p in read if "candidates" in p
                 for part in p["candidates"][0]["content"]["parts"]]  # fmt: skip
        return [part.get("text") for part in parts if bool(part.get("thought")) == reasoning]
    if name == "cohere":
        key = "thinking" if reasoning else "text"
        deltas = [p["delta"] for p in read if p["type"] == "content-delta"]
        return [delta["message"]["content"].get(key) for delta in deltas]
    key = "thinking" if reasoning else "content"
    return [p["message"].get(key) for p in read if "message" in p]


def joined(answer, events, reasoning=False):
    return "".join(text or "" for text in texts(answer.__name__, events, reasoning))


@pytest.mark.parametrize("text", [TEXT, "", " ", "one"])
def test_tokens_join_to_the_text(text):
    assert "".join(tokens(text)) == text


@pytest.mark.parametrize("answer", ALL)
def test_the_text_and_the_reasoning_come_token_by_token(answer):
    events = answer(TEXT, reasoning="so, first")
    assert joined(answer, events) == TEXT
    assert joined(answer, events, reasoning=True) == "so, first"
    assert len(events) > len(tokens(TEXT))


@pytest.mark.parametrize("answer", ALL)
def test_the_arguments_are_on_the_wire(answer):
    events = b"".join(
        answer("x", model="the-model", id="the-id", finish_reason="length", usage=(123, 456))
    )
    assert (b"the-model" in events) == (answer is not cohere)
    assert (b"the-id" in events) == (answer is not ollama)
    assert b'"length"' in events and b"123" in events and b"456" in events


@pytest.mark.parametrize("answer", ALL)
def test_an_error_is_the_last_word(answer):
    *_, last = payloads(answer("some text", error="it broke"))
    assert "it broke" in json.dumps(last)
    assert joined(answer, answer("some text", error="it broke")) == "some text"
    whole = {"message": "whole", "code": "mine"}
    assert "whole" in json.dumps(payloads(answer(error=whole))[-1])


@pytest.mark.parametrize("answer", ALL)
def test_tool_calls_join_to_their_arguments(answer):
    arguments = {"city": "Đà Nẵng", "quote": '"\\'}
    read = payloads(answer(tool_calls=[("weather", arguments), ("now", "{}")]))
    found = {
        "openai_chat": lambda: [
            c["function"].get("arguments", "")
            for p in read for choice in p["choices"] for c in choice["delta"].get("tool_calls", ())
            if c["index"] == 0
        ],
        "responses": lambda: [
            p["delta"] for p in read
            if p["type"] == "response.function_call_arguments.delta" and p["output_index"] == 0
        ],
        "anthropic": lambda: [
            p["delta"]["partial_json"] for p in read
            if p["type"] == "content_block_delta" and p["index"] == 0
        ],
        "gemini": lambda: [
            json.dumps(part["functionCall"]["args"])
            for p in read[:1] for part in p["candidates"][0]["content"]["parts"]
        ],
        "cohere": lambda: [
            p["delta"]["message"]["tool_calls"]["function"]["arguments"] for p in read
            if p["type"].startswith("tool-call") and p["index"] == 0 and "delta" in p
        ],
        "ollama": lambda: [
            json.dumps(call["function"]["arguments"])
            for p in read[:1] for call in p["message"]["tool_calls"]
        ],
    }[answer.__name__]()  # fmt: skip
    assert json.loads("".join(found)) == arguments
    assert b"now" in b"".join(answer(tool_calls=[("weather", arguments), ("now", "{}")]))


def test_the_ends_are_what_each_api_calls_them():
    assert openai_chat("x")[-1] == b"data: [DONE]\n\n"
    assert payloads(openai_chat("x", usage=(1, 2)))[-1]["usage"]["total_tokens"] == 3
    assert payloads(openai_chat(tool_calls=[("f", {})]))[-1]["choices"][0]["finish_reason"] == (
        "tool_calls"
    )
    assert payloads(anthropic("x"))[-2]["delta"]["stop_reason"] == "end_turn"
    assert payloads(anthropic("x"))[-1] == {"type": "message_stop"}
    assert payloads(gemini("x"))[-1]["candidates"][0]["finishReason"] == "STOP"
    assert payloads(cohere("x"))[-1]["delta"]["finish_reason"] == "COMPLETE"
    assert payloads(ollama("x"))[-1]["done_reason"] == "stop"
    done = payloads(responses("x", finish_reason="max_output_tokens"))
    assert done[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [p["sequence_number"] for p in done] == [*range(len(done))]


@pytest.mark.parametrize(
    "path, answer",
    [
        ("/v1/chat/completions", openai_chat),
        ("/openai/deployments/d/chat/completions?api-version=1", openai_chat),
        ("/v1/completions", openai_completions),
        ("/v1/responses", responses),
        ("/v1/messages", anthropic),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", gemini),
        ("/v2/chat", cohere),
        ("/api/chat", ollama),
        ("/api/generate", ollama_generate),
        ("/", openai_chat),
    ],
)
def test_a_path_names_its_answer(path, answer):
    assert for_path(path) is answer


@pytest.mark.parametrize("answer", [openai_completions, ollama_generate])
def test_the_plain_apis_refuse_what_they_have_no_place_for(answer):
    with pytest.raises(ValueError, match="tool_calls=...\\): this API's answers have none"):
        answer(tool_calls=[("f", {})])
    assert b"boom" in answer("x", error="boom")[-1]
    assert b"thought" in b"".join(ollama_generate("x", reasoning="thought"))


def test_lines_of_ollama_are_lines_to_every_reader():
    lines = ollama("a\u2028b")
    assert len(b"".join(lines).decode().splitlines()) == len(lines)
    assert joined(ollama, lines) == "a\u2028b"


def test_the_content_type_goes_by_the_framing():
    assert content_type(ollama("x")) == "application/x-ndjson"
    assert content_type(gemini("x")) == content_type([]) == "text/event-stream"
