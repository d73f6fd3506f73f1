"""Body: a response's body before it is known to be a stream, and when it is none.

Here live the bytes as they come, what they really are, the error of a status that refuses, and one
JSON document where a stream was asked for. The loop over a stream's reads is in ``attempt``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Callable

from streamsafe.engine.clocks import Clocks
from streamsafe.errors import (
    IncompleteStreamError,
    LimitExceededError,
    MalformedStreamError,
    StreamCancelledError,
    StreamingError,
)
from streamsafe.lifecycle import Chunks
from streamsafe.limits import Limits
from streamsafe.providers.base import Provider
from streamsafe.wire import sniff
from streamsafe.wire.scope import Scope
from streamsafe.wire.transport import Response

#: What an error message shows of a body that is not what it should be, in characters.
SHOWN = 200


class Body:
    """Used by the reading thread, once. ``notify`` is told of what was read without an event."""

    __slots__ = ("response", "_provider", "_limits", "_scope", "_clocks", "_now", "_notify")

    def __init__(
        self,
        response: Response,
        provider: Provider,
        limits: Limits,
        scope: Scope,
        clocks: Clocks,
        now: Callable[[], float],
        notify: Callable[..., None],
    ) -> None:
        self.response = response
        self._provider = provider
        self._limits = limits
        self._scope = scope
        self._clocks = clocks
        self._now = now
        self._notify = notify

    def kind(self) -> tuple[str, bytes]:
        """What the body really is, "sse", "ndjson", "json" or "document", and its first bytes.

        Raises MalformedStreamError for anything else, IncompleteStreamError for nothing at all.
        """
        head, most = b"", self._limits.max_event_bytes
        content_type = self.response.headers.get("content-type", "")
        for data in self._pieces():
            head += data
            kind = sniff.framing(content_type, head, self._provider.framing)
            if kind is not None:
                break
            if len(head) > most:
                raise LimitExceededError("max_event_bytes", len(head), most, "white space")
        else:
            raise incomplete(head.decode("utf-8", "replace"))
        if kind in ("html", "unknown"):
            self.tell(head)
            raise self._no_stream(head, content_type)
        return kind, head

    def refusal(self) -> StreamingError:
        """The error of a status outside 2xx, with as much of its body as the limit allows."""
        body, wanted = bytearray(), self._limits.max_error_body
        try:
            for data in self._pieces():
                body += data
                if len(body) >= wanted:
                    break
            else:
                self.response.finish()
        except StreamCancelledError:
            raise
        except StreamingError:
            pass  # the status says more than the way its body broke off
        self.tell(bytes(body))
        text = bytes(body[:wanted]).decode("utf-8", "replace")
        return self._provider.error(self.response.status, self.response.headers, text)

    def document(self, head: bytes) -> tuple[bytes, Any]:
        """The whole body, which begins with ``head``, and the JSON document that it is.

        Raises IncompleteStreamError if it is cut or no JSON, LimitExceededError if it is too long.
        """
        body, limit = bytearray(head), self._limits.max_event_bytes
        for data in self._pieces():
            body += data
            if len(body) > limit:
                raise LimitExceededError("max_event_bytes", len(body), limit, "the JSON answer")
        text = bytes(body).decode("utf-8", "replace")
        try:
            return bytes(body), json.loads(text)
        except (ValueError, RecursionError) as error:
            self.tell(bytes(body))
            raise IncompleteStreamError(
                f"a JSON answer came in place of a stream, and it is cut or no JSON: {error}; "
                f"it begins: {text[:SHOWN]!r}"
            ) from error

    def tell(self, data: bytes) -> None:
        """Tell of what was read of a body that is no stream: bytes without an event."""
        if data:
            self._notify(Chunks, data, 0, 0, (), 0.0, 0.0)

    def _pieces(self) -> Iterator[bytes]:
        """The bytes as they come; what is raised is the cause, if there is one."""
        while True:
            data = self._next()
            if not data:
                return
            self._clocks.got(0.0, False)
            yield data

    def _next(self) -> bytes:
        self._clocks.wait(self._now())
        try:
            data = self.response.read()
        except StreamingError as error:
            raise (self._scope.cause or error) from error
        # A cut close-delimited body looks like a clean end, and what was read after the cut
        # is not to be trusted.
        if self._scope.cause is not None:
            raise self._scope.cause
        return data

    def _no_stream(self, head: bytes, content_type: str) -> MalformedStreamError:
        shown = head[: SHOWN * 4].decode("utf-8", "replace")[:SHOWN]
        return MalformedStreamError(
            f"expected an event stream, got {content_type or 'a body without Content-Type'} "
            f"with status {self.response.status}; it begins: {shown!r}",
            retryable=False,
        )


def incomplete(tail: str) -> IncompleteStreamError:
    """The error of a body that ended before the answer did; ``tail``: what was left over."""
    message = "the body ended before the answer did: no finish was seen"
    if tail.strip():
        message += f", and an unfinished event was left: {tail[:SHOWN]!r}"
    return IncompleteStreamError(message)
