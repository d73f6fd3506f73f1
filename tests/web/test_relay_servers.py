"""Answers through the servers that people run, with sockets and processes that are real."""

import http.client
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from streamsafe.testing import FaultServer, openai_chat, rst, stall, stream, wait

pytestmark = pytest.mark.service

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT, usage=(3, 9))
APPS = Path(__file__).parent / "apps"
PATIENCE = 20.0

GUNICORN = ["-m", "gunicorn", "--log-level=warning", "--bind=127.0.0.1:{port}"]
SERVERS = {
    "flask, gunicorn sync": [*GUNICORN, "--workers=2", "flask_app:app"],
    "flask, gunicorn gthread": [*GUNICORN, "--threads=4", "flask_app:app"],
    "flask, gunicorn gevent": [*GUNICORN, "--worker-class=gevent", "flask_app:app"],
    "flask, waitress": ["-m", "waitress", "--listen=127.0.0.1:{port}", "flask_app:app"],
    "flask run": ["-m", "flask", "--app=flask_app", "run", "--port={port}"],
    "django runserver": ["django_app.py", "runserver", "--noreload", "127.0.0.1:{port}"],
    "django, gunicorn gthread": [*GUNICORN, "--threads=4", "django_app:app"],
}
WANTS = ("flask", "django", "gunicorn", "gevent", "waitress")


@pytest.fixture(scope="module")
def upstream():
    with FaultServer() as running:
        yield running


@pytest.fixture(scope="module", params=SERVERS)
def site(request, upstream, serve, tmp_path_factory):
    """A port on which the server serves the application."""
    for name in WANTS:
        if name in request.param:
            pytest.importorskip(name)
    journal = tmp_path_factory.mktemp("site") / "streams.db"
    with serve(
        SERVERS[request.param], APPS, MODEL=f"{upstream.url}/v1", JOURNAL=journal, HEARTBEAT=0.5
    ) as port:
        yield port


@pytest.fixture
def browse(browser, site, upstream):
    upstream.reset()

    def ask(path, **headers):
        return browser(site, path, **headers)

    yield ask
    upstream.assert_nothing_more()


def text_of(events):
    return "".join(json.loads(event.data)["text"] for event in events if event.event == "text")


def test_tokens_are_there_while_the_model_thinks_and_so_are_heartbeats(
    browse, upstream, read_events
):
    more = threading.Event()
    upstream.expect(stream(EVENTS[:3], wait(more), EVENTS[3:], framing="close"))
    with browse("/ask") as browser:
        assert browser.response.headers["Content-Type"] == "text/event-stream"
        assert browser.response.headers["X-Accel-Buffering"] == "no"
        browser.read_until(b"Rivers")
        browser.read_until(b": \n\n")
        more.set()
        *_, last = events = read_events(browser.read())
    assert text_of(events) == TEXT and last.event == "end"


def test_a_browser_that_goes_takes_the_stream_with_it(browse, upstream):
    upstream.expect(stream(EVENTS[:3], then=stall()))
    with browse("/ask") as browser:
        browser.read_until(b"Rivers")
    assert upstream.requests[0].client_gone.wait(PATIENCE)


def test_one_that_comes_back_has_the_rest(browse, upstream, read_events):
    rest = threading.Event()
    upstream.expect(stream(EVENTS[:4], wait(rest), EVENTS[4:], framing="close"))
    with browse("/ask?keep&id=river") as browser:
        seen = read_events(browser.read_until(b" do"))
    with browse("/ask?keep&id=river", Last_Event_ID=seen[-1].id) as browser:
        browser.read_until(b"start")
        rest.set()
        events = read_events(browser.read())
    assert text_of(seen + events) == TEXT
    assert json.loads(events[0].data)["after"] == int(seen[-1].id)
    with browse(f"/read/river?last_event_id={seen[-1].id}") as browser:
        assert read_events(browser.read()) == events
    with browse("/read/river", Last_Event_ID=events[-1].id) as browser:
        assert (browser.response.status, browser.read()) == (204, b"")


def test_plain_text_that_breaks_off_breaks_the_response(browse, upstream, request):
    if request.node.callspec.params["site"] in ("flask run", "django runserver"):
        pytest.skip("HTTP/1.0: the end of the connection is the end of any body")
    upstream.expect(stream(EVENTS[:4], then=rst()))
    with browse("/ask?format=text") as browser, pytest.raises(http.client.IncompleteRead):
        browser.read()


@pytest.mark.parametrize("site", ["flask, gunicorn sync"], indirect=True)
def test_a_worker_that_is_killed_loses_nothing(browse, upstream, read_events, site):
    """Another worker goes on with the stream, and the browser with the text."""
    upstream.expect(stream(EVENTS[:4], then=stall()), stream(EVENTS, framing="close"))
    with browse("/ask?keep&id=killed") as browser:
        seen = read_events(browser.read_until(b" do"))
        with browse("/pid") as other:  # the worker that is not busy
            idle = int(other.read())
        (busy,) = _children_of(_parent_of(idle)) - {idle}
        os.kill(busy, signal.SIGKILL)
    with browse("/read/killed", Last_Event_ID=seen[-1].id) as browser:
        *_, last = events = read_events(browser.read())
    assert text_of(seen + events) == TEXT and last.event == "end"


def _parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[1])


def _children_of(pid):
    return {
        int(found.name)
        for found in Path("/proc").glob("[0-9]*")
        if (found / "stat").exists() and _parent_of(found.name) == pid
    }
