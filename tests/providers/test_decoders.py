"""What holds for all APIs, whatever a server sends and a program asks: a decoder raises nothing,
and has no verdict beside a failure; a request that can not be made is told as such."""

import copy
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsafe.errors import ConfigurationError, MalformedStreamError, StreamingError
from streamsafe.models import Call, Chunk, Completion, ServerSentEvent
from streamsafe.providers import presets

SAMPLES = Path(__file__).parent.parent / "samples"
CALL = Call([{"role": "user", "content": "Hi"}], "m")
#: Presets by how their samples' names begin.
KINDS = {
    "openai_chat": "openai", "openai_completions": "openai_completions", "mistral": "mistral",
    "openai_responses": "openai_responses", "azure": "azure", "openrouter": "openrouter",
    "anthropic": "anthropic", "gemini": "gemini", "cohere": "cohere", "ollama_n": "ollama",
    "ollama_g": "ollama_generate",
}  # fmt: skip
ODD = (None, True, -1, 3, 1e400, "", "x", "\ud83d", [], [[]], ["x"], {}, {"x": {}}, [{}, 1])


def events(kind):
    """The payloads of each sample of a kind, with the events' names."""
    found = []
    for path in sorted(SAMPLES.glob(f"{kind}*")):
        name, stream = "message", []
        for line in path.read_text(encoding="utf-8").splitlines():
            field, _, data = line.partition(":")
            data = line if line.startswith("{") else data
            if field == "event":
                name = data.strip()
            elif line.startswith(("data", "{")):
                try:
                    stream.append((name, json.loads(data)))
                except ValueError:
                    pass
        if path.suffix in (".sse", ".ndjson"):
            found.append(stream)
    return found


def places(value, path=()):
    """The paths of all that is in a value."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def hurt(payload, rng):
    """The payload with something odd in it."""
    payload = copy.deepcopy(payload)
    *path, last = rng.choice([path for path in places(payload) if path] or [("x",)])
    inner = payload
    for key in path:
        inner = inner[key]
    if rng.random() < 0.2 and isinstance(inner, dict):
        inner.pop(last, None)
    else:
        inner[last] = copy.deepcopy(rng.choice(ODD))
    return payload


def sound(decoder, chunks):
    assert all(isinstance(chunk, Chunk) for chunk in chunks)
    assert decoder.failure is None or isinstance(decoder.failure, StreamingError)
    assert not (decoder.finished and decoder.failure)
    json.dumps(decoder.state)
    said = [decoder.id or "", decoder.model or ""]
    for chunk in chunks:
        assert chunk.citation is None or isinstance(chunk.citation, dict)
        said += [chunk.text, chunk.reasoning, chunk.refusal, chunk.finish_reason or ""]
        said += chunk.tool_call[1:] if chunk.tool_call else ()
    assert all(isinstance(one, str) for one in said)
    text = "".join(chunk.text for chunk in chunks)
    message = decoder.message(Completion(text))
    assert message is None or message["role"] == "assistant"


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_server_sends_nothing_is_raised(kind):
    rng, streams = random.Random(kind), events(kind)
    assert streams
    for _ in range(250):
        decoder = presets.provider(KINDS[kind]).decoder(CALL)
        stream, chunks = list(rng.choice(streams)), []
        for _ in range(rng.randrange(1, 4)):
            place = rng.randrange(len(stream))
            name, payload = stream[place]
            stream[place] = name, hurt(payload, rng)
        for name, payload in stream:
            chunks += decoder.feed([ServerSentEvent(name, json.dumps(payload))])
            if decoder.failure is not None or decoder.closed:
                break
        else:
            chunks += decoder.end("data: [DONE]")
        sound(decoder, chunks)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_document_comes_in_a_streams_place_nothing_is_raised(kind):
    rng, streams = random.Random(kind), events(kind)
    documents = [payload for stream in streams for _, payload in stream]
    documents += [payload["response"] for payload in documents if "response" in payload]
    for _ in range(250):
        decoder = presets.provider(KINDS[kind]).decoder(CALL)
        payload = rng.choice([rng.choice(documents), *ODD])
        if isinstance(payload, dict) and payload:
            payload = hurt(payload, rng)
        sound(decoder, decoder.whole(payload))


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=9) | st.booleans(),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(("error", "errors", "message", "code", "type", "status", "details",
                         "detail", "metadata", "violations", "retryDelay", "error_type")),
        inner, max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip


@given(status=st.integers(300, 599), payload=JSON, raw=st.booleans())
def test_whatever_body_an_error_has_it_is_a_typed_one(status, payload, raw):
    for preset in ("openai", "anthropic", "gemini", "cohere"):
        body = str(payload) if raw else json.dumps(payload)
        error = presets.provider(preset).error(status, {}, body)
        assert error.status == status and error.message
        assert isinstance(error.retryable, bool)


def test_a_broken_event_names_what_is_wrong_and_can_be_passed_over():
    payload = json.dumps({"type": ["x"], "delta": {"text": "y"}})
    decoder = presets.provider("openai_responses").decoder(CALL)
    assert decoder.feed([ServerSentEvent("message", payload)]) == []
    assert isinstance(decoder.failure, MalformedStreamError)
    assert isinstance(decoder.failure.__cause__, TypeError)
    decoder = presets.provider("openai_responses").decoder(CALL)
    decoder.skip_malformed = True
    decoder.feed([ServerSentEvent("message", payload)])
    assert decoder.failure is None and len(decoder.malformed) == 1


#: What a program may give, of which much is of no kind that an API takes.
SAID = {
    "messages": [{
        "role": "assistant", "content": [{"type": "text", "text": "Hi"}], "refusal": "No",
        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}],
        "items": [], "parts": [],
    }, {"role": "tool", "tool_call_id": "a", "content": "1"}],
    "parameters": {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "stop": ["x"],
        "tool_choice": {"type": "function", "function": {"name": "f"}}, "options": {}, "text": {},
        "response_format": {"type": "json_schema", "json_schema": {"schema": {}}}, "user": "u",
        "stream_options": {}, "metadata": {}, "generationConfig": {}, "reasoning": {}, "seed": 1,
        "reasoning_effort": "low", "parallel_tool_calls": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("preset", sorted(presets.PRESETS))
def test_whatever_a_program_asks_it_is_a_request_or_a_configuration_error(preset):
    provider, rng = presets.provider(preset), random.Random(3)
    target = presets.target(provider, "key", "http://localhost", environ={})
    for _ in range(300):
        said = hurt(hurt(SAID, rng), rng)
        messages, parameters = said.get("messages"), said.get("parameters")
        if not isinstance(messages, list) or not isinstance(parameters, dict):
            continue
        messages = [message for message in messages if isinstance(message, dict)]
        try:
            provider.request(Call(messages, "m", parameters), target)
        except ConfigurationError:
            pass
