"""Bytes become Server-Sent Events by the letter of the WHATWG standard, however they are cut."""

from __future__ import annotations

import re
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sseclient import SSEClient

from streamsafe.errors import LimitExceededError
from streamsafe.limits import Limits
from streamsafe.models import ServerSentEvent
from streamsafe.wire import sse
from streamsafe.wire.sse import SSEFramer

BOM = b"\xef\xbb\xbf"


def message(data: str, id: str = "", event: str = "message", retry: Optional[int] = None):
    return ServerSentEvent(event, data, id, retry)


def reference(body: bytes) -> list[ServerSentEvent]:
    """Section 9.2.6 of the standard, sentence by sentence, over a whole body."""
    text = body.decode("utf-8", "replace")
    text = text[1:] if text.startswith("\ufeff") else text
    events, data, kind, last_id, retry = [], [], "", "", None
    for line in re.split("\r\n|\n|\r", text)[:-1]:
        if not line:
            if data:
                events.append(message("\n".join(data), last_id, kind or "message", retry))
            data, kind, retry = [], "", None
            continue
        if line.startswith(":"):
            continue
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return events


def read(*reads: bytes, limits: Limits = Limits()) -> list[ServerSentEvent]:
    framer = SSEFramer(limits)
    return [event for data in reads for event in framer.feed(data)]


def singles(body: bytes) -> list[bytes]:
    return [body[place : place + 1] for place in range(len(body))]


# What web-platform-tests (eventsource/format-*) and the standard's own examples have, and what
# servers were seen to send.
CASES = {
    "one": (b"data: x\n\n", [message("x")]),
    "without a space": (b"data:x\n\n", [message("x")]),
    "one space alone is dropped": (b"data:  x \n\n", [message(" x ")]),
    "a tab is no space": (b"data:\tx\n\n", [message("\tx")]),
    "without a colon": (b"data\n\n", [message("")]),
    "two empty lines": (b"data\ndata\n\n", [message("\n")]),
    "empty": (b"data:\n\n", [message("")]),
    "several lines": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [message("YHOO\n+2\n10")]),
    "a colon in the value": (b"data: a:b: c\n\n", [message("a:b: c")]),
    "a name": (b"event: add\ndata: 7\n\n", [message("7", event="add")]),
    "a name behind the data": (b"data: 7\nevent: add\n\n", [message("7", event="add")]),
    "an empty name": (b"event:\ndata: x\n\n", [message("x")]),
    "a name without data": (b"event: add\n\ndata: x\n\n", [message("x")]),
    "names do not leak": (
        b"event: a\ndata: x\n\ndata: y\n\n", [message("x", event="a"), message("y")],
    ),
    "a comment": (b": hello\n\ndata: x\n\n", [message("x")]),
    "a comment inside": (b"data: x\n: hello\ndata: y\n\n", [message("x\ny")]),
    "comments alone": (b":\n\n:\n\n: \n\n", []),
    "cr": (b"data: x\rdata: y\r\rdata: z\r\r", [message("x\ny"), message("z")]),
    "crlf": (b"data: x\r\ndata: y\r\n\r\n", [message("x\ny")]),
    "mixed line ends": (
        b"data: x\n\r\ndata: y\r\n\ndata: z\r\n\r", [message("x"), message("y"), message("z")],
    ),
    "a bom": (BOM + b"data: x\n\n", [message("x")]),
    "two boms": (BOM + BOM + b"data: x\n\ndata: y\n\n", [message("y")]),
    "a bom later": (
        b"data: x\n\n" + BOM + b"data: y\n\ndata: z\n\n", [message("x"), message("z")],
    ),
    "an id": (b"id: 1\ndata: x\n\ndata: y\n\n", [message("x", "1"), message("y", "1")]),
    "an id is taken back": (
        b"id: 1\ndata: x\n\nid\ndata: y\n\n", [message("x", "1"), message("y")],
    ),
    "an id without data counts": (b"id: 1\n\ndata: x\n\n", [message("x", "1")]),
    "an id with nul is none": (
        b"id: 1\ndata: x\n\nid: a\0b\ndata: y\n\n", [message("x", "1"), message("y", "1")],
    ),
    "an id and a comment make no event": (b"id: 1\ndata: x\n\n\n: ping\n\n", [message("x", "1")]),
    "a retry": (b"retry: 3000\ndata: x\n\n", [message("x", retry=3000)]),
    "a bogus retry": (b"retry: 3000x\nretry: -1\nretry: 1.5\nretry:\ndata: x\n\n", [message("x")]),
    "digits of other scripts": ("retry: ١٢\ndata: x\n\n".encode(), [message("x")]),
    "a retry alone": (b"retry: 5\n\ndata: x\n\n", [message("x")]),
    "unknown fields": (b"data: x\nfoo: y\nDATA: z\n data: w\n\n", [message("x")]),
    "unfinished": (b"data: x\n\ndata: y\n", [message("x")]),
    "unfinished line": (b"data: x\n\ndata: y", [message("x")]),
    "nul in the data": (b"data: a\0b\n\n", [message("a\0b")]),
    "no utf-8": (b"data: a\xffb\n\ndata: c\n\n", [message("a\ufffdb"), message("c")]),
    "line separators are text": (
        "data: a\u2028b\u0085c\x0bd\x0ce\n\n".encode(), [message("a\u2028b\x85c\x0bd\x0ce")],
    ),
    "many blank lines": (b"\n\n\ndata: x\n\n\n\n\ndata: y\n\n\n", [message("x"), message("y")]),
    "nothing": (b"", []),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_example_of_the_standard(case: str) -> None:
    body, expected = CASES[case]
    assert reference(body) == expected
    assert read(body) == expected
    assert read(*singles(body)) == expected
    for cut in range(len(body)):
        assert read(body[:cut], body[cut:]) == expected, cut
        assert read(body[:cut], b"", body[cut:]) == expected, cut


PARTS = st.sampled_from(
    [
        b"data: ", b"data:", b"data", b"event: ", b"event", b"id: ", b"id", b"retry: ", b"error: ",
        b":", b" ", b"x", b"12", b"\n", b"\n\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3", b"\xa9",
        "é😀".encode(), BOM, b"{\"a\":1}",
    ]
)  # fmt: skip


@given(parts=st.lists(PARTS, max_size=40), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_any_bytes_mean_what_they_mean_to_the_standard(parts: list[bytes], cuts: list[int]) -> None:
    body = b"".join(parts)
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    reads = [body[start:end] for start, end in zip(edges, edges[1:])]
    assert read(*reads) == read(body) == reference(body)


LINES = st.text(alphabet=st.sampled_from("dataevn: x\u2028é{\"}"), max_size=12)


@given(st.lists(LINES | st.sampled_from(["data: x", "event: add", "data:"]), max_size=3))
def test_what_is_read_directly_is_what_sseclient_reads(lines: list[str]) -> None:
    block = "\n".join(line for line in lines if line)
    direct = sse._direct(block)
    if direct is not None:
        (theirs,) = SSEClient(iter([f"{block}\n\n".encode()])).events()
        assert direct == (theirs.event, theirs.data)


@pytest.mark.parametrize("block", ["data: x", "data:x", "event: add\ndata: 7", "event: \ndata: 7"])
def test_simple_events_are_read_directly(block: str) -> None:
    assert sse._direct(block) is not None


# -- at once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r", b"\r\n\n", b"\n\r"])
def test_an_event_is_there_the_moment_its_blank_line_is(end: bytes) -> None:
    framer = SSEFramer()
    assert framer.feed(b"data: x" + end[:-1]) == []
    assert framer.feed(end[-1:]) == [message("x")]
    # The LF of a line end that was cut begins no new line.
    rest = b"\n" if end.endswith(b"\r") else b""
    assert framer.feed(rest + b"data: y\n\n") == [message("y")]


# -- what is counted and kept ----------------------------------------------------------------------


def test_comments_are_heartbeats_as_soon_as_they_are_whole() -> None:
    framer = SSEFramer()
    framer.feed(b": pi")
    assert framer.heartbeats == 0
    framer.feed(b"ng\n\n:\n")
    assert framer.heartbeats == 2
    framer.feed(b"\n:\r:\r\ndata: x\n: inside\n\n")
    assert framer.heartbeats == 5


def test_an_unfinished_event_is_kept_as_evidence_alone() -> None:
    framer = SSEFramer()
    framer.feed(b"data: x\n\nid: 9\ndata: caf\xc3")
    assert framer.tail == "id: 9\ndata: caf\ufffd"
    assert framer.last_event_id == ""  # it was not dispatched
    framer.feed(b"\xa9\n\n")
    assert (framer.tail, framer.last_event_id) == ("", "9")


def test_a_byte_order_mark_that_never_became_one_is_in_the_tail() -> None:
    framer = SSEFramer()
    framer.feed(b"\xef\xbb")
    assert framer.tail == "\ufffd"


def test_ids_and_retry_outlive_their_blocks() -> None:
    framer = SSEFramer()
    framer.last_event_id = "7"  # of the connection before
    assert framer.feed(b"data: x\n\n") == [message("x", "7")]
    framer.feed(b"retry: 10\n\nid: 8\n\n")
    assert (framer.last_event_id, framer.retry) == ("8", 10)
    framer.feed(b"retry: 20\n")  # counts once its line is whole
    assert framer.retry == 20


def test_a_retry_too_long_for_a_number_is_none() -> None:
    framer = SSEFramer()
    framer.feed(b"retry: " + b"9" * 5000 + b"\ndata: x\n\n")
    assert framer.retry is None


def test_bytes_that_are_no_utf8_are_counted_by_event() -> None:
    framer = SSEFramer()
    events = framer.feed(b"data: a\xff\xfe\n\ndata: b\n\ndata: \xc3\n\n")
    assert [event.data for event in events] == ["a\ufffd\ufffd", "b", "\ufffd"]
    assert framer.replaced == 2


def test_lines_outside_the_four_fields_are_handed_on_and_bounded() -> None:
    framer = SSEFramer()
    framer.feed(b'error: {"message": "no"}\n\ndata: x\nfoo\n\n')
    assert framer.strays == ['error: {"message": "no"}', "foo"]
    framer.strays = []
    framer.feed((b"error: " + b"x" * 1000 + b"\n") * 1000 + b"\n")
    assert sum(map(len, framer.strays)) <= 64 * 1024


# -- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("single", [False, True], ids=["one-read", "single-bytes"])
def test_an_event_may_be_as_long_as_the_limit_and_no_longer(single: bool) -> None:
    limits = Limits(max_event_bytes=20)
    whole = b"data: " + b"x" * 12 + b"\n\n"
    cut = singles if single else lambda body: [body]
    assert read(*cut(whole), limits=limits) == [message("x" * 12)]
    framer = SSEFramer(limits)
    body = b"data: a\n\n" + b"data: " + b"x" * 30 + b"\n\n"
    events = [event for data in cut(body) for event in framer.feed(data)]
    assert events == [message("a")]  # what was whole before it is given out
    failure = framer.failure
    assert isinstance(failure, LimitExceededError)
    assert (failure.limit, failure.setting) == ("max_event_bytes", 20) and failure.value > 20
    assert framer.feed(b"\n\ndata: y\n\n") == []


def test_an_event_that_never_ends_is_stopped_at_the_limit() -> None:
    framer = SSEFramer(Limits(max_event_bytes=1000))
    fed = 0
    while framer.failure is None:
        framer.feed(b"data: " + b"x" * 94)
        fed += 100
    assert fed <= 1100


@pytest.mark.parametrize("single", [False, True], ids=["one-read", "single-bytes"])
def test_an_event_may_have_so_many_lines(single: bool) -> None:
    limits = Limits(max_event_lines=3)
    cut = singles if single else lambda body: [body]
    assert read(*cut(b"data\ndata\ndata\n\n"), limits=limits) == [message("\n\n")]
    framer = SSEFramer(limits)
    for data in cut(b"data\n" * 4 + b"\n"):
        framer.feed(data)
    assert isinstance(framer.failure, LimitExceededError)
    assert framer.failure.limit == "max_event_lines"


def test_heartbeats_count_towards_no_limit() -> None:
    framer = SSEFramer(Limits(max_event_bytes=10, max_event_lines=1))
    for _ in range(100):
        framer.feed(b": a comment that is longer than an event may be\n")
        framer.feed(b"\n")
    assert framer.failure is None and framer.heartbeats == 100
