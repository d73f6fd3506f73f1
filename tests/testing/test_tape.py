"""A cassette played by a server: any client gets what was recorded."""

from __future__ import annotations

import json
import urllib.request
from urllib.error import HTTPError

import pytest

from streamsafe import ConfigurationError, ConnectionDroppedError, StreamSession, StreamTimeoutError
from streamsafe.debug import Recorder
from streamsafe.testing import (
    FaultServer,
    anthropic,
    openai_chat,
    pause,
    recorded,
    reply,
    rst,
    stall,
    stream,
)

TEXT = "Owls turn their heads 🙂."
EVENTS = openai_chat(TEXT)


@pytest.fixture
def player():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


@pytest.fixture
def tape(tmp_path):
    """Records streams over these exchanges and returns the file."""

    def record(*exchanges, provider="openai", **settings):
        path = tmp_path / "answer.jsonl"
        with FaultServer() as server, Recorder(path) as recorder:
            server.expect(*exchanges)
            settings = {"retry": 0, "resume": "never", **settings}
            asking = session(server, provider, transport=recorder, **settings)
            for _ in exchanges:
                try:
                    asking.complete("Hi")
                except Exception:
                    pass
        return path

    return record


def session(server, provider="openai", **settings):
    root = "" if provider == "anthropic" else "/v1"
    settings = {"retry": 0, **settings}
    return StreamSession(
        provider, api_key="sk-planted-1", base_url=server.url + root, model="m", **settings
    )


def test_the_answer_is_the_recorded_one_again_and_again(tape, player):
    player.handle(recorded(tape(stream(anthropic(TEXT)), provider="anthropic")))
    with session(player, "anthropic") as asking:
        assert [asking.complete("Hi").text for _ in range(3)] == [TEXT] * 3


def test_exchanges_come_in_their_order_and_begin_anew(tape, player):
    path = tape(reply(503, headers={"X-Mine": "1"}), stream(EVENTS))
    player.handle(recorded(path))
    seen = []
    for _ in range(4):
        try:
            with urllib.request.urlopen(player.url + "/v1/chat/completions", b"{}") as answer:
                seen.append((answer.status, answer.read()))
        except HTTPError as error:
            seen.append((error.status, error.headers["X-Mine"]))
            error.close()
    assert seen == [(503, "1"), (200, b"".join(EVENTS))] * 2


@pytest.mark.parametrize(
    ("end", "error"), [(rst(), ConnectionDroppedError), (stall(), StreamTimeoutError)]
)
def test_a_break_comes_where_it_was(tape, player, end, error):
    path = tape(stream(EVENTS[:3], then=end), timeouts=0.3)
    player.handle(recorded(path))
    with session(player, timeouts=0.3) as asking, pytest.raises(error) as caught:
        asking.complete("Hi")
    assert caught.value.partial.text == "Owls turn"


def test_the_times_are_kept_if_asked_for(tape, player):
    player.handle(recorded(tape(stream(EVENTS[:3], pause(0.4), EVENTS[3:])), speed=2.0))
    with session(player) as asking:
        completion = asking.complete("Hi")
    assert completion.text == TEXT and completion.timings.gap_max >= 0.15


def test_another_path_is_told_what_there_is(tape, player):
    player.handle(recorded(tape(stream(EVENTS))))
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(player.url + "/v1/models")
    with caught.value as answer:
        assert "knows only POST /v1/chat/completions" in answer.read().decode()
    player.reset()


def test_what_is_no_cassette_is_said_at_once(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"kind": "something"}))
    with pytest.raises(ConfigurationError, match="no streamsafe cassette"):
        recorded(path)
    with pytest.raises(ValueError, match="speed=0"):
        recorded(path, speed=0)
