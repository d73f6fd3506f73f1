"""No planted secret is ever seen again, wherever it was planted and whatever is asked for."""

from __future__ import annotations

import json
import pickle

import pytest

from streamsafe import StreamSession
from streamsafe.debug.debugger import StreamDebugger
from streamsafe.debug.masking import Masker, secret_name, secrets_of
from streamsafe.testing import FaultServer, reply, rst, split, stream
from streamsafe.testing.answers import openai_chat

#: Of a shape that nothing but their place gives away.
KEY, HEADER, COOKIE, SET, QUERY, USER = (
    f"{name}-PLANTED-{name * 3}" for name in ("key", "header", "cookie", "set", "query", "user")
)
PLANTED = (KEY, HEADER, COOKIE, SET, QUERY, "PLANTED")
EVENTS = openai_chat("The quick brown fox jumps over the lazy dog.")


def everything(debugger):
    """All that can be got out of a debugger, in one text."""
    reports = [debugger.report(format=name) for name in ("text", "html", "json")]
    timeline = debugger.timeline()
    return "\n".join(
        [*reports, debugger._repr_html_(), repr(timeline), repr(debugger), str(debugger.diagnose()),
         repr(pickle.dumps(timeline))]
    )  # fmt: skip


@pytest.mark.parametrize(
    "exchange",
    [
        stream(EVENTS, headers={"Set-Cookie": f"sid={SET}; Path=/"}),
        reply(401, json={"error": {"message": f"Incorrect API key provided: {KEY}"}}),
        reply(500, f"<html>?api_key={QUERY}&user=x Cookie: {COOKIE} {HEADER}</html>"),
        reply(200, f"<html>{KEY} {COOKIE}</html>"),
        reply(200, json={"error": {"message": f"the key {KEY} is no good", "api_key": HEADER}}),
        stream(EVENTS[:3], f"data: {KEY} {QUERY}\n\n"),
        stream(EVENTS[:3], f"data: {{}} {HEADER[:9]}", then=rst()),
        stream(EVENTS[:3], f": {KEY}\n\n", split(f"data: [{QUERY}", every=7)),
    ],
)
def test_no_planted_secret_is_in_any_report(server, debugger, exchange):
    server.expect(exchange)
    session = StreamSession(
        "openai_compatible", base_url=f"{server.url}/v1?api_key={QUERY}&v=1", api_key=KEY,
        model="m", observers=(debugger,), resume="never", retry=no_retry(),
    )  # fmt: skip
    with session:
        observe_with_headers(debugger)
        try:
            session.complete("Hi", api_token=HEADER)
        except Exception as error:
            assert "Authorization" not in str(error)
    seen = everything(debugger)
    for secret in PLANTED:
        assert secret not in seen, seen[max(0, seen.index(secret) - 200) :][:400]


def no_retry():
    from streamsafe import RetryPolicy

    return RetryPolicy(max_retries=0)


def observe_with_headers(debugger):
    """As if the provider sent more secrets in its headers than ours do."""
    seen = debugger.observe

    def observe(record):
        if type(record).__name__ == "AttemptStarted":
            more = {"X-Api-Key": HEADER, "Cookie": f"a=1; session={COOKIE}"}
            request = record.request.replace(headers={**record.request.headers, **more})
            record = record._replace(request=request)
        seen(record)

    debugger.observe = observe


def test_what_was_asked_and_answered_is_masked_if_that_is_wanted(server):
    debugger = StreamDebugger(mask_bodies=True)
    server.expect(stream(EVENTS[:4], b'data: {"choices":[{"delta":{"content":"brown'))
    session = StreamSession(
        "openai_compatible", base_url=f"{server.url}/v1", model="m", observers=(debugger,),
        resume="never", retry=no_retry(),
    )  # fmt: skip
    with session, pytest.raises(Exception, match="brown"):
        session.complete("A question of mine")
    seen = everything(debugger)
    assert "question" not in seen and "brown" not in seen
    assert json.loads(debugger.report(format="json"))["attempts"][0]["body"]["messages"] == [
        {"role": "user", "content": "<18 characters>"}
    ]


def test_what_was_asked_is_shown_otherwise(server, debugger, run):
    server.expect(stream(EVENTS))
    run("Whodunit?")
    assert "Whodunit?" in debugger.report()


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "x-api-key", "api_key", "apiKey", "key", "X-Goog-Api-Key", "Cookie",
        "Set-Cookie", "access_token", "accessToken", "X-Amz-Signature", "sig", "client-secret",
        "Proxy-Authorization", "password", "session",
    ],
)  # fmt: skip
def test_a_name_of_secrets(name):
    assert secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens", "x-ratelimit-remaining-tokens", "Content-Type", "keyboard", "author",
        "Idempotency-Key", "monkey", "tokens", "signal", "api-version",
    ],
)  # fmt: skip
def test_a_name_of_no_secret(name):
    assert not secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdEFGH1234567890",
        "Authorization: Bearer abcdef.ghijkl",
        "https://x.test/?key=AIzaSyA-1234567890abcdefghijklmn&v=1",
        '{"api_key": "abcdef123456"}',
        "https://user:abcdef@proxy.test:80/",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "AKIAIOSFODNN7EXAMPLE",
    ],
)
def test_secrets_are_known_by_their_looks(text):
    masked = Masker().text(text)
    assert "***" in masked
    for part in ("abcdef", "abcdEFGH", "AIzaSy", "eyJ", "AKIA"):
        assert part not in masked


def test_plain_words_stay():
    text = "Rate limit reached for gpt-4o in organization org-1 on tokens per min: Limit 30000."
    assert Masker(("sesame-1",)).text(text) == text


def test_the_secrets_of_a_request_are_those_that_stand_under_secret_names():
    url = "https://me:pass-word@x.test/v1?key=query-key&alt=sse"
    headers = {"Authorization": "Bearer the-bearer", "Cookie": "a=cookie-one; b=2"}
    found = secrets_of(url, headers)
    for secret in ("query-key", "the-bearer", "cookie-one", "pass-word"):
        assert secret in found
    assert "sse" not in found and "2" not in found


def test_over_tls_no_secret_is_seen_either(debugger, monkeypatch):
    with FaultServer(tls=True) as server:
        server.expect(reply(403, json={"error": {"message": f"not with {KEY}"}}))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
        session = StreamSession(
            "openai_compatible", base_url=f"{server.url}/v1", api_key=KEY, model="m",
            observers=(debugger,), retry=no_retry(),
        )  # fmt: skip
        with session, pytest.raises(Exception):
            session.complete("Hi")
    assert "PLANTED" not in everything(debugger)
