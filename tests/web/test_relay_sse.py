"""Events as they are written are the events that are read."""

import pytest

from streamsafe.wire.sse import SSEFramer
from streamsafe.web import sse

pytest.importorskip("hypothesis")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

#: No half of a surrogate pair, which is no text, and no carriage return, which has no way in.
DATA = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"))
LINE = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n\0"))


@given(st.lists(st.tuples(DATA, LINE, st.none() | LINE, st.none() | st.integers(0, 10**6))))
def test_whatever_is_written_is_read_back(said):
    last_id, expected, body = "", [], b""
    for data, name, id, retry in said:
        seconds = None if retry is None else retry / 1000
        body += sse.comment(name) + sse.event(data, name=name, id=id, retry=seconds)
        last_id = last_id if id is None else id
        expected.append((name or "message", data, last_id, retry))
    framer = SSEFramer()
    assert [tuple(event) for event in framer.feed(body)] == expected
    assert framer.heartbeats == len(said) and framer.tail == ""


@pytest.mark.parametrize("text", ["a\nb", "\n", "\n\n", " a", ": a", "data: a", "", "a\n: b\n"])
def test_what_looks_like_the_format_itself_is_data(text):
    (event,) = SSEFramer().feed(sse.event(text))
    assert event.data == text


def test_what_has_no_way_in_is_refused():
    with pytest.raises(ValueError, match="carriage return"):
        sse.event("a\rb")
    for wrong in ("a\nb", "a\rb", "a\0b"):
        with pytest.raises(ValueError, match="one line"):
            sse.event("a", id=wrong)
        with pytest.raises(ValueError, match="one line"):
            sse.event("a", name=wrong)
