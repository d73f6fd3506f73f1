"""The chaos server as a client elsewhere meets it."""

from __future__ import annotations

import json
import re
import ssl
import urllib.request
from urllib.error import HTTPError

import pytest

from streamsafe import ConnectionDroppedError, RateLimitError, StreamSession
from streamsafe.cli import main
from streamsafe.providers.presets import PRESETS
from streamsafe.testing import RecordedRequest
from streamsafe.testing.endpoints import Endpoints


@pytest.fixture
def served(visited):
    """Runs ``streamsafe serve`` on a free port and without pauses."""

    def command(*arguments, **more):
        return visited("serve", "--port", "0", "--delay", "0", *arguments, **more)

    return command


def post(url, body, **more):
    request = urllib.request.Request(url, json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, **more) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.status, error.read().decode()


def asked(url, provider="openai", **settings):
    base = url + "/v1" if provider == "openai" else url
    with StreamSession(
        provider, api_key="any", base_url=base, model="m", retry=0, resume="never"
    ) as session:
        return session.complete("Hi", **settings)


def test_each_api_is_answered_in_its_own_words(served):
    found = {}

    def visit(url):
        for name in ("openai", "anthropic", "ollama", "cohere"):
            found[name] = asked(url, name)

    code, out, _ = served("--text", "A short answer.", visit=visit)
    assert code == 0
    assert {each.text for each in found.values()} == {"A short answer."}
    assert found["openai"].model == "m" and found["openai"].usage.output_tokens == 3
    assert [line.split()[1:] for line in out.splitlines()[-4:]] == [
        ["#1", "POST", "/v1/chat/completions", "ok"],
        ["#2", "POST", "/v1/messages", "ok"],
        ["#3", "POST", "/api/chat", "ok"],
        ["#4", "POST", "/v2/chat", "ok"],
    ]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_example_it_shows_works_as_it_stands(served, preset):
    seen = []

    def visit(url):
        seen.append(url)

    _, out, _ = served("-p", preset, visit=visit)
    path, body = re.search(r"curl -N https?://[^/]+(/\S+) .*-d '(.*)'", out, re.S).groups()
    answer = Endpoints("Fine.")(request("POST", path, body))
    assert answer.status == 200 and b"Fine." in b"".join(answer.steps[:-1])


def request(method, path, body):
    made = RecordedRequest(method, path, {}, "HTTP/1.1")
    made.body = body.encode()
    return made


def test_the_script_comes_first_and_then_chance(served):
    errors = []

    def visit(url):
        for _ in range(4):
            try:
                asked(url)
            except Exception as error:
                errors.append(type(error))

    _, out, _ = served("--script", "ok,rate_limit", "-f", "reset=1", visit=visit)
    assert errors == [RateLimitError, ConnectionDroppedError, ConnectionDroppedError]
    assert [line.split()[-1] for line in out.splitlines()[-4:]] == [
        "ok", "rate_limit", "reset", "reset"
    ]  # fmt: skip


def test_what_it_has_no_answer_for_it_explains(served):
    found = []

    def visit(url):
        found.append(post(url + "/v1/chat/completions", {"stream": False}))
        found.append(post(url + "/v1/chat/completions", []))
        found.append(post(url + "/v2/nonsense", {}))
        with urllib.request.urlopen(url + "/v1/models") as answer:
            found.append((answer.status, answer.read().decode()))

    _, out, _ = served(visit=visit)
    assert [status for status, _ in found] == [400, 400, 404, 200]
    assert '\\"stream\\": true' in found[0][1] and "no JSON object" in found[1][1]
    assert "/chat/completions" in found[2][1] and "chaos-1" in found[3][1]
    assert out.splitlines()[-1].split()[1:] == ["-", "GET", "/v1/models", "200"]


def test_over_tls_with_a_long_answer_and_no_log(served):
    found = []

    def visit(url):
        context = ssl._create_unverified_context()
        body = {"model": "m", "stream": True}
        found.append(post(url + "/v1/chat/completions", body, context=context))

    _, out, _ = served("--tls", "-q", "--length", "2000", visit=visit)
    assert "--cacert" in out and "#1" not in out
    status, text = found[0]
    assert status == 200 and text.endswith("data: [DONE]\n\n") and len(text) > 10_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "dropp=0.1"], "no fault 'dropp'"),
        (["-f", "drop=2"], "from 0 to 1"),
        (["--script", "ok,dropp"], "no fault 'dropp'"),
        (["--chaos", "7"], "a chance, 0 to 1"),
        (["--port", "70000"], "0 to 65535"),
        (["--length", "-1"], "0 or more"),
        (["--delay", "nan"], "0 or more"),
    ],
)
def test_wrong_arguments_say_what_is_right(served, arguments, said):
    code, _, err = served(*arguments)
    assert code == 2 and said in err


def test_a_port_that_is_taken_is_named(served):
    def visit(url):
        port = url.rpartition(":")[2]
        assert main(["serve", "--port", port]) == 2

    _, _, err = served(visit=visit)
    assert re.search(r"port \d+: .*in use", err)


def test_a_chance_that_is_no_number_is_a_usage_error(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "-f", "drop"])
    assert "expected NAME=CHANCE" in capsys.readouterr().err
