"""A URL tells which preset speaks under it, and where its base ends."""

from __future__ import annotations

import pytest

from streamsafe.doctor.address import address_of
from streamsafe.models import Call
from streamsafe.providers import presets


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://h/v1/chat/completions", ("openai_compatible", "https://h/v1", None)),
        ("https://h/openai/deployments/d/chat/completions?api-version=1",
         ("openai_compatible", "https://h/openai/deployments/d", None)),
        ("https://h/v1/completions", ("openai_completions", "https://h/v1", None)),
        ("https://h/v1/responses", ("openai_responses", "https://h/v1", None)),
        ("https://h/v1/responses/resp_1?stream=true", ("openai_responses", "https://h/v1", None)),
        ("http://h:1/v1/messages/", ("anthropic", "http://h:1", None)),
        ("https://h/v1beta/models/g-1:streamGenerateContent?alt=sse",
         ("gemini", "https://h", "g-1")),
        ("https://h/v1/projects/p/publishers/google/models/g:streamGenerateContent",
         ("vertex", "https://h/v1/projects/p/publishers/google", "g")),
        ("https://h/v2/chat", ("cohere", "https://h", None)),
        ("http://h/api/chat", ("ollama", "http://h", None)),
        ("http://h/api/generate", ("ollama_generate", "http://h", None)),
        ("http://localhost:8000/v1/", (None, "http://localhost:8000/v1", None)),
        ("https://h", (None, "https://h", None)),
    ],
)  # fmt: skip
def test_the_end_of_the_path_tells(url, found):
    assert address_of(url) == found


@pytest.mark.parametrize("name", sorted(presets.PRESETS))
def test_what_a_preset_asks_is_read_back_to_the_same_request(name):
    def asked(preset, base, model):
        provider = presets.provider(preset)
        call = Call(({"role": "user", "content": "Hi"},), model, {})
        return provider.request(call, presets.target(provider, "key", base, environ={}))

    bases = {"azure": "https://h/openai/v1", "vertex": "https://h/v1/publishers/google"}
    request = asked(name, bases.get(name, "https://h/v1"), "m")
    where = address_of(request.url)
    again = asked(where.preset, where.base_url, where.model or "m")
    assert again.url.partition("?")[0] == request.url.partition("?")[0]
    assert set(again.json) <= set(request.json) | {"stream_options", "max_tokens"}
