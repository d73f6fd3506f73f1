"""One process reads the answer, another serves the browser, a Redis between them; either dies."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import streamsafe
from streamsafe.journal import RedisJournal
from streamsafe.testing import FaultServer, openai_chat, stall, stream, wait
from streamsafe.web.relay import Relay

pytest.importorskip("flask")
pytest.importorskip("gunicorn")
pytestmark = pytest.mark.service

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT, usage=(3, 9))
APPS = Path(__file__).parent / "apps"
GUNICORN = ["-m", "gunicorn", "--log-level=warning", "--threads=4", "--bind=127.0.0.1:{port}"]


@pytest.fixture
def model():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


@pytest.fixture
def producer(model, redis):
    """A process that reads the answer which is called "river"."""
    process = subprocess.Popen(
        [sys.executable, "producer.py", "river"],
        cwd=APPS,
        env={
            **os.environ,
            "MODEL": f"{model.url}/v1",
            "JOURNAL": redis.url,
            "PYTHONPATH": str(Path(streamsafe.__file__).parents[1]),
        },
    )
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def site(serve, model, redis):
    """A server for browsers, on whatever machine: it has the Redis's address and no more."""

    def serving():
        where = {"MODEL": f"{model.url}/v1", "JOURNAL": redis.url}
        return serve([*GUNICORN, "flask_app:app"], APPS, HEARTBEAT=0.3, **where)

    return serving


@pytest.fixture
def browse(browser):
    """Reads "river" behind what was seen of it."""

    def ask(port, seen=()):
        headers = {"Last_Event_ID": seen[-1].id} if seen else {}
        return browser(port, "/read/river", **headers)

    return ask


def test_a_redis_that_goes_away_and_comes_back_is_waited_for(
    own_redis, session, read_events, model
):
    gone, rest = threading.Event(), threading.Event()
    model.expect(stream(EVENTS[:4], wait(gone), EVENTS[4:6], wait(rest), EVENTS[6:]))
    with RedisJournal(own_redis.url, timeout=0.5) as journal:
        answer = Relay(session.submit("Hi", journal=journal), heartbeat=0.3)
        body = [next(answer) for _ in range(4)]
        own_redis.stop()
        gone.set()
        while body[-1] != b": \n\n":  # it says nothing, and is there
            body.append(next(answer))
        own_redis.start()
        rest.set()
        *_, last = events = read_events([*body, *answer])
    assert text_of(events) == TEXT and last.event == "end"


def test_one_that_stays_away_ends_the_response(
    own_redis, session, read_events, model, monkeypatch, wait_until
):
    monkeypatch.setattr("streamsafe.web.sources.AWAY", 0.5)
    model.expect(stream(EVENTS[:4], then=stall()))
    with RedisJournal(own_redis.url, timeout=0.5) as journal:
        handle = session.submit("Hi", journal=journal)
        answer = Relay(handle, heartbeat=0.3)
        next(answer)
        own_redis.stop()
        *_, last = read_events(answer)
        assert json.loads(last.data)["type"] == "StorageError"
        handle.cancel()
        own_redis.start()
        # Else its end might still wait to be written when this Redis is away for good.
        wait_until(lambda: journal.info(handle.stream_id).status == "cancelled")


def text_of(events):
    return "".join(json.loads(event.data)["text"] for event in events if event.event == "text")


def test_an_answer_is_shown_while_another_process_reads_it(
    model, producer, site, read_events, browse
):
    rest = threading.Event()
    model.expect(stream(EVENTS[:4], wait(rest), EVENTS[4:]))
    model.wait_for_request(timeout=20)
    with site() as port, browse(port) as browser:
        browser.read_until(b" do")
        browser.read_until(b": \n\n")
        rest.set()
        *_, last = events = read_events(browser.read())
    assert text_of(events) == TEXT and last.event == "end"
    assert producer.wait(20) == 0


def test_the_server_of_the_browser_is_killed_and_another_goes_on(
    model, producer, site, read_events, browse
):
    rest = threading.Event()
    model.expect(stream(EVENTS[:4], wait(rest), EVENTS[4:]))
    model.wait_for_request(timeout=20)
    with site() as port, browse(port) as browser:
        seen = read_events(browser.read_until(b" do"))
    rest.set()
    assert producer.wait(20) == 0  # it does not depend on who shows what it reads
    with site() as port, browse(port, seen) as browser:
        events = read_events(browser.read())
    assert json.loads(events[0].data)["after"] == int(seen[-1].id)
    assert text_of(seen + events) == TEXT


def test_the_process_that_reads_is_killed_and_the_server_takes_the_answer_over(
    model, producer, site, read_events, browse
):
    model.expect(stream(EVENTS[:4], then=stall()), stream(EVENTS))
    model.wait_for_request(timeout=20)
    with site() as port, browse(port) as browser, browse(port) as other:
        other.read_until(b" do")
        browser.read_until(b" do")
        producer.kill()
        *_, last = events = read_events(browser.read())
        assert text_of(read_events(other.read())) == TEXT
    assert text_of(events) == TEXT and last.event == "end"
    assert len(model.requests) == 2  # for both browsers together
