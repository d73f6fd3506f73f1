"""What is worked out once is used again only while it is still true."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from streamsafe.models import Request
from streamsafe.wire.prepare import KEPT, Preparer

URL = "https://api.test/v1"
KEY = {"Authorization": "Bearer k"}


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Any:
    """How often requests itself prepared a request and merged settings."""
    counts = {"prepared": 0, "merged": 0}
    prepare = requests.PreparedRequest.prepare
    environ = requests.sessions.get_environ_proxies

    def prepared(*args: Any, **kwargs: Any) -> None:
        counts["prepared"] += 1
        prepare(*args, **kwargs)

    def merged(*args: Any, **kwargs: Any) -> Any:
        counts["merged"] += 1
        return environ(*args, **kwargs)

    monkeypatch.setattr(requests.PreparedRequest, "prepare", prepared)
    monkeypatch.setattr(requests.sessions, "get_environ_proxies", merged)
    return counts


def test_the_second_request_of_a_kind_costs_no_preparation(counting: Any) -> None:
    preparer = Preparer(requests.Session())
    made = [preparer.request(Request("POST", URL, KEY, {"n": n})) for n in range(3)]
    assert counting["prepared"] == 1
    assert [one.body for one in made] == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    made[0].headers["X"] = "changed by an adapter"
    assert "X" not in preparer.request(Request("POST", URL, KEY, {})).headers


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.headers.update({"X-A": "1"}),
        lambda session: session.params.update({"a": "1"}),
        lambda session: setattr(session, "auth", ("a", "b")),
        lambda session: session.cookies.set("a", "1"),
        lambda session: session.hooks["response"].append(print),
    ],
    ids=["headers", "params", "auth", "cookies", "hooks"],
)
def test_a_change_to_the_session_is_seen(change: Any) -> None:
    session = requests.Session()
    preparer = Preparer(session)
    asked = Request("POST", URL, KEY, {})
    preparer.request(asked)
    change(session)
    found = preparer.request(asked)
    usual = session.prepare_request(
        requests.Request("POST", URL, headers={**found.headers}, data=b"{}")
    )
    assert found.url == usual.url
    assert found.headers == usual.headers
    assert found.hooks == usual.hooks


def test_other_headers_are_another_request() -> None:
    preparer = Preparer(requests.Session())
    for key in ("a", "b", "a"):
        found = preparer.request(Request("POST", URL, {"x-api-key": key}, {}))
        assert found.headers["x-api-key"] == key


def test_what_is_kept_is_bounded() -> None:
    preparer = Preparer(requests.Session())
    for number in range(3 * KEPT):
        preparer.request(Request("POST", f"{URL}/{number}", KEY, {}))
        preparer.terms(f"{URL}/{number}")
    assert len(preparer._templates) <= KEPT
    assert len(preparer._terms) <= KEPT


def test_terms_are_merged_once_and_again_when_the_environment_changes(
    counting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    preparer = Preparer(requests.Session())
    assert preparer.terms(URL) is preparer.terms(URL)
    assert counting["merged"] == 1
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    assert preparer.terms(URL).proxies["https"] == "http://proxy.test:3128"
    monkeypatch.setenv("NO_PROXY", "api.test")
    assert "https" not in preparer.terms(URL).proxies


def test_terms_follow_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    session = requests.Session()
    preparer = Preparer(session)
    assert preparer.terms(URL).verify is True
    session.verify = False
    session.cert = ("a", "b")
    session.proxies["https"] = "http://proxy.test"
    terms = preparer.terms(URL)
    assert (terms.verify, terms.cert) == (False, ("a", "b"))
    assert terms.proxies["https"] == "http://proxy.test"


def test_a_session_that_prepares_its_own_way_is_asked_each_time() -> None:
    class Signing(requests.Session):
        count = 0

        def prepare_request(self, request: Any) -> Any:
            self.count += 1
            request.headers["X-Count"] = str(self.count)
            return super().prepare_request(request)

        def merge_environment_settings(self, *args: Any) -> Any:
            return {**super().merge_environment_settings(*args), "cert": f"c{self.count}"}

    preparer = Preparer(Signing())
    for turn in ("1", "2"):
        assert preparer.request(Request("POST", URL, KEY, {})).headers["X-Count"] == turn
        assert preparer.terms(URL).cert == f"c{turn}"


def test_a_sessions_own_accept_is_meant_and_requests_own_is_not() -> None:
    session = requests.Session()
    assert Preparer(session).request(Request("GET", URL)).headers["Accept"] == "text/event-stream"
    session.headers["Accept"] = "application/x"
    session.headers["Accept-Encoding"] = "gzip"
    headers = Preparer(session).request(Request("GET", URL)).headers
    assert (headers["Accept"], headers["Accept-Encoding"]) == ("application/x", "gzip")
