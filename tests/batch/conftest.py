"""A server that answers each prompt with words of its own, and counts who asked."""

from collections import Counter

import pytest

from streamsafe import StreamSession
from streamsafe.testing import FaultServer, stream
from streamsafe.testing.answers import openai_chat


def prompt_of(request):
    """The last message's text."""
    return request.json["messages"][-1]["content"]


def answer_to(prompt):
    """The text that the server answers a prompt with."""
    return f"The answer to {prompt}, whole."


def answered(request):
    return stream(openai_chat(answer_to(prompt_of(request)), usage=(3, 6)))


class Answers(FaultServer):
    """It answers; ``asked`` counts the prompts that came."""

    @property
    def asked(self):
        return Counter(prompt_of(request) for request in self.requests)


@pytest.fixture
def server():
    with Answers() as running:
        running.handle(answered)
        yield running
        running.assert_nothing_more()


@pytest.fixture
def session(server):
    with StreamSession("openai_compatible", base_url=f"{server.url}/v1", model="m") as made:
        yield made
