"""What a token costs is counted: a rise of more than a tenth over what is written down here fails.

Function calls, Python's and C's, on the reading thread, from the socket to the program; and bytes.
Both are the same on a busy machine. The figures are those of FIGURES; a change that lowers them
lowers them there, too: ``python tests/test_cost.py`` prints the line of the Python that runs it.
"""

from __future__ import annotations

import gc
import json
import socket
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, NamedTuple

import pytest

from streamsafe import StreamSession

#: How far a figure may be above the one written down: versions of urllib3 differ by less.
TOLERANCE = 1.10


class Figures(NamedTuple):
    """Calls for an event of which a read brings one, and sixteen, of two APIs; calls for a request
    and its answer of one token on a connection that is open; bytes that a token leaves behind."""

    chat_alone: float
    chat: float
    anthropic_alone: float
    anthropic: float
    request: float
    kept: float


FIGURES = {
    (3, 9): Figures(44, 15.6, 42.5, 20.3, 1573, 8.5),
    (3, 10): Figures(44, 15.6, 42.5, 20.3, 1471, 8.9),
    (3, 11): Figures(46, 15.8, 44.5, 20.4, 1469, 8.1),
    (3, 12): Figures(46, 15.7, 44.5, 20.4, 1436, 8.1),
    (3, 13): Figures(46, 15.7, 44.5, 20.4, 1431, 8.1),
}

#: What one read of a small event may ask memory for at once. A reader that is blocked holds it.
READ_BYTES = 1024
#: What an open stream may take, in bytes, without its thread and the socket's other end.
STREAM_BYTES = 41 * 1024
#: What a large event may take at most while it is read, as a multiple of its size.
LARGE = 3.3

WARM, TIMES = 20, 40

pytestmark = [
    pytest.mark.skipif("coverage" in sys.modules, reason="coverage calls functions of its own"),
    pytest.mark.skipif(sys.version_info[:2] not in FIGURES, reason="no figures for this Python"),
]


# -- the tests -----------------------------------------------------------------------------------


def test_an_event_that_comes_alone_costs_no_more_calls_than_before() -> None:
    _holds("chat_alone", _calls_an_event("chat", 1))


def test_an_event_among_others_costs_no_more_calls_than_before() -> None:
    _holds("chat", _calls_an_event("chat", 16))


def test_an_event_of_anthropic_that_comes_alone_costs_no_more_calls_than_before() -> None:
    _holds("anthropic_alone", _calls_an_event("anthropic", 1))


def test_an_event_of_anthropic_among_others_costs_no_more_calls_than_before() -> None:
    _holds("anthropic", _calls_an_event("anthropic", 16))


def test_a_short_answer_costs_no_more_calls_than_before() -> None:
    _holds("request", _calls_a_request())


def test_a_token_leaves_no_more_behind_than_its_text() -> None:
    _holds("kept", _kept_a_token())


def test_a_read_asks_for_no_more_memory_than_a_small_event_wants() -> None:
    assert _peak_of_a_read() <= READ_BYTES


def test_an_open_stream_is_small() -> None:
    assert _bytes_a_stream() <= STREAM_BYTES


def test_a_large_event_takes_a_few_times_its_size() -> None:
    assert _peak_of_a_large_event() <= LARGE


def test_a_rise_of_more_than_a_tenth_fails() -> None:
    written = FIGURES[sys.version_info[:2]].chat
    with pytest.raises(AssertionError, match="chat: "):
        _holds("chat", written * TOLERANCE + 0.1)


def _holds(name: str, found: float) -> None:
    written = getattr(FIGURES[sys.version_info[:2]], name)
    assert found <= written * TOLERANCE, f"{name}: {found:.1f}, written down are {written:g}"


# -- what is counted -----------------------------------------------------------------------------


def _calls_an_event(api: str, at_once: int) -> float:
    """Calls of TIMES reads of ``at_once`` events each, divided by the events."""
    counter = Counter()
    with Peer(api) as peer, peer.session() as session:
        stream = iter(session.stream("x"))
        peer.begin(stream)
        for turn in range(WARM + TIMES):
            peer.send(at_once)
            with counter.counting(turn >= WARM):
                for _ in range(at_once):
                    next(stream)
        stream.close()
    return counter.calls / (TIMES * at_once)


def _calls_a_request() -> float:
    counter = Counter()
    with Peer("chat") as peer, peer.session() as session:
        for turn in range(6):
            peer.answer_whole()
            with counter.counting(turn >= 2):
                session.complete("x")
    return counter.calls / 4


def _kept_a_token() -> float:
    """Bytes of memory that a token more takes, in a stream that has thousands."""
    with Peer("chat") as peer, peer.session() as session:
        stream = session.stream("x")
        chunks = iter(stream)
        peer.begin(chunks)
        sizes = []
        with _traced():
            # The gaps between the first 4,096 reads are kept for percentiles; then there is none.
            for tokens in (8192, 8192):
                for _ in range(tokens // 16):
                    peer.send(16)
                    for _ in range(16):
                        next(chunks)
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        stream.close()
    return (sizes[1] - sizes[0]) / 8192


def _peak_of_a_read() -> int:
    with Peer("chat") as peer, peer.session() as session:
        stream = iter(session.stream("x"))
        peer.begin(stream)
        peaks = []
        with _traced():
            for _ in range(WARM):
                peer.send(1)
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                next(stream)
                peaks.append(tracemalloc.get_traced_memory()[1] - before)
        stream.close()
    return peaks[-1]


def _bytes_a_stream() -> float:
    """Of streams that have begun, the first of them excepted, which bring what all share."""
    number, streams, sizes = 8, [], []
    with Peer("chat") as peer, peer.session() as session, _traced():
        for _ in range(2):
            for _ in range(number):
                streams.append(iter(session.stream("x")))
                peer.begin(streams[-1])
                peer.send(1)
                next(streams[-1])
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        for stream in streams:
            stream.close()
    return (sizes[1] - sizes[0]) / number


def _peak_of_a_large_event() -> float:
    size = 4 * 1024 * 1024
    with Peer("chat") as peer, peer.session() as session:
        stream = iter(session.stream("x"))
        peer.begin(stream)
        event = _chunk(_chat({"content": "x" * size}))
        with _traced():
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            sending = peer.sending(event)
            next(stream)
            peak = tracemalloc.get_traced_memory()[1] - before
            sending.join()
        stream.close()
    return peak / size


@contextmanager
def _traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


class Counter:
    """Counts the calls of the thread that it is switched on in."""

    def __init__(self) -> None:
        self.calls = 0

    @contextmanager
    def counting(self, really: bool) -> Iterator[None]:
        """Count, or do all but keep the count: what is done for the first time costs more."""
        calls = 0

        def note(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            if event in ("call", "c_call"):
                calls += 1

        gc.disable()  # or it calls finalizers when it likes
        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)
            gc.enable()
        if really:
            self.calls += calls


# -- the other end -------------------------------------------------------------------------------

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"x-request-id: req_1\r\n\r\n"
)


class Peer:
    """A server that says what the test tells it to, when it does: each read finds just that.

    Connections have a thread, which reads requests and answers with what ``_answers`` holds;
    the test sends the rest on its own thread.
    """

    def __init__(self, api: str) -> None:
        self._api = api
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def session(self) -> StreamSession:
        """A session that asks here."""
        port = self._listener.getsockname()[1]
        if self._api == "anthropic":
            return StreamSession(
                "anthropic", base_url=f"http://127.0.0.1:{port}", api_key="k", model="m"
            )
        return StreamSession(
            "openai_compatible", base_url=f"http://127.0.0.1:{port}/v1", api_key="k", model="m"
        )

    def begin(self, stream: Iterator[Any]) -> None:
        """Have the stream open its connection and read the answer's beginning."""
        self._answers.put(_HEAD + _chunk(_BEGIN[self._api]))
        next(stream)

    def answer_whole(self) -> None:
        """The next request is answered with one token and an end."""
        self._answers.put(
            _HEAD + _chunk(_BEGIN["chat"]) + _chunk(_chat({"content": "Hi"}))
            + _chunk(_chat({}, "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n"
        )  # fmt: skip

    def send(self, events: int) -> None:
        """Events with a token each, in one HTTP chunk, on the connection that came last."""
        self._connections[-1].sendall(_chunk(_TOKEN[self._api] * events))

    def sending(self, data: bytes) -> threading.Thread:
        """Send what is more than a socket takes at once."""
        thread = threading.Thread(target=self._connections[-1].sendall, args=(data,))
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        while True:
            try:
                received += connection.recv(2048) or _gone()
            except OSError:
                return
            head, found, body = received.partition(b"\r\n\r\n")
            if found and len(body) == int(head.lower().partition(b"content-length:")[2].split()[0]):
                connection.sendall(self._answers.get())
                received = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for connection in self._connections:
            connection.close()
        for thread in self._threads:
            thread.join()


def _gone() -> bytes:
    raise ConnectionResetError("the client has gone")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _chat(delta: dict[str, Any], finish: Any = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    payload = {"id": "c-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(payload).encode()


def _named(name: str, **payload: Any) -> bytes:
    data = json.dumps({"type": name, **payload}).encode()
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


_BEGIN = {
    "chat": _chat({"role": "assistant", "content": ""}),
    "anthropic": _named("message_start", message={"id": "m-1", "model": "m", "usage": {}})
    + _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
}
_TOKEN = {
    "chat": _chat({"content": " river"}),
    "anthropic": _named("content_block_delta", index=0, delta={"type": "text_delta", "text": " a"}),
}


def _line() -> str:
    found = Figures(
        _calls_an_event("chat", 1), _calls_an_event("chat", 16),
        _calls_an_event("anthropic", 1), _calls_an_event("anthropic", 16),
        _calls_a_request(), _kept_a_token(),
    )  # fmt: skip
    figures = ", ".join(f"{figure:.1f}" for figure in found)
    return f"    ({sys.version_info[0]}, {sys.version_info[1]}): Figures({figures}),"


if __name__ == "__main__":
    print(_line())
    print(f"    read {_peak_of_a_read()}, stream {_bytes_a_stream():.0f}, "
          f"large {_peak_of_a_large_event():.2f}")
