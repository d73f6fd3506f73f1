"""The objects of the OpenAI API, by the names that the SDK has for them.

Here lives which fields each is known to have, so that one which was not sent is None. What the
server sends besides is there as well.
"""

from __future__ import annotations

from typing import Any, Optional

from streamsafe.compat.record import Record
from streamsafe.providers.payloads import objects


class PromptTokensDetails(Record):
    """What the prompt's tokens were."""

    audio_tokens: Optional[int]
    cached_tokens: Optional[int]


class CompletionTokensDetails(Record):
    """What the answer's tokens were."""

    accepted_prediction_tokens: Optional[int]
    audio_tokens: Optional[int]
    reasoning_tokens: Optional[int]
    rejected_prediction_tokens: Optional[int]


class CompletionUsage(Record):
    """Tokens of a chat completion or a legacy completion."""

    SHAPES = {
        "completion_tokens_details": CompletionTokensDetails,
        "prompt_tokens_details": PromptTokensDetails,
    }

    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    completion_tokens_details: Optional[CompletionTokensDetails]
    prompt_tokens_details: Optional[PromptTokensDetails]


class Function(Record):
    """What is called, in a tool call; each of them may be missing in a piece of one."""

    arguments: str
    name: str


class ChoiceDeltaToolCall(Record):
    """A piece of a tool call."""

    SHAPES = {"function": Function}

    index: int
    id: Optional[str]
    function: Optional[Function]
    type: Optional[str]


class ChoiceDelta(Record):
    """A piece of the answer."""

    SHAPES = {"tool_calls": ChoiceDeltaToolCall, "function_call": Function}

    content: Optional[str]
    function_call: Optional[Function]
    refusal: Optional[str]
    role: Optional[str]
    tool_calls: Optional[list[ChoiceDeltaToolCall]]


class ChunkChoice(Record):
    """One of n answers, in a chunk."""

    SHAPES = {"delta": ChoiceDelta}

    delta: ChoiceDelta
    finish_reason: Optional[str]
    index: int
    logprobs: Optional[Any]


class ChatCompletionChunk(Record):
    """An event of a streamed chat completion."""

    SHAPES = {"choices": ChunkChoice, "usage": CompletionUsage}

    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    object: str
    service_tier: Optional[str]
    system_fingerprint: Optional[str]
    usage: Optional[CompletionUsage]


class ChatCompletionMessageToolCall(Record):
    """A tool call."""

    SHAPES = {"function": Function}

    id: str
    function: Function
    type: str


class ChatCompletionMessage(Record):
    """The answer; it can be appended to ``messages`` as it is."""

    SHAPES = {"tool_calls": ChatCompletionMessageToolCall, "function_call": Function}

    content: Optional[str]
    refusal: Optional[str]
    role: str
    annotations: Optional[list[Any]]
    audio: Optional[Any]
    function_call: Optional[Function]
    tool_calls: Optional[list[ChatCompletionMessageToolCall]]


class Choice(Record):
    """One of n answers."""

    SHAPES = {"message": ChatCompletionMessage}

    finish_reason: str
    index: int
    logprobs: Optional[Any]
    message: ChatCompletionMessage


class ChatCompletion(Record):
    """A chat completion that was asked for in one piece."""

    SHAPES = {"choices": Choice, "usage": CompletionUsage}

    id: str
    choices: list[Choice]
    created: int
    model: str
    object: str
    service_tier: Optional[str]
    system_fingerprint: Optional[str]
    usage: Optional[CompletionUsage]


class CompletionChoice(Record):
    """One of n answers of the legacy API, or a piece of one."""

    finish_reason: str
    index: int
    logprobs: Optional[Any]
    text: str


class Completion(Record):
    """A legacy completion, or an event of one that is streamed."""

    SHAPES = {"choices": CompletionChoice, "usage": CompletionUsage}

    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    object: str
    system_fingerprint: Optional[str]
    usage: Optional[CompletionUsage]


class ResponseItem(Record):
    """An item of a response's output: a message, a call, reasoning."""

    id: Optional[str]
    content: Any
    status: Optional[str]
    type: str


class Response(Record):
    """A response of the Responses API."""

    SHAPES = {"output": ResponseItem, "metadata": dict}

    id: str
    created_at: float
    error: Optional[Any]
    incomplete_details: Optional[Any]
    instructions: Optional[Any]
    metadata: Optional[Any]
    model: str
    object: str
    output: list[ResponseItem]
    previous_response_id: Optional[str]
    reasoning: Optional[Any]
    status: Optional[str]
    usage: Optional[Any]

    @property
    def output_text(self) -> str:
        """The texts of the output's messages, joined."""
        return "".join(
            part.get("text") or ""
            for item in objects(self.output)
            if item.get("type") == "message"
            for part in objects(item.get("content"))
            if part.get("type") == "output_text"
        )


class ResponseStreamEvent(Record):
    """An event of a streamed response; ``type`` says what else it has."""

    SHAPES = {"response": Response, "item": ResponseItem}

    sequence_number: int
    type: str
