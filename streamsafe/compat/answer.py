"""Answer: a stream of streamsafe's, given out in the shape of a vendor's SDK.

Here lives what is the same for all vendors: an iterator and context manager that is open when the
program gets it, and the vendor's errors. How chunks become the vendor's events again is told by a
``Weave``, one for each API.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, Generic, Optional, Protocol, TypeVar

from streamsafe.compat.exchange import Exchange, Response
from streamsafe.errors import ConnectionDroppedError, StreamingError
from streamsafe.models import Attempt, Chunk
from streamsafe.stream import Stream

T = TypeVar("T")
Payload = Mapping[str, Any]


class Weave(Protocol):
    """Makes one unbroken answer, in the API's own events, of the chunks of several attempts."""

    #: True once the vendor's answer is over though streamsafe would go on with it (a pause).
    over: bool

    @property
    def shape(self) -> Callable[[Payload], Any]:
        """The SDK's class of the events. What a server calls them is not gone by: some gateways
        leave that empty."""

    def __call__(self, chunk: Chunk) -> Iterable[Payload]:
        """The events that this chunk brings, if any."""

    def again(self, attempt: Attempt) -> None:
        """An attempt failed; the chunks of the next one follow."""


#: Makes the vendor's error of one of streamsafe's.
Translated = Callable[[StreamingError, Exchange], StreamingError]


class Answer(Generic[T]):
    """An iterator of the SDK's events, and a context manager. One thread reads at a time.

    The request has been made when the program gets it: what the server refuses was raised by
    then. Leaving a loop keeps the connection, as in the SDKs, so that another loop can go on;
    ``close``, the end of ``with`` and garbage collection let it go.
    """

    def __init__(
        self, stream: Stream, weave: Weave, translated: Translated, exchange: Exchange
    ) -> None:
        #: The stream underneath: ``completion``, ``attempts``, ``cancel`` from any thread.
        self.stream = stream
        self._exchange = exchange
        self._items: Iterator[T] = _items(stream, weave, translated, exchange)
        self._first: list[T] = []
        self._error: Optional[StreamingError] = None
        self._open()

    def _open(self) -> None:
        """Read up to the first event; what failed behind a good status is for the loop."""
        try:
            self._first.extend(item for item in (next(self._items, None),) if item is not None)
        except StreamingError as error:
            response = self._exchange.response
            if response is None or response.status_code >= 300:
                raise
            self._error = error

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self.__next__()
            except StopIteration:
                return
            yield item

    def __next__(self) -> T:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._first.pop() if self._first else next(self._items)

    def __enter__(self: A) -> A:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the answer and close its connection; harmless when it has ended."""
        self._first.clear()
        self.stream.close()

    @property
    def response(self) -> Optional[Response]:
        """Status and headers of the last response."""
        return self._exchange.response


A = TypeVar("A", bound=Answer[Any])


# A function, so that the generator does not hold the answer: one that is dropped is closed at once.
def _items(
    stream: Stream, weave: Weave, translated: Translated, exchange: Exchange
) -> Iterator[Any]:
    shape = weave.shape
    try:
        for chunk in stream:
            if chunk.kind == "restart":
                raise _void(stream)
            for payload in weave(chunk):
                yield shape(payload)
            if weave.over:
                return
    except StreamingError as error:
        raise translated(error, exchange) from error


def _void(stream: Stream) -> ConnectionDroppedError:
    """The answer broke off, and the model's second one is another: no SDK has a word for that."""
    error = ConnectionDroppedError(
        "the answer broke off; asked for again it began differently, so that what was given out "
        "would be no part of it",
        retryable=False,
    )
    error.attempts = stream.attempts
    # What was given out stands on the error of the attempt that broke off.
    error.partial = getattr(stream.attempts[-1].error, "partial", error.partial)
    error.stream_id = stream.stream_id
    return error
