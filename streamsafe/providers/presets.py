"""Presets: the services as data: address, key, headers, quirks. No code of theirs is here.

Here lives what a name such as "groq" stands for, and how a name becomes a provider and a target.
The provider classes are named by their path and imported only when used.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Optional, Union, cast

from streamsafe.errors import ConfigurationError
from streamsafe.providers.base import Profile, Provider, Target

#: Where third parties announce their providers: name -> a callable that takes no arguments.
ENTRY_POINTS = "streamsafe.providers"

# A plain dict, read-only by its type: a mapping proxy can not be pickled with a session.
_NO_MAP: Mapping[str, Any] = {}


class Preset(NamedTuple):
    """One service.

    ``kind`` is the path of the provider class, ``module:Class``. ``base_url`` ends where the
    vendor's own SDK ends it. ``keys`` and ``urls`` are the environment variables asked in turn.
    ``auth`` is the header that carries the key, with ``{}`` for it. ``stream_options`` are sent
    where the caller says nothing else; ``renames`` give parameters the API's names, for models
    that match a pattern. ``profiles`` are (pattern of the model, Profile), the first that matches;
    what a prefill needs besides stands in ``prefill_*``, a path among them in place of the
    version's. ``reasoning`` is the name under which it goes back with tool calls and prefills.
    ``tokens``: a key that begins so is no key of the service's but a bearer token.
    """

    name: str
    kind: str = "openai_chat:OpenAIChat"
    base_url: str = ""
    keys: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    needs_key: bool = True
    needs_model: bool = True
    auth: tuple[str, str] = ("Authorization", "Bearer {}")
    headers: Mapping[str, str] = _NO_MAP
    path: str = "/chat/completions"
    request_ids: tuple[str, ...] = ("x-request-id",)
    stream_options: Mapping[str, Any] = _NO_MAP
    renames: tuple[tuple[str, Mapping[str, str]], ...] = ()
    profiles: tuple[tuple[str, Profile], ...] = ()
    prefill_message: Mapping[str, Any] = _NO_MAP
    prefill_body: Mapping[str, Any] = _NO_MAP
    prefill_path: str = ""
    reasoning: str = ""
    tokens: tuple[str, ...] = ()
    framing: str = "sse"

    def profile_of(self, model: Optional[str]) -> Profile:
        """How answers of this model can be gone on with."""
        for pattern, profile in self.profiles:
            if re.search(pattern, model or "", re.I):
                return profile
        return Profile()

    def renamed(self, model: Optional[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters under the API's names."""
        names: dict[str, str] = {}
        for pattern, renames in self.renames:
            if re.search(pattern, model or "", re.I):
                names.update(renames)
        return {names.get(name, name): value for name, value in parameters.items()}


_USAGE = {"include_usage": True}
#: The padding that OpenAI adds to every chunk hides token lengths on the wire; over TLS to the
#: vendor itself it is a third of the bytes.
_OPENAI_OPTIONS = {"include_usage": True, "include_obfuscation": False}
_LOCAL = {"needs_key": False, "needs_model": False}
_UNSURE = (("", Profile("unsure")),)
_EXACT = (("", Profile("yes", exact=True)),)
#: A prompt as text: no message asks to go on behind it.
_TEXT = (("", Profile("yes", exact=True, user_message=False)),)
#: The models that think refuse the old name, and compatible servers the new one.
_LENGTH = ((r"^(?:ft:)?(?:o\d|gpt-[5-9])", {"max_tokens": "max_completion_tokens"}),)
#: The newest models of these makers refuse a prefill, or take it for a finished turn, through
#: whatever router.
_REFUSE = (
    r"claude-(?:[a-z]+-)*(?:4[.-][6-9]|[5-9]|mythos)"
    r"|gemini-(?:3\.[6-9]|3\.5-.*lite|[4-9])"
    r"|gpt-[3-9]|/o\d"
)
_EXACT_FLAGS = {"continue_final_message": True, "add_generation_prompt": False}

_ALL = (
    Preset(
        "openai",
        base_url="https://api.openai.com/v1",
        keys=("OPENAI_API_KEY",),
        urls=("OPENAI_BASE_URL",),
        stream_options=_OPENAI_OPTIONS,
        renames=_LENGTH,
    ),
    Preset(
        "openai_responses",
        "openai_responses:OpenAIResponses",
        "https://api.openai.com/v1",
        keys=("OPENAI_API_KEY",),
        urls=("OPENAI_BASE_URL",),
        path="/responses",
        profiles=(("", Profile("no", cursor="sequence_number")),),
    ),
    Preset(
        "openai_completions",
        "openai_completions:OpenAICompletions",
        "https://api.openai.com/v1",
        keys=("OPENAI_API_KEY",),
        urls=("OPENAI_BASE_URL",),
        path="/completions",
        stream_options=_USAGE,
        profiles=_TEXT,
    ),
    Preset(
        "azure",
        "azure:Azure",
        keys=("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
        urls=("AZURE_OPENAI_ENDPOINT",),
        auth=("api-key", "{}"),
        request_ids=("apim-request-id", "x-request-id", "x-ms-client-request-id"),
        stream_options=_USAGE,
        renames=_LENGTH,
        tokens=("eyJ", "Bearer "),
    ),
    Preset(
        "anthropic",
        "anthropic:Anthropic",
        "https://api.anthropic.com",
        keys=("ANTHROPIC_API_KEY",),
        urls=("ANTHROPIC_BASE_URL",),
        auth=("x-api-key", "{}"),
        path="/v1/messages",
        request_ids=("request-id",),
    ),
    Preset(
        "gemini",
        "gemini:Gemini",
        "https://generativelanguage.googleapis.com",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        auth=("x-goog-api-key", "{}"),
        path="/v1beta",
        request_ids=("x-request-id",),
    ),
    Preset(
        "vertex",
        "gemini:Gemini",
        "",
        keys=("VERTEX_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        urls=("VERTEX_BASE_URL",),
        path="",
    ),
    Preset(
        "mistral",
        base_url="https://api.mistral.ai/v1",
        keys=("MISTRAL_API_KEY",),
        request_ids=("x-kong-request-id", "mistral-correlation-id", "x-request-id"),
        renames=(("", {"seed": "random_seed", "max_completion_tokens": "max_tokens"}),),
        profiles=(("", Profile("yes", echoes=True)),),
        prefill_message={"prefix": True},
    ),
    Preset(
        "cohere",
        "cohere:Cohere",
        "https://api.cohere.com",
        keys=("CO_API_KEY", "COHERE_API_KEY"),
        path="/v2/chat",
        request_ids=("x-debug-trace-id",),
    ),
    Preset(
        "ollama",
        "ollama:Ollama",
        "http://localhost:11434",
        keys=("OLLAMA_API_KEY",),
        urls=("OLLAMA_HOST",),
        needs_key=False,
        path="/api/chat",
        framing="ndjson",
        profiles=_UNSURE,
    ),
    Preset(
        "ollama_generate",
        "ollama:OllamaGenerate",
        "http://localhost:11434",
        keys=("OLLAMA_API_KEY",),
        urls=("OLLAMA_HOST",),
        needs_key=False,
        path="/api/generate",
        framing="ndjson",
        profiles=_TEXT,
    ),
    Preset(
        "ollama_openai",
        base_url="http://localhost:11434/v1",
        keys=("OLLAMA_API_KEY",),
        needs_key=False,
        stream_options=_USAGE,
        profiles=_UNSURE,
    ),
    Preset(
        "deepseek",
        base_url="https://api.deepseek.com",
        keys=("DEEPSEEK_API_KEY",),
        profiles=_EXACT,
        prefill_message={"prefix": True},
        prefill_path="/beta",
        reasoning="reasoning_content",
    ),
    Preset(
        "openrouter",
        base_url="https://openrouter.ai/api/v1",
        keys=("OPENROUTER_API_KEY",),
        request_ids=("x-generation-id", "x-request-id"),
        profiles=((_REFUSE, Profile("no")), *_UNSURE),
    ),
    Preset(
        "groq",
        base_url="https://api.groq.com/openai/v1",
        keys=("GROQ_API_KEY",),
        profiles=_UNSURE,
    ),
    Preset(
        "together",
        base_url="https://api.together.ai/v1",
        keys=("TOGETHER_API_KEY",),
    ),
    Preset(
        "vllm",
        base_url="http://localhost:8000/v1",
        keys=("VLLM_API_KEY",),
        **_LOCAL,  # type: ignore[arg-type]
        stream_options=_USAGE,
        profiles=_EXACT,
        prefill_body=_EXACT_FLAGS,
    ),
    Preset(
        "llamacpp",
        base_url="http://localhost:8080/v1",
        keys=("LLAMA_API_KEY",),
        **_LOCAL,  # type: ignore[arg-type]
        stream_options=_USAGE,
        profiles=_EXACT,
    ),
    Preset(
        "lmstudio",
        base_url="http://localhost:1234/v1",
        keys=("LMSTUDIO_API_KEY",),
        **_LOCAL,  # type: ignore[arg-type]
        stream_options=_USAGE,
        profiles=_UNSURE,
    ),
    Preset(
        "tgi",
        base_url="http://localhost:3000/v1",
        keys=("HF_TOKEN", "TGI_API_KEY"),
        **_LOCAL,  # type: ignore[arg-type]
        stream_options=_USAGE,
        profiles=(("", Profile("yes", strips=True)),),
    ),
    Preset(
        "openai_compatible",
        keys=("OPENAI_COMPATIBLE_API_KEY",),
        urls=("OPENAI_COMPATIBLE_BASE_URL",),
        **_LOCAL,  # type: ignore[arg-type]
        stream_options=_USAGE,
        profiles=_UNSURE,
    ),
)

#: All presets by name.
PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _ALL})

#: What a service without an address of its own may be told, as an example.
_EXAMPLES = {
    "azure": "https://NAME.openai.azure.com or https://NAME.openai.azure.com/openai/v1",
    "vertex": "https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/"
    "LOCATION/publishers/google",
    "openai_compatible": "http://localhost:8000/v1",
}


def provider(which: Union[str, Provider]) -> Provider:
    """The provider of a preset's name, or the one that was given."""
    if not isinstance(which, str):
        if isinstance(which, type) or not callable(getattr(which, "decoder", None)):
            raise ConfigurationError(
                f"provider={which!r}: expected a preset's name or an instance of a Provider "
                "(streamsafe.providers.base.Provider)"
            )
        return which
    preset = PRESETS.get(which)
    if preset is None:
        return _foreign(which)
    module, _, name = preset.kind.partition(":")
    kind = getattr(importlib.import_module(f"streamsafe.providers.{module}"), name)
    return cast(Provider, kind(preset))


def _foreign(name: str) -> Provider:
    """A provider that another distribution announces."""
    from importlib.metadata import entry_points

    found: Any = entry_points()
    if hasattr(found, "select"):
        group = found.select(group=ENTRY_POINTS)
    else:  # Python 3.9
        group = found.get(ENTRY_POINTS, ())
    names = []
    for point in group:
        if point.name == name:
            return provider(point.load()())
        names.append(point.name)
    near = difflib.get_close_matches(name, [*PRESETS, *names], 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    known = ", ".join([*PRESETS, *names])
    raise ConfigurationError(f"provider={name!r} is not known{meant}; known: {known}")


def target(
    provider: Provider,
    api_key: Optional[str] = None,
    base_url: Optional[str] = None,
    headers: Optional[Mapping[str, str]] = None,
    *,
    keyless: bool = False,
    environ: Optional[Mapping[str, str]] = None,
) -> Target:
    """Address, key and headers, of the arguments or the environment.

    ``keyless``: the program's own ``requests.Session`` may bring the credentials. Raises
    ConfigurationError that names the argument and the variable which are missing.
    """
    preset = getattr(provider, "preset", None)
    if not isinstance(preset, Preset):
        return Target(base_url or "", api_key, headers)
    variables = os.environ if environ is None else environ
    key = api_key or next((variables[name] for name in preset.keys if variables.get(name)), None)
    if key is None and preset.needs_key and not keyless:
        raise ConfigurationError(
            f"{preset.name} wants a key: pass api_key=... or set {' or '.join(preset.keys)}"
        )
    url = base_url or next((variables[name] for name in preset.urls if variables.get(name)), "")
    url = _whole(url or preset.base_url, preset.base_url)
    if not url:
        raise ConfigurationError(
            f"{preset.name} wants base_url=..., such as {_EXAMPLES.get(preset.name, 'https://...')}"
            + (f" (or set {preset.urls[0]})" if preset.urls else "")
        )
    return Target(url, key, {**_auth(preset, key, variables), **(headers or {})})


def _whole(url: str, usual: str) -> str:
    """OLLAMA_HOST and the like often come without a scheme, and then the port is the usual one.

    A service of the open net is not guessed at: the key would go there in the clear."""
    if not url or "://" in url:
        return url
    if not usual.startswith("http://"):
        raise ConfigurationError(f"base_url={url!r}: expected https://... or http://...")
    host, slash, path = url.partition("/")
    port = re.search(r":\d+$", usual)
    if port and not re.search(r":\d+$", host):
        host += port[0]
    return f"http://{'127.0.0.1' if host.startswith(':') else ''}{host}{slash}{path}"


def _auth(preset: Preset, key: Optional[str], variables: Mapping[str, str]) -> dict[str, str]:
    headers = dict(preset.headers)
    if key is None:
        return headers
    if not key.isascii() or not key.isprintable() or key != key.strip():
        raise ConfigurationError(
            f"the key for {preset.name} has blanks, line breaks or other characters that no header "
            "can carry; it is not shown here"
        )
    name, form = preset.auth
    if preset.tokens and key.startswith(preset.tokens):
        name, form = "Authorization", "Bearer {}"
        key = key.removeprefix("Bearer ")
    headers[name] = form.format(key)
    return headers
