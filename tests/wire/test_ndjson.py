"""Lines of JSON are cut out of a body, however it comes."""

from __future__ import annotations

import pytest

from streamsafe.errors import LimitExceededError
from streamsafe.limits import Limits
from streamsafe.wire.ndjson import NDJSONFramer

CASES = {
    "lf": (b'{"a":1}\n{"b":2}\n', ['{"a":1}', '{"b":2}']),
    "crlf": (b'{"a":1}\r\n{"b":2}\r\n', ['{"a":1}', '{"b":2}']),
    "blank lines": (b'\n\n{"a":1}\n  \n\r\n{"b":2}\n', ['{"a":1}', '{"b":2}']),
    "blanks around": (b' {"a":1}\t\n', ['{"a":1}']),
    "a bom": (b'\xef\xbb\xbf{"a":1}\n', ['{"a":1}']),
    "a cr is no line end": (b'{"a":1}\r{"b":2}\n', ['{"a":1}\r{"b":2}']),
    "line separators are text": ('{"a":"\u2028\u0085"}\n'.encode(), ['{"a":"\u2028\x85"}']),
    "unfinished": (b'{"a":1}\n{"b":', ['{"a":1}']),
    "no utf-8": (b'{"a":"\xff"}\n', ['{"a":"\ufffd"}']),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("case", CASES)
def test_lines_come_whole_wherever_the_body_is_cut(case: str) -> None:
    body, expected = CASES[case]
    for cut in range(len(body) + 1):
        framer = NDJSONFramer()
        events = framer.feed(body[:cut]) + framer.feed(body[cut:])
        assert [event.data for event in events] == expected, cut
    framer = NDJSONFramer()
    events = [e for place in range(len(body)) for e in framer.feed(body[place : place + 1])]
    assert [event.data for event in events] == expected


def test_a_last_line_without_its_end_is_in_the_tail() -> None:
    framer = NDJSONFramer()
    framer.feed(b'{"a":1}\n{"b":2}')
    assert framer.tail == '{"b":2}'


def test_blank_lines_are_heartbeats() -> None:
    framer = NDJSONFramer()
    framer.feed(b'\n{"a":1}\n\r\n')
    assert framer.heartbeats == 2


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    limits = Limits(max_event_bytes=10)
    assert len(NDJSONFramer(limits).feed(b'"1234567"\n')) == 1
    for reads in ([b'"12345678"\n'], [b'"1234', b'567890123'], [b'1\n"12345678"\n2\n']):
        framer = NDJSONFramer(limits)
        events = [event for data in reads for event in framer.feed(data)]
        assert isinstance(framer.failure, LimitExceededError)
        assert [event.data for event in events] in ([], ["1"])
        assert framer.feed(b"3\n") == []
