"""An answer as Flask's response."""

import pytest

from streamsafe.testing import openai_chat, stall, stream, wait

flask = pytest.importorskip("flask")
from streamsafe.web.flask import stream_response  # noqa: E402

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT)
PATIENCE = 10.0


@pytest.fixture
def app(session, journal):
    made = flask.Flask(__name__)

    @made.get("/ask")
    def ask():
        return stream_response(session.stream("Hi"), format="text")

    @made.get("/<name>")
    def read(name):
        return stream_response(name, journal=journal)

    @made.get("/mine")
    def mine():
        return stream_response(session.stream("Hi"), format=Mine)

    return made


class Mine:
    """A format that asks for what only the request's context has."""

    media_type, headers, heartbeat = "text/plain", {"X-Mine": "1"}, b""
    takes_back = keeps_state = False

    def start(self, opening):
        return b""

    def chunk(self, number, chunk):
        return flask.request.args["mark"].encode() if chunk.text else b""

    def end(self, number, completion):
        return flask.current_app.name.encode()

    def failed(self, number, fault):
        return None


def test_it_is_a_response_in_one_line(model, app):
    model.expect(stream(EVENTS))
    response = app.test_client().get("/ask")
    assert response.status_code == 200 and response.text == TEXT
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Accel-Buffering"] == "no"


def test_it_is_not_gathered_before_it_is_sent(model, app):
    model.expect(stream(EVENTS[:3], wait("more"), EVENTS[3:]))
    with app.test_client().get("/ask", buffered=False) as response:
        pieces = response.iter_encoded()
        assert next(pieces) == b"Rivers"
        model.gate("more").open()
        assert b"".join(pieces).decode() == TEXT.removeprefix("Rivers")


def test_the_context_is_there_while_it_streams(model, app):
    model.expect(stream(EVENTS))
    response = app.test_client().get("/mine?mark=*")
    assert response.text == "*" * 8 + app.name and response.headers["X-Mine"] == "1"


@pytest.mark.parametrize(
    "asked", [{"headers": {"Last-Event-ID": "5"}}, {"query_string": {"last_event_id": "5"}}]
)
def test_what_the_browser_has_seen_is_in_its_request(
    model, app, session, journal, read_events, asked
):
    model.expect(stream(EVENTS))
    session.complete("Hi", journal=journal, stream_id="river")
    response = app.test_client().get("/river", **asked)
    assert read_events(response.data)[1].id == "6"


def test_the_status_is_the_relays(app, monkeypatch):
    monkeypatch.setattr("streamsafe.web.sources.GRACE", 0.0)
    client = app.test_client()
    assert client.get("/nobody").status_code == 404
    assert client.get("/nobody", headers={"Last-Event-ID": "9:end"}).status_code == 204


def test_a_response_that_is_closed_closes_the_stream(model, app):
    model.expect(stream(EVENTS[:3], then=stall()))
    response = app.test_client().get("/ask", buffered=False)
    next(response.iter_encoded())
    response.close()
    assert model.requests[0].client_gone.wait(PATIENCE)


def test_a_request_for_the_headers_alone_asks_nothing(model, app):
    response = app.test_client().head("/ask")
    assert response.status_code == 200 and model.requests == ()
