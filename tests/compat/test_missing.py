"""What is not covered is said, with the SDK to use for it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any, Callable

import pytest

from streamsafe import ConfigurationError
from streamsafe.compat.anthropic import Anthropic
from streamsafe.compat.openai import OpenAI

openai = OpenAI(api_key="sk-local")
anthropic = Anthropic(api_key="sk-local")


@pytest.mark.parametrize(
    "use, named",
    [
        (lambda: openai.embeddings.create(), "client.embeddings"),
        (lambda: openai.chat.completions.parse(), "client.chat.completions.parse"),
        (lambda: openai.chat.completions.stream(), "client.chat.completions.stream"),
        (lambda: openai.responses.retrieve("id"), "client.responses.retrieve"),
        (lambda: openai.responses.create(background=True), "background=True"),
        (lambda: openai.beta.threads, "client.beta"),
        (lambda: OpenAI(api_key="k", webhook_secret="s"), "OpenAI(webhook_secret=...)"),
        (lambda: openai.copy(webhook_secret="s"), "client.with_options(webhook_secret=...)"),
        (lambda: anthropic.messages.batches, "client.messages.batches"),
        (lambda: anthropic.messages.count_tokens(), "client.messages.count_tokens"),
        (lambda: anthropic.beta, "client.beta"),
    ],
)
def test_it_names_what_is_missing_and_the_sdk(use: Callable[[], Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        use()
    assert named in str(caught.value)
    assert "pip install openai" in str(caught.value) or "pip install anthropic" in str(caught.value)
    assert isinstance(caught.value, AttributeError)


def test_a_part_that_is_missing_is_not_there() -> None:
    assert not hasattr(openai, "embeddings")
    assert hasattr(openai, "responses")


@pytest.mark.parametrize(
    "vendor, name",
    [
        ("openai", "AsyncOpenAI"),
        ("openai", "embeddings"),
        ("openai", "chat"),
        ("openai", "completions"),
        ("openai", "responses"),
        ("anthropic", "AsyncAnthropic"),
    ],
)
def test_a_name_that_is_missing_can_not_be_imported(vendor: str, name: str) -> None:
    module = importlib.import_module(f"streamsafe.compat.{vendor}")
    with pytest.raises(ImportError, match=f"has no {name}: .*pip install {vendor}"):
        getattr(module, name)
    with pytest.raises(AttributeError, match=f"pip install {vendor}"):
        module.no_name_that_programs_import


def test_nothing_of_it_is_imported_with_streamsafe() -> None:
    code = "import sys, streamsafe; print([m for m in sys.modules if 'streamsafe.compat' in m])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
