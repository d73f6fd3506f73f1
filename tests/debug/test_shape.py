"""The shape of a body, from its first and last bytes alone."""

import pytest

from streamsafe.debug.shape import Shape, shape

EVENT = b'data: {"choices": [{"delta": {}}]}\n\n'


def of(body):
    return shape(body, body)


def test_an_empty_body_has_none():
    assert of(b"") == Shape()


@pytest.mark.parametrize(
    "body, kind",
    [
        (EVENT, "sse"), (b": hi\n\n", "sse"), (b"\n\nevent: x\n", "sse"),
        (b"\xef\xbb\xbf" + EVENT, "sse"), (b'{"a": 1}', "json"), (b" [1]", "json"),
        (b"<html>", "other"), (b"hello", "other"),
    ],
)  # fmt: skip
def test_a_kind(body, kind):
    assert of(body).kind == kind


def test_a_byte_order_mark_is_seen():
    assert of(b"\xef\xbb\xbf" + EVENT).bom and not of(EVENT).bom


@pytest.mark.parametrize("end, alone", [(b"\r", True), (b"\r\n", False), (b"\n", False)])
def test_carriage_returns_alone_are_seen(end, alone):
    assert of(EVENT.replace(b"\n", end)).cr_only is alone


def test_data_lines_without_blank_lines_are_counted_only_where_none_is_blank():
    line = EVENT[:-1]
    assert of(line * 3).unseparated == 3
    assert of(line * 3 + b"\n" + EVENT).unseparated == 0
    # One event of several lines is none of these.
    assert of(b"data: {\ndata: 1}\n").unseparated == 0


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_what_is_behind_the_last_blank_line_is_unfinished(end):
    body = EVENT.replace(b"\n", end)
    assert of(body).unfinished == 0
    assert of(body + b"data: hal").unfinished == 9


@pytest.mark.parametrize(
    "tail, missing",
    [("ü", 0), ("€", 0), ("😀", 0), ("a", 0)],
)
def test_a_whole_character_lacks_nothing(tail, missing):
    assert of(b"data: " + tail.encode()).missing == missing


@pytest.mark.parametrize("char", ["ü", "€", "😀"])
def test_a_cut_character_lacks_what_was_cut(char):
    whole = char.encode()
    for kept in range(1, len(whole)):
        assert of(b"data: " + whole[:kept]).missing == len(whole) - kept


def test_an_end_mark_is_seen_and_where_it_is_wanted():
    assert of(EVENT + b"data: [DONE]\n\n").done and of(EVENT).wants_done
    assert not of(b'data: {"type": "ping"}\n\n').wants_done


def test_bytes_that_are_no_utf8_are_told_by_the_first_and_its_place():
    assert of(EVENT * 3).not_utf8 is None
    assert shape(b"data: Fl\xfcsse\n\n" + EVENT, EVENT).not_utf8 == "0xfc, at the body's beginning"
    assert shape(EVENT, b"data: Fl\xfcsse\n\n" + EVENT).not_utf8 == "0xfc, at the body's end"


@pytest.mark.parametrize("char", ["ü", "€", "😀"])
def test_a_character_that_the_window_cuts_is_utf8(char):
    whole = char.encode()
    for at in range(len(whole)):
        assert shape(EVENT + whole[:at], whole[at:] + EVENT).not_utf8 is None


def events(*words):
    return b"".join(b"data: %s\n\n" % word.encode() for word in words)


@pytest.mark.parametrize(
    "words, pairs",
    [("aabbcc", 3), ("aabbccd", 3), ("abbccd", 0), ("aabcc", 0), ("aaaaaa", 0), ("", 0), ("a", 0)],
)
def test_events_are_doubled_where_each_has_its_like_behind_it(words, pairs):
    assert of(events(*words)).doubled == pairs
