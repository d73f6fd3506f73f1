"""Frozen values: what travels between the rooms.

Here live the nouns of the project and nothing that acts on them. A value imports
nothing of the package but other values, knows no clock, no socket and no thread,
and can be pickled. How a value comes about is told in the room that makes it.
"""

from streamsafe.models.attempt import Attempt
from streamsafe.models.call import Call
from streamsafe.models.chunk import CONTENT_KINDS, Chunk, ToolCallFragment
from streamsafe.models.completion import Choice, Completion, Outcome, Seam, Timings
from streamsafe.models.event import ServerSentEvent
from streamsafe.models.frozen import Frozen
from streamsafe.models.request import Request
from streamsafe.models.toolcall import ToolCall
from streamsafe.models.usage import Usage

__all__ = [
    "CONTENT_KINDS",
    "Attempt",
    "Call",
    "Choice",
    "Chunk",
    "Completion",
    "Frozen",
    "Outcome",
    "Request",
    "Seam",
    "ServerSentEvent",
    "Timings",
    "ToolCall",
    "ToolCallFragment",
    "Usage",
]
