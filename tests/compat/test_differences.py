"""Where streamsafe differs from the SDKs on purpose: they are asked, so that the page is true."""

from __future__ import annotations

from typing import Any

import pytest

from streamsafe.compat import anthropic as our_anthropic
from streamsafe.compat import openai as our_openai
from streamsafe.testing import FaultServer, anthropic, openai_chat, stream

ASKED: dict[str, Any] = {"model": "a-model", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_an_openai_answer_that_was_cut_looks_whole_there_and_is_an_error_here(
    server: FaultServer, framing: str
) -> None:
    theirs = pytest.importorskip("openai")
    cut = stream(openai_chat("The quick brown fox")[:3], framing=framing)
    server.expect(cut, cut)

    def read(client: Any) -> str:
        with client:
            answer = client.chat.completions.create(stream=True, **ASKED)
            return "".join(chunk.choices[0].delta.content or "" for chunk in answer)

    assert read(theirs.OpenAI(max_retries=0)) == "The quick"
    with pytest.raises(our_openai.APIConnectionError) as caught:
        read(our_openai.OpenAI(max_retries=0))
    assert caught.value.partial.text == "The quick"


@pytest.mark.slow
def test_so_with_anthropics(server: FaultServer) -> None:
    theirs = pytest.importorskip("anthropic")
    cut = stream(anthropic("The quick brown fox")[:4])
    server.expect(cut, cut)

    def read(client: Any) -> str:
        with client, client.messages.stream(max_tokens=5, **ASKED) as events:
            text: str = events.get_final_text()
            return text

    assert read(theirs.Anthropic(max_retries=0)) == "The"
    with pytest.raises(our_anthropic.APIConnectionError):
        read(our_anthropic.Anthropic(max_retries=0))
