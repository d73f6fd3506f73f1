"""An answer of one API as a message to another: taken, or refused with a way out."""

import pytest

from streamsafe.errors import ConfigurationError
from streamsafe.models import Call
from streamsafe.providers import presets
from streamsafe.providers.base import Target

USER = {"role": "user", "content": "Hi"}
OTHERS = (
    "openai", "openai_responses", "openai_completions", "gemini", "mistral", "cohere", "ollama",
    "deepseek",
)  # fmt: skip


def asked(name, *blocks):
    """The JSON of a request in which an assistant's message is in blocks."""
    call = Call([USER, {"role": "assistant", "content": list(blocks)}, USER], "m")
    return presets.provider(name).request(call, Target("http://x.test", "k")).json


def text(piece, **more):
    return {"type": "text", "text": piece, **more}


@pytest.mark.parametrize("name", ["openai", "deepseek", "mistral", "vllm", "groq"])
def test_blocks_of_text_alone_are_a_text_to_the_chat_family(name):
    # DeepSeek and others take no list of an assistant.
    body = asked(name, text("Owls turn"), text(" their heads."))
    assert body["messages"][1] == {"role": "assistant", "content": "Owls turn their heads."}


def test_blocks_that_say_more_stay_what_they_are():
    said = [text("Owls", cache_control={"type": "ephemeral"}), text(" turn")]
    assert asked("openrouter", *said)["messages"][1]["content"] == said


THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
USE = {"type": "tool_use", "id": "t", "name": "look", "input": {}}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("block", [THOUGHT, USE], ids=["thinking", "tool_use"])
def test_what_is_anthropics_alone_is_refused_with_a_way_out(name, block):
    if (name, block) == ("cohere", THOUGHT):
        pytest.skip("Cohere has blocks of thoughts as well")
    with pytest.raises(ConfigurationError) as raised:
        asked(name, block, text("Owls."))
    said = str(raised.value)
    assert said.startswith("messages[1]: expected ") and f"got '{block['type']}'" in said
    assert "completion.replace(message=None).to_message()" in said


@pytest.mark.parametrize("thought", ["Hm.", [text("Hm.")]])
def test_thoughts_of_the_familys_own_pass(thought):
    part = {"type": "thinking", "thinking": thought}
    assert asked("mistral", part, text("Owls."))["messages"][1]["content"][0] == part


def test_a_tool_result_in_a_block_is_told_its_place():
    with pytest.raises(ConfigurationError, match="messages.1.: expected .*tool_call_id"):
        asked("openai", {"type": "tool_result", "tool_use_id": "t", "content": "4"})
