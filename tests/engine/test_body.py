"""What came where a stream was asked for: read as it comes, named, and told of."""

import json

import pytest

from streamsafe.engine.body import Body, incomplete
from streamsafe.engine.clocks import Clocks
from streamsafe.engine.timing import Timeouts
from streamsafe.errors import (
    APIError,
    ConnectionDroppedError,
    IncompleteStreamError,
    LimitExceededError,
    MalformedStreamError,
    StreamCancelledError,
)
from streamsafe.lifecycle import Chunks
from streamsafe.limits import Limits
from streamsafe.providers.presets import provider as preset
from streamsafe.wire.scope import Scope

LIMITS = Limits(max_event_bytes=40, max_error_body=10)


class Said:
    """A response with these pieces; an exception among them is raised."""

    def __init__(self, *pieces, status=200, content_type="text/event-stream"):
        self.status = status
        self.headers = {"content-type": content_type} if content_type else {}
        self.finished = False
        self._pieces = list(pieces)

    def read(self):
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def finish(self):
        self.finished = True


@pytest.fixture
def made():
    """A body of a response; what it tells is in its list ``told``."""

    def made(response, framing="sse", scope=None):
        told = []
        provider = preset("ollama" if framing == "ndjson" else "openai")
        clocks = Clocks(Timeouts(), 0.0, None)
        body = Body(
            response, provider, LIMITS, scope or Scope(), clocks, lambda: 0.0,
            lambda kind, *facts: told.append((kind, *facts)),
        )  # fmt: skip
        return body, told

    return made


def test_what_it_is_is_known_as_soon_as_its_first_bytes_tell(made):
    response = Said(b"\n", b"da", b"ta: {}\n\n", b"more", content_type="text/plain")
    body, told = made(response)
    assert body.kind() == ("sse", b"\ndata: {}\n\n")
    assert response.read() == b"more" and told == []


def test_lines_of_json_are_a_stream_where_the_provider_has_them(made):
    line = b'{"a": 1}\n'
    assert made(Said(line, content_type="application/x-ndjson"), "ndjson")[0].kind()[0] == "ndjson"
    assert made(Said(line, content_type="application/json"))[0].kind()[0] == "document"


@pytest.mark.parametrize(
    ("said", "content_type", "shown"),
    [
        (b"<html>Sorry", "text/html", "text/html with status 200; it begins: '<html>Sorry'"),
        (b"hello", None, "a body without Content-Type with status 200; it begins: 'hello'"),
    ],
)
def test_what_is_no_stream_is_shown_and_told_of(made, said, content_type, shown):
    body, told = made(Said(said, content_type=content_type))
    with pytest.raises(MalformedStreamError, match="expected an event stream, got") as caught:
        body.kind()
    assert shown in str(caught.value) and not caught.value.retryable
    assert told == [(Chunks, said, 0, 0, (), 0.0, 0.0)]


def test_a_body_of_nothing_is_an_answer_that_did_not_come(made):
    with pytest.raises(IncompleteStreamError, match=r"no finish was seen \["):
        made(Said(b" ", b"\n"))[0].kind()


def test_white_space_without_an_end_has_a_limit(made):
    with pytest.raises(LimitExceededError, match="white space"):
        made(Said(*[b" " * 30] * 3, content_type="text/plain"))[0].kind()


def test_a_refusal_is_the_providers_error_with_as_much_of_its_body_as_is_kept(made):
    response = Said(b"no more ", b"credits on ", b"this key", status=402)
    body, told = made(response)
    error = body.refusal()
    assert isinstance(error, APIError) and error.status == 402
    assert error.body == "no more cr"
    assert told == [(Chunks, b"no more credits on ", 0, 0, (), 0.0, 0.0)]
    assert not response.finished and response.read() == b"this key"


def test_a_short_refusal_leaves_its_connection_fit_for_use(made):
    response = Said(b"no", status=500)
    assert made(response)[0].refusal().status == 500 and response.finished


def test_a_refusal_that_breaks_off_is_still_one_and_a_cancelled_one_is_cancelled(made):
    broken = Said(b"no", ConnectionDroppedError("gone"), status=500)
    assert made(broken)[0].refusal().body == "no"
    with pytest.raises(StreamCancelledError):
        made(Said(b"no", StreamCancelledError("enough"), status=500))[0].refusal()


def test_a_document_is_had_whole(made):
    body, told = made(Said(b' "b"', b"]"))
    assert body.document(b'["a",') == (b'["a", "b"]', ["a", "b"]) and told == []


@pytest.mark.parametrize("rest", [b"1", b"} and so on", b"[" * 30])
def test_a_document_that_is_cut_or_none_shows_what_came(made, rest):
    body, told = made(Said(rest))
    with pytest.raises(IncompleteStreamError, match="it is cut or no JSON: .*; it begins: '{"):
        body.document(b'{"a":')
    assert told == [(Chunks, b'{"a":' + rest, 0, 0, (), 0.0, 0.0)]


def test_a_document_has_a_limit(made):
    with pytest.raises(LimitExceededError, match="the JSON answer"):
        made(Said(json.dumps(["x"] * 20).encode()))[0].document(b"")


@pytest.mark.parametrize("end", [b"", b"data: {}\n\n", ConnectionDroppedError("gone")])
def test_what_was_cut_ends_by_the_cause_and_not_by_what_was_read_then(made, end):
    scope, cause = Scope(), StreamCancelledError("enough")
    body, _ = made(Said(end), scope=scope)
    scope.abort(cause)
    with pytest.raises(StreamCancelledError) as caught:
        body.kind()
    assert caught.value is cause


def test_what_was_left_over_is_shown():
    assert "left: 'data: {'" in str(incomplete("data: {")) and "left" not in str(incomplete(" \n"))
