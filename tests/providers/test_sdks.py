"""The vendors' own SDKs and streamsafe read the same bytes from the same local server, and must get
the same text, tool calls, finish and usage."""

import gc
import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streamsafe import StreamSession
from streamsafe.testing import FaultServer, stream

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # theirs
]

SAMPLES = Path(__file__).parent.parent / "samples"
HI = [{"role": "user", "content": "Hi"}]


class Got(NamedTuple):
    """What one reader made of an answer."""

    text: str
    calls: Any = ()
    finish: Any = None
    usage: Any = None


def module(name):
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed")
    return pytest.importorskip(name)


def openai_chat(url):
    openai = module("openai")
    with openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0) as client:
        text, calls, finish, usage = "", {}, None, None
        answer = client.chat.completions.create(model="m", messages=HI, stream=True)
        for chunk in answer:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                delta = choice.delta
                text += (delta and delta.content) or ""
                for call in (delta and delta.tool_calls) or ():
                    name, arguments = calls.get(call.index, ("", ""))
                    function = call.function
                    calls[call.index] = (
                        name + (function.name or ""), arguments + (function.arguments or "")
                    )  # fmt: skip
    figures = usage and (usage.prompt_tokens, usage.completion_tokens)
    return Got(text, [calls[index] for index in sorted(calls)], finish, figures)


def openai_completions(url):
    openai = module("openai")
    with openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0) as client:
        answer = client.completions.create(model="m", prompt="Hi", stream=True)
        choices = [choice for chunk in answer for choice in chunk.choices]
    finish = [choice.finish_reason for choice in choices if choice.finish_reason]
    return Got("".join(choice.text for choice in choices), [], finish[-1])


def openai_responses(url):
    openai = module("openai")
    with openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0) as client:
        text, last = "", None
        for event in client.responses.create(model="m", input="Hi", stream=True):
            text += event.delta if event.type == "response.output_text.delta" else ""
            last = getattr(event, "response", last)
    calls = [(i.name, i.arguments) for i in last.output if i.type == "function_call"]
    finish = last.status
    if last.incomplete_details:
        finish += f":{last.incomplete_details.reason}"
    return Got(text, calls, finish, (last.usage.input_tokens, last.usage.output_tokens))


def anthropic(url):
    sdk = module("anthropic")
    with sdk.Anthropic(api_key="k", base_url=url, max_retries=0) as client:
        with client.messages.stream(model="m", max_tokens=9, messages=HI) as answer:
            message = answer.get_final_message()
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [(b.name, json.dumps(b.input)) for b in message.content if b.type == "tool_use"]
    return Got(text, calls, message.stop_reason, (None, message.usage.output_tokens))


def gemini(url):
    genai = module("google.genai")
    options = genai.types.HttpOptions(base_url=url)
    client = genai.Client(api_key="k", http_options=options)
    text, finish, usage = "", None, None
    for chunk in client.models.generate_content_stream(model="m", contents="Hi"):
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or ():
            finish = candidate.finish_reason or finish
            for part in (candidate.content and candidate.content.parts) or ():
                text += part.text if part.text and not part.thought else ""
    client.close()
    return Got(text, [], finish and finish.value, (usage.prompt_token_count, None))


def mistral(url):
    sdk = module("mistralai.client")
    with sdk.Mistral(api_key="k", server_url=url) as client:
        text, calls, finish, usage = "", [], None, None
        for event in client.chat.stream(model="m", messages=HI):
            usage = event.data.usage or usage
            for choice in event.data.choices:
                finish = choice.finish_reason or finish
                content = choice.delta.content
                text += content if isinstance(content, str) else ""
                for call in choice.delta.tool_calls or ():
                    calls.append((call.function.name, call.function.arguments))
    return Got(text, calls, finish, (usage.prompt_tokens, usage.completion_tokens))


def cohere(url):
    sdk = module("cohere")
    httpx = module("httpx")
    with httpx.Client() as http:
        client = sdk.ClientV2(api_key="k", base_url=url, httpx_client=http)
        text, finish = "", None
        for event in client.chat_stream(model="m", messages=HI):
            if event.type == "content-delta":
                text += event.delta.message.content.text or ""
            elif event.type == "message-end":
                finish, usage = event.delta.finish_reason, event.delta.usage
    return Got(text, [], finish, (usage.tokens.input_tokens, usage.tokens.output_tokens))


def ollama(url):
    sdk = module("ollama")
    client = sdk.Client(host=url)
    lines = list(client.chat(model="m", messages=HI, stream=True))
    client._client.close()
    text = "".join(line.message.content or "" for line in lines)
    calls = [
        (call.function.name, json.dumps(dict(call.function.arguments)))
        for line in lines
        for call in line.message.tool_calls or ()
    ]
    last = lines[-1]
    return Got(text, calls, last.done_reason, (last.prompt_eval_count, last.eval_count))


def ollama_generate(url):
    sdk = module("ollama")
    client = sdk.Client(host=url)
    lines = list(client.generate(model="m", prompt="Hi", stream=True))
    client._client.close()
    last = lines[-1]
    usage = last.prompt_eval_count, last.eval_count
    return Got("".join(line.response or "" for line in lines), [], last.done_reason, usage)


#: By how the samples' names begin: their reader, our preset, and where its base_url ends.
READERS = {
    "openai_chat": (openai_chat, "openai", "/v1"),
    "openai_completions": (openai_completions, "openai_completions", "/v1"),
    "openai_responses": (openai_responses, "openai_responses", "/v1"),
    "anthropic": (anthropic, "anthropic", ""),
    "gemini": (gemini, "gemini", ""),
    "mistral": (mistral, "mistral", "/v1"),
    "cohere": (cohere, "cohere", ""),
    "ollama_native": (ollama, "ollama", ""),
    "ollama_generate": (ollama_generate, "ollama_generate", ""),
    "ollama_openai": (openai_chat, "ollama_openai", "/v1"),
    "deepseek": (openai_chat, "deepseek", "/v1"),
    "groq": (openai_chat, "groq", "/v1"),
    "llamacpp": (openai_chat, "llamacpp", "/v1"),
    "openrouter": (openai_chat, "openrouter", "/v1"),
    "tgi": (openai_chat, "tgi", "/v1"),
    "vllm": (openai_chat, "vllm", "/v1"),
}

#: Where they differ, and why: the SDK's own doing, or nothing that can be compared.
APART = {
    "gemini_no_alt_sse",  # the SDK always asks for events
    "gemini_continuation",  # both ask on
    "gemini_prompt_blocked",  # no candidates to compare
    "openai_chat_function_call_legacy",  # the reader above knows none
    "openai_chat_done_without_blank_line",  # the SDK drops the event before it, too
    "openai_responses_background_part2",  # the rest of another sample
}


def samples():
    for path in sorted(SAMPLES.glob("*.expected.json")):
        name = path.name[: -len(".expected.json")]
        expected = json.loads(path.read_text("utf-8"))
        kind = next((kind for kind in READERS if name.startswith(kind)), None)
        if kind and expected["complete"] and name not in APART:
            yield pytest.param(kind, expected, id=name)


def ours(url, kind):
    _, preset, end = READERS[kind]
    with StreamSession(preset, api_key="k", base_url=url + end, model="m") as session:
        answer = session.complete("Hi")
    usage = answer.usage
    return Got(
        answer.text,
        [(call.name, call.arguments) for call in answer.tool_calls],
        answer.raw_finish_reason,
        None if usage is None or usage.estimated else (usage.input_tokens, usage.output_tokens),
    )


@pytest.mark.parametrize(("kind", "expected"), [*samples()])
def test_both_get_the_same(kind, expected):
    body = (SAMPLES / expected["file"]).read_bytes()
    lines = expected["file"].endswith(".ndjson")
    content_type = "application/x-ndjson" if lines else "text/event-stream"
    pieces = [body[at : at + 37] for at in range(0, len(body), 37)]
    with FaultServer() as server:
        server.always(stream(*pieces, content_type=content_type))
        theirs, mine = READERS[kind][0](server.url), ours(server.url, kind)
        gc.collect()  # some SDKs keep their connections in cycles
    assert mine.text == theirs.text
    assert [name for name, _ in mine.calls] == [name for name, _ in theirs.calls]
    for (_, one), (_, other) in zip(mine.calls, theirs.calls):
        assert json.loads(one or "{}") == json.loads(other or "{}")
    assert mine.finish == theirs.finish
    for one, other in zip(mine.usage or (), theirs.usage or ()):
        assert other is None or one == other
