"""Provider: what one HTTP API says, as a protocol that anybody can implement.

Here live the protocol, the target of a request, and the base of decoders. A provider takes
values and gives values: it opens nothing, waits for nothing and keeps no state between
streams; what it must remember within one response lives in the ``Decoder`` it makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Protocol
from urllib.parse import parse_qsl

from streamsafe.errors import APIError, StreamingError, is_credential
from streamsafe.models import Call, Chunk, Completion, Frozen, Request, ServerSentEvent


#: A shorter password or header is not masked: it might be a word of the prompt's.
_LEAST_SECRET = 16


class Target(Frozen):
    """Where a request goes: ``base_url`` as the vendor's SDK has it, key, extra headers."""

    __slots__ = ("base_url", "api_key", "headers")

    base_url: str
    api_key: Optional[str]
    headers: Mapping[str, str]

    def __init__(
        self,
        base_url: str,
        api_key: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._set(base_url=base_url.rstrip("/"), api_key=api_key, headers=dict(headers or {}))

    def __repr__(self) -> str:
        host = self.base_url.rpartition("@")[2]
        return f"Target(base_url={host!r})"  # never the key

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody is to see: the key, and credentials in the headers and the address."""
        found = [self.base_url.rpartition("@")[0].rpartition(":")[2]]
        found += [
            value.rpartition(" ")[2]
            for name, value in self.headers.items()
            if is_credential(name)
        ]
        if "?" in self.base_url:
            query = parse_qsl(self.base_url.partition("?")[2])
            found += [value for name, value in query if is_credential(name)]
        long = [one for one in found if len(one) >= _LEAST_SECRET]
        return tuple(dict.fromkeys([self.api_key, *long] if self.api_key else long))


class Profile(NamedTuple):
    """What can be done to go on with a broken answer of one model.

    ``prefill``: "yes", "no", or "unsure" (only on ``resume="continue"``): does the API go on from
    an assistant message that stands last. ``exact``: the server goes on at the very token, so
    that repeated words are the answer's own. ``echoes``: it repeats the prefix first.
    ``strips``: trailing whitespace of the prefix is refused or dropped. ``cursor``: the server
    keeps the stream and takes it up after an event ("" or the cursor's name). ``user_message``:
    asking to go on in a user message is sensible.
    """

    prefill: str = "no"
    exact: bool = False
    echoes: bool = False
    strips: bool = False
    cursor: str = ""
    user_message: bool = True


class Decoder:
    """Turns the events of one response into chunks. One decoder serves one response.

    ``feed`` takes events, ``end`` is called when the body is over. Both return chunks and
    raise nothing: what is wrong is put on ``failure``, so that chunks from before it are still
    delivered. Then the attempt ends with it. ``finished`` turns True when the API's terminal
    rule is met: the verdict is certain from then on, whatever becomes of the connection.
    ``closed`` turns True when nothing more is wanted from the body. ``id`` and ``model`` are the
    first that were not empty; ``state`` is what must be sent back in a later turn
    (``Completion.provider_state``), plain JSON values.
    """

    def __init__(self) -> None:
        self.failure: Optional[StreamingError] = None
        self.finished: bool = False
        self.closed: bool = False
        self.id: Optional[str] = None
        self.model: Optional[str] = None
        self.state: dict[str, Any] = {}
        #: The API's own finish reason, where that is a failure: the answer ended in "error".
        self.failed_reason: Optional[str] = None
        #: Set by the attempt: a payload that is no JSON is put on ``malformed`` and passed over.
        self.skip_malformed = False
        self.malformed: list[StreamingError] = []
        #: The id of the event to go on behind, for sources that have ids.
        self.last_event_id = ""
        #: Any byte counts as progress, heartbeats too: for sources that may well be quiet.
        self.any_byte_counts = False
        #: The API says itself that the answer goes on in another request: what that one's
        #: ``Call.extra`` must hold. No finish chunk is given then.
        self.continuation: Optional[Mapping[str, Any]] = None

    def feed(self, events: Sequence[ServerSentEvent]) -> list[Chunk]:
        """Chunks of these events, up to a failure. Every payload gives at least one chunk,
        heartbeats and end marks excepted."""
        raise NotImplementedError

    def strays(self, lines: Sequence[str]) -> None:
        """Lines outside the standard's four fields: some servers put errors there."""

    def whole(self, payload: Any) -> list[Chunk]:
        """Chunks of an answer that came as one JSON document: the server did not stream."""
        raise NotImplementedError

    def end(self, tail: str) -> list[Chunk]:
        """The body is over; ``tail`` is what came after the last dispatched event.

        A decoder that is not ``finished`` afterwards and has no ``failure`` is an incomplete
        stream; the attempt says so. The tail is never content; an end mark without its blank
        line or an error object may stand there.
        """
        return []

    def message(self, completion: Completion) -> Optional[Mapping[str, Any]]:
        """The assistant message for the next turn, or None for the OpenAI form."""
        return None


class Provider(Protocol):
    """One API. ``name`` is the preset's name; ``framing`` is "sse", "ndjson" or "json" (an array
    that is streamed element by element)."""

    name: str
    framing: str

    def request(self, call: Call, target: Target) -> Request:
        """The HTTP request for a call. Raises ConfigurationError for what the API cannot take."""

    def decoder(self, call: Call) -> Decoder:
        """A new decoder for the response to this call."""

    def error(self, status: int, headers: Mapping[str, str], body: str) -> APIError:
        """The typed error of an HTTP error response; ``headers`` have lower-case names."""

    def request_id(self, headers: Mapping[str, str]) -> Optional[str]:
        """The id to quote to the vendor's support, from the response's headers (lower case)."""

    def profile(self, model: Optional[str]) -> Profile:
        """How an answer of this model can be gone on with."""

    def continued(self, call: Call, partial: Completion, how: str) -> Call:
        """The call that goes on from ``partial``; ``how``: "prefill", "user_message", "cursor"."""
