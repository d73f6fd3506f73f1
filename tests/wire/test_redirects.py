"""Where a redirect leads, and what goes along."""

from __future__ import annotations

from typing import Any, Optional

import pytest
import requests

from streamsafe.wire import redirects

FROM = "https://api.test/v1/chat?x=1"


def follow(status: int, location: str, method: str = "POST", **headers: str) -> Any:
    session = requests.Session()
    prepared = session.prepare_request(
        requests.Request(method, FROM, headers=headers, data=b"{}")
    )
    return redirects.follow(session, prepared, status, location)


def target(*args: Any, **headers: str) -> Optional[str]:
    found = follow(*args, **headers)
    return None if found is None else found.url


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_post_follows_none_that_would_lose_its_body(status: int) -> None:
    assert target(status, "/other") is None
    assert target(status, "/other", "GET") == "https://api.test/other"


@pytest.mark.parametrize("status", [307, 308])
def test_method_and_body_stay(status: int) -> None:
    found = follow(status, "/other")
    assert (found.method, found.body, found.headers["Content-Length"]) == ("POST", b"{}", "2")


@pytest.mark.parametrize("status", [200, 300, 304, 401])
def test_other_statuses_lead_nowhere(status: int) -> None:
    assert target(status, "/other", "GET") is None


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/a b", "https://api.test/a%20b"),
        ("sub", "https://api.test/v1/sub"),
        ("//eu.api.test/v1", "https://eu.api.test/v1"),
        ("?y=2", "https://api.test/v1/chat?y=2"),
        ("/caf\u00c3\u00a9", "https://api.test/caf%C3%A9"),  # UTF-8 read as latin-1
    ],
)
def test_a_location_is_relative_to_where_it_was_said(location: str, url: str) -> None:
    assert target(307, location) == url


@pytest.mark.parametrize("location", ["", "ftp://api.test/", "file:///etc/passwd", "mailto:a@b"])
def test_only_http_is_followed(location: str) -> None:
    assert target(307, location) is None


@pytest.mark.parametrize("location", ["https://[", "https://a:99999/"])
def test_what_is_no_address_leads_nowhere(location: str) -> None:
    assert target(307, location) is None


def test_nothing_goes_from_https_to_http() -> None:
    assert target(307, "http://api.test/v1") is None


def test_credentials_go_to_no_other_origin() -> None:
    secrets = {
        "Authorization": "s", "x-api-key": "s", "Api-Key": "s", "X-Goog-Api-Key": "s",
        "X-Auth-Token": "s", "Cookie": "s", "Ocp-Apim-Subscription-Key": "s", "Host": "api.test",
    }  # fmt: skip
    harmless = {"Accept": "a", "X-Trace-Id": "t", "anthropic-version": "1"}
    away = follow(307, "https://evil.test/", **secrets, **harmless)
    assert not set(away.headers) & set(secrets)
    assert set(harmless) <= set(away.headers)
    near = follow(307, "/there", **secrets, **harmless)
    assert set(secrets) | set(harmless) <= set(near.headers)
