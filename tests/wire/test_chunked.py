"""Chunked bodies decode to what http.client makes of them, however the network cuts them."""

from __future__ import annotations

import http.client
import io
import time
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from streamsafe.wire.answer import READ_SIZE, Answer
from streamsafe.wire.chunked import MAX_LINE, ChunkedDecoder

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Network(io.RawIOBase):
    """A socket's file: one piece a read, then the end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        taken = piece[: len(buffer)]
        if len(piece) > len(taken):
            self._pieces.insert(0, piece[len(taken) :])
        buffer[: len(taken)] = taken
        return len(taken)


class Socket:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(Network(self._pieces))


def outcome(kind: Any, pieces: list[bytes]) -> tuple[bytes, str]:
    """The body that was read, and how it ended."""
    response = kind(Socket([HEAD, *pieces]), method="POST")
    response.begin()
    body = b""
    try:
        while True:
            data = response.read1(READ_SIZE)
            assert len(data) <= READ_SIZE
            if not data:
                assert response.isclosed()
                return body, "ended"
            body += data
    except http.client.HTTPException as error:
        return body, type(error).__name__
    finally:
        response.close()


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)])]


chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
sizes = st.sampled_from([b"%x", b"%X", b"0%x", b"%x ", b"%x;name=value", b'%x ; a="b\xff"'])
line_ends = st.sampled_from([b"\r\n", b"\n"])
trailers = st.lists(st.sampled_from([b"X-A: b", b"X-Sum: " + b"f" * 90]), max_size=2)
cuts = st.lists(st.integers(0, 2000), max_size=12)


@st.composite
def bodies(draw: Any) -> bytes:
    parts = []
    for chunk in draw(chunks):
        parts += [draw(sizes) % len(chunk), draw(line_ends), chunk, b"\r\n"]
    parts += [b"0", draw(line_ends)]
    for trailer in draw(trailers):
        parts += [trailer, draw(line_ends)]
    return b"".join([*parts, draw(line_ends)])


@given(body=bodies(), places=cuts)
def test_a_whole_body(body: bytes, places: list[int]) -> None:
    found = outcome(Answer, cut_up(body, places))
    assert found == outcome(http.client.HTTPResponse, [body])
    assert found[1] == "ended"


@given(body=bodies(), places=cuts, end=st.integers(0, 2000))
def test_a_body_that_is_cut_short(body: bytes, places: list[int], end: int) -> None:
    body = body[: end % (len(body) + 1)]
    expected = outcome(http.client.HTTPResponse, [body])
    assert outcome(Answer, cut_up(body, places)) == expected


@settings(max_examples=3 * settings.default.max_examples)
@given(
    body=bodies(), places=cuts, at=st.integers(0, 2000),
    garbage=st.one_of(st.binary(max_size=6), st.sampled_from([b"-5\r\n", b"xyz\r\n", b"\n", b";"])),
)  # fmt: skip
def test_a_body_with_garbage_in_it(
    body: bytes, places: list[int], at: int, garbage: bytes
) -> None:
    at %= len(body) + 1
    body = body[:at] + garbage + body[at:]
    if b"-" in garbage:
        # http.client takes a negative size for an endless chunk.
        outcome(Answer, cut_up(body, places))
        return
    assert outcome(Answer, cut_up(body, places)) == outcome(http.client.HTTPResponse, [body])


@pytest.mark.parametrize(
    "body",
    [
        b"1" * (MAX_LINE + 2) + b"\r\n",
        b"5;" + b"x" * MAX_LINE + b"\r\nhello\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\nX: " + b"x" * MAX_LINE + b"\r\n\r\n",
    ],
)
def test_a_line_too_long(body: bytes) -> None:
    expected = outcome(http.client.HTTPResponse, [body])
    assert expected[1] == "LineTooLong"
    for step in (len(body), 1000):
        pieces = [body[n : n + step] for n in range(0, len(body), step)]
        assert outcome(Answer, pieces) == expected


def test_a_negative_size_is_garbage() -> None:
    assert outcome(Answer, [b"3\r\nabc\r\n-1\r\nabc"]) == (b"abc", "IncompleteRead")


def test_many_chunks_come_in_one_read() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"1\r\na\r\n" * 5 + b"0\r\n\r\n") == b"aaaaa"
    assert decoder.ended


def test_nothing_is_held_back_for_a_chunks_end() -> None:
    decoder = ChunkedDecoder()
    given = [b"5\r\nhel", b"lo", b"\r", b"\n5", b"\r\nworl", b"d\r", b"\n0\r\n\r", b"\n"]
    taken = [decoder.feed(piece) for piece in given]
    assert taken == [b"hel", b"lo", b"", b"", b"worl", b"d", b"", b""]
    assert decoder.ended


def test_a_large_chunk_is_read_in_bounded_pieces() -> None:
    body = b"x" * 1_000_000
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert outcome(Answer, [sent]) == (body, "ended")


@pytest.mark.parametrize("amount", [1, 7, 100, None])
def test_reading_on_in_the_other_way(amount: Any) -> None:
    """urllib3 drains a response by ``read``."""
    response = Answer(Socket([HEAD, b"5\r\nhello\r\n5\r\nworld\r\n", b"1\r\n!\r\n0\r\n\r\n"]))
    response.begin()
    body = response.read1(3)
    while True:
        data = response.read(amount)
        body += data
        if not data:
            break
    assert body == b"helloworld!"
    assert response.isclosed()


def test_the_work_grows_with_the_body_and_not_faster() -> None:
    """One byte a read: the line that waits for its end is short, whatever came before it."""
    data = b"4;abc\r\nabcd\r\n" * 20_000
    decoder = ChunkedDecoder()
    started = time.process_time()
    for at in range(len(data)):
        decoder.feed(data[at : at + 1])
    assert time.process_time() - started < 5  # 0.2 s here; minutes if it were quadratic
