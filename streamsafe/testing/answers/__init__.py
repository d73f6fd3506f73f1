"""Ready-made answers: the events by which each API would stream a given text.

Here live the bodies, as lists of ``bytes``, one item an event (or a line) with its end: they can
be cut, reordered and joined like any list, and given to ``stream``::

    events = openai_chat("The quick brown fox")
    server.expect(stream(events[:3], then=rst()), stream(events))

``openai_chat``, ``openai_completions``, ``responses``, ``anthropic``, ``gemini``, ``cohere``,
``ollama`` and ``ollama_generate`` take the same arguments:

``text``            the answer; it is cut into tokens at its words
``model``, ``id``     what the events carry
``finish_reason``   in the API's own words; "" = what fits the answer
``usage``           (input, output) tokens; None = counted, or left out where one must ask for it
``reasoning``       told before the text
``tool_calls``      (name, arguments) pairs, the arguments a dict or the JSON text
``error``           the answer breaks off, after the text, with an error inside the stream: a
                  message, or the API's whole error object

``for_path`` finds the one that belongs to a request, ``for_preset`` that of a preset, and
``prose`` makes a text as long as one likes. Whether these are what the vendors really
send is told by the samples of the project's tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

from streamsafe.providers.presets import PRESETS
from streamsafe.testing.answers.anthropic_events import anthropic
from streamsafe.testing.answers.cohere_events import cohere
from streamsafe.testing.answers.gemini_events import gemini
from streamsafe.testing.answers.ollama_lines import ollama, ollama_generate
from streamsafe.testing.answers.openai_events import openai_chat, openai_completions, responses
from streamsafe.testing.answers.parts import prose, tokens

__all__ = [
    "anthropic",
    "cohere",
    "content_type",
    "for_path",
    "for_preset",
    "gemini",
    "known_path",
    "ollama",
    "ollama_generate",
    "openai_chat",
    "openai_completions",
    "prose",
    "responses",
    "tokens",
]

#: Makes the events of an answer; see the module.
Answer = Callable[..., list[bytes]]

#: Which answer belongs to a path, by what the path ends in (its query left out); the first counts.
BY_PATH: tuple[tuple[str, Answer], ...] = (
    ("/chat/completions", openai_chat),
    ("/completions", openai_completions),
    ("/responses", responses),
    ("/messages", anthropic),
    (":streamGenerateContent", gemini),
    ("/v2/chat", cohere),
    ("/api/chat", ollama),
    ("/api/generate", ollama_generate),
)

#: Which answer belongs to a preset, by the class of its provider.
BY_KIND: dict[str, Answer] = {
    "openai_chat:OpenAIChat": openai_chat,
    "azure:Azure": openai_chat,
    "openai_completions:OpenAICompletions": openai_completions,
    "openai_responses:OpenAIResponses": responses,
    "anthropic:Anthropic": anthropic,
    "gemini:Gemini": gemini,
    "cohere:Cohere": cohere,
    "ollama:Ollama": ollama,
    "ollama:OllamaGenerate": ollama_generate,
}


def for_preset(name: str) -> Answer:
    """The answer's function for a preset of ``streamsafe``. Raises KeyError for another name."""
    return BY_KIND[PRESETS[name].kind]


def known_path(path: str) -> bool:
    """Whether an API is known that answers under this path of a request."""
    bare = path.partition("?")[0].rstrip("/")
    return any(bare.endswith(end) for end, _ in BY_PATH)


def for_path(path: str) -> Answer:
    """The answer's function for the path of a request; ``openai_chat`` where none is known."""
    bare = path.partition("?")[0].rstrip("/")
    return next((answer for end, answer in BY_PATH if bare.endswith(end)), openai_chat)


def content_type(events: Sequence[bytes]) -> str:
    """The content type of such a body: that of lines of JSON or that of an event stream."""
    return "application/x-ndjson" if events and events[0][:1] == b"{" else "text/event-stream"
