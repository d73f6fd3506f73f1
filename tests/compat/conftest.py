"""A server that answers as OpenAI, Azure and Anthropic do, and user scripts that are run on it."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from streamsafe.testing import FaultServer, anthropic, openai_chat, reply, responses, stream
from streamsafe.testing.answers import tokens
from streamsafe.testing.request import RecordedRequest
from streamsafe.testing.script import Exchange

SCRIPTS = Path(__file__).parent / "scripts"
TEXT = "Once upon a time there was a river."
CALL = ("weather", {"city": "Oslo", "days": [1, 2], "unit": "\u00b0C"})
USAGE = (9, 12)
IDS = {"X-Request-Id": "req-1", "Request-Id": "req-1"}


def completions(text: str, id: str = "cmpl-test") -> list[bytes]:
    """Legacy completions: the events."""
    base = {"id": id, "object": "text_completion", "created": 1, "model": "gpt-test"}
    pieces = [(token, None) for token in tokens(text)] + [("", "stop")]
    bodies: list[dict[str, Any]] = [
        {**base, "choices": [{"index": 0, "text": text, "finish_reason": finish}]}
        for text, finish in pieces
    ]
    bodies[-1]["usage"] = usage("prompt_tokens", "completion_tokens")
    return [b"data: %b\n\n" % json.dumps(body).encode() for body in bodies] + [b"data: [DONE]\n\n"]


def usage(asked: str, written: str) -> dict[str, int]:
    return {asked: USAGE[0], written: USAGE[1], "total_tokens": sum(USAGE)}


def good_answer(request: RecordedRequest) -> Exchange:
    """A good answer to whatever was asked, streamed if that was wanted; or what the model's name
    asks for: ``status-429``, ``error-in-stream``."""
    asked, path = request.json, request.path.partition("?")[0]
    if str(asked["model"]).startswith("status-"):
        return refused(int(asked["model"][7:]), path)
    events, document = _ANSWERS[path.rpartition("/")[2]](asked)
    if not asked.get("stream"):
        return reply(json=document, headers=IDS)
    return stream(events, headers=IDS)


def refused(status: int, path: str) -> Exchange:
    error = {"message": f"No, {status}", "type": "a_type", "code": "a_code", "param": "model"}
    body = {"error": error}
    if path.endswith("/messages"):
        body = {"type": "error", "error": {"type": "a_type", "message": f"No, {status}"}}
    return reply(status, json=body, headers=IDS)


def _chat(asked: dict[str, Any]) -> tuple[list[bytes], dict[str, Any]]:
    wants_call = "tools" in asked and asked["messages"][-1]["role"] == "user"
    included = (asked.get("stream_options") or {}).get("include_usage")
    counts = USAGE if included else None
    message: dict[str, Any] = {"role": "assistant", "content": TEXT, "refusal": None}
    if asked["model"] == "error-in-stream":
        events = openai_chat("Once", error="out of luck")
    elif wants_call:
        events = openai_chat(tool_calls=[CALL], usage=counts)
        function = {"name": CALL[0], "arguments": _json(CALL[1])}
        call = {"id": "call_1", "type": "function", "function": function}
        message.update(content=None, tool_calls=[call])
    else:
        events = openai_chat(TEXT, usage=counts)
    choice = {"index": 0, "message": message, "logprobs": None,
              "finish_reason": "tool_calls" if wants_call else "stop"}  # fmt: skip
    return events, {
        "id": "chatcmpl-test", "object": "chat.completion", "created": 1, "model": "gpt-test",
        "choices": [choice], "usage": usage("prompt_tokens", "completion_tokens"),
    }  # fmt: skip


def _completions(asked: dict[str, Any]) -> tuple[list[bytes], dict[str, Any]]:
    return completions(TEXT), {
        "id": "cmpl-test", "object": "text_completion", "created": 1, "model": "gpt-test",
        "choices": [{"index": 0, "text": TEXT, "finish_reason": "stop", "logprobs": None}],
        "usage": usage("prompt_tokens", "completion_tokens"),
    }  # fmt: skip


def _responses(asked: dict[str, Any]) -> tuple[list[bytes], dict[str, Any]]:
    part = {"type": "output_text", "annotations": [], "text": TEXT}
    item = {"id": "msg_test", "type": "message", "role": "assistant", "status": "completed",
            "content": [part]}  # fmt: skip
    return responses(TEXT, usage=USAGE), {
        "id": "resp_test", "object": "response", "created_at": 1, "model": "gpt-test",
        "error": None, "incomplete_details": None, "status": "completed", "output": [item],
        "usage": usage("input_tokens", "output_tokens"),
    }  # fmt: skip


def _messages(asked: dict[str, Any]) -> tuple[list[bytes], dict[str, Any]]:
    block = {"type": "text", "text": TEXT}
    document = {
        "id": "msg_test", "type": "message", "role": "assistant", "model": "claude-test",
        "content": [block], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": USAGE[0], "output_tokens": USAGE[1]},
    }  # fmt: skip
    if asked["model"] == "error-in-stream":
        return anthropic("Once", error="out of luck"), {}
    if "tools" in asked:
        return anthropic("I look", tool_calls=[CALL], usage=USAGE), {}
    return anthropic(TEXT, usage=USAGE, reasoning="Hm, so" if "thinking" in asked else ""), document


_ANSWERS: dict[str, Callable[[dict[str, Any]], tuple[list[bytes], dict[str, Any]]]] = {
    "completions": lambda asked: (_chat if "messages" in asked else _completions)(asked),
    "responses": _responses,
    "messages": _messages,
}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    """A server, to which the SDKs' own variables lead."""
    with FaultServer() as running:
        running.handle(good_answer)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-local")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{running.url}/v1")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-local")
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", running.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-local")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.url)
        yield running
        running.assert_nothing_more()


@pytest.fixture
def answered() -> Callable[[RecordedRequest], Exchange]:
    """What the server does with a request."""
    return good_answer


@pytest.fixture
def printed(server: FaultServer) -> Callable[..., str]:
    """What a user's script prints, by its name: as it is, or ``ours``: with its import changed,
    and maybe ``options`` put into its clients' arguments."""

    def run(name: str, ours: bool = False, options: str = "") -> str:
        source = (SCRIPTS / f"{name}.py").read_text("utf-8")
        source = re.sub(r"\b(OpenAI|AzureOpenAI|Anthropic)\(", rf"\1({options}", source)
        return printed_by(changed(source) if ours else source)

    return run


def changed(source: str) -> str:
    """The source with the vendor's package taken from here."""
    named = re.compile(r"^from (openai|anthropic) import", re.M)
    whole = re.compile(r"^import (openai|anthropic)$", re.M)
    source = named.sub(r"from streamsafe.compat.\1 import", source)
    return whole.sub(r"from streamsafe.compat import \1", source)


def printed_by(source: str) -> str:
    """What a program prints."""
    out = io.StringIO()
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(out):
        exec(compile(source, "script", "exec"), names)
    for value in names.values():  # the end of a program closes its connections
        if hasattr(value, "close") and not isinstance(value, type):
            value.close()
    return out.getvalue()
