"""The dashboard as a WSGI server sees it: addresses, headers, who may look, what is sent."""

from __future__ import annotations

import io
import json
import re
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from streamsafe import errors
from streamsafe.debug import StreamDebugger
from streamsafe.errors import ConfigurationError
from streamsafe.lifecycle import (
    AttemptEnded,
    AttemptStarted,
    Chunks,
    Completed,
    Failed,
    Opened,
    Started,
)
from streamsafe.models import Attempt, Chunk, Completion, Outcome, Request
from streamsafe.monitor import StreamMonitor
from streamsafe.web import dashboard
from streamsafe.web.dashboard import feed
from streamsafe.web.dashboard.guard import COOKIE, LOCAL_HOSTS

PLANTED = "<script>document.title='pwned'</script>"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, dict(headers), body

    @property
    def json(self):
        return json.loads(self.body)


def ask(app, path="/", method="GET", **environ):
    """One request, through the standard library's check of the WSGI rules."""
    path, _, query = path.partition("?")
    asked = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": ""}
    asked.update({name.replace("wsgi_", "wsgi."): value for name, value in environ.items()})
    setup_testing_defaults(asked)
    asked["wsgi.errors"] = io.StringIO()
    said = []

    def start_response(status, headers, exc_info=None):
        said.append((status, headers))
        return lambda data: None

    result = validator(app)(asked, start_response)
    try:
        body = b"".join(result)
    finally:
        result.close()
    ((status, headers),) = said
    return Answer(int(status.split()[0]), headers, body)


def tell(stream_id, error=None, *observers):
    """A short stream that answered, or failed."""
    request = Request("POST", "https://api.example.com/v1", {}, {"stream": True})
    attempt = Attempt(1, 0.0, 200, "req-1", "failed" if error else "complete", error=error)
    whole = Completion("Hi", outcome=Outcome.FAILED if error else Outcome.COMPLETE)
    end = Failed(stream_id, 3.0, error, whole) if error else Completed(stream_id, 3.0, whole)
    for record in (
        Started(stream_id, 1.0, 1.7e9, "openai", "gpt-4o-mini"),
        AttemptStarted(stream_id, 1.0, 1, request),
        Opened(stream_id, 1.5, 1, 200, {}, "req-1", False),
        Chunks(stream_id, 2.0, b"x" * 50, 1, 0, [Chunk("text", "Hi")], 0.5, 0.0),
        AttemptEnded(stream_id, 3.0, attempt),
        end,
    ):
        for observer in observers:
            observer.observe(record)


@pytest.fixture
def monitor():
    return StreamMonitor()


@pytest.fixture
def app(monitor):
    made = dashboard.app(monitor)
    yield made
    made.close()


# -- the page ------------------------------------------------------------------------------------


def test_the_page_needs_nothing_from_elsewhere(app):
    page = ask(app)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    text = page.body.decode()
    assert not re.search(r"""(src|href)=["'](?!data:|#|snapshot)""", text.split("<script")[0])
    assert not re.findall(r"https?://(?!www\.w3\.org/)", text)


def test_only_the_pages_own_script_and_style_may_run(app):
    policy = ask(app).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["/", "/snapshot", "/nowhere"])
def test_nothing_is_kept_guessed_at_framed_or_told_to_others(app, path):
    headers = ask(app, path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_script_puts_text_in_as_text_only():
    from streamsafe.web.dashboard.page import SCRIPTS, _read

    script = "\n".join(map(_read, SCRIPTS))
    for markup in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert markup not in script


def test_it_only_reads(app):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        refused = ask(app, method=method)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_a_head_is_a_get_without_its_body(app):
    head, get = ask(app, method="HEAD"), ask(app)
    assert (head.body, head.headers) == (b"", get.headers)


def test_there_is_nothing_else(app):
    assert ask(app, "/../etc/passwd").status == 404


# -- the figures ---------------------------------------------------------------------------------


def test_the_snapshot_has_what_the_page_shows(app, monitor):
    tell("good", None, monitor)
    tell("bad", errors.ServerError(PLANTED, status=500), monitor)
    found = ask(app, "/snapshot").json
    assert found["totals"]["success_rate"] == 0.5
    assert found["totals"]["windows"]["5m"]["failed_streams"] == 1
    assert found["errors"] == [["ServerError", 1]]
    assert [one["name"] for one in found["models"]] == ["gpt-4o-mini"]
    assert [len(found["series"][name]) for name in ("1m", "5m", "1h")] == [12, 20, 60]
    (failed,) = found["failures"]
    assert (failed["stream_id"], failed["findings"]) == ("bad", None)
    assert failed["errors"][0]["message"] == PLANTED


def test_a_debugger_adds_diagnosis_and_report(monitor):
    debugger = StreamDebugger()
    app = dashboard.app(monitor, debugger)
    error = errors.RateLimitError(PLANTED, status=429)
    tell("bad one", error, monitor, debugger)
    (failed,) = ask(app, "/snapshot").json["failures"]
    assert failed["findings"][0].keys() >= {"severity", "title", "cause", "remedy"}
    report = ask(app, "/report?stream=bad%20one")
    assert report.status == 200 and "bad one" in report.body.decode()
    assert PLANTED not in report.body.decode()
    assert "sandbox" in report.headers["Content-Security-Policy"]


def test_a_report_that_is_not_kept_is_not_found(app, monitor):
    tell("bad", errors.ServerError("no", status=500), monitor)
    assert ask(app, "/report?stream=bad").status == 404
    assert ask(dashboard.app(monitor, StreamDebugger()), "/report?stream=none").status == 404


def test_figures_are_gathered_once_however_many_ask(monkeypatch):
    monkeypatch.setattr(feed, "INTERVAL", 3600.0)
    asked = []
    source = feed.Feed(lambda: {"n": len(asked)} if asked.append(1) is None else {}, 4)
    assert source.snapshot() == source.snapshot() == b'{"n":1}'


def test_a_store_takes_the_monitors_place(tmp_path):
    where = str(tmp_path / "monitor.db")
    monitor = StreamMonitor(share=where)
    tell("good", None, monitor)
    monitor.close()
    assert ask(dashboard.app(store=where), "/snapshot").json["totals"]["total_streams"] == 1


def test_what_cannot_be_right_is_refused(monitor, tmp_path):
    with pytest.raises(ConfigurationError, match="monitor or a store"):
        dashboard.app()
    with pytest.raises(ConfigurationError, match="monitor or a store"):
        dashboard.app(monitor, store="x.db")
    with pytest.raises(ConfigurationError, match="max_live"):
        dashboard.app(monitor, max_live=-1)
    with pytest.raises(ConfigurationError, match="token"):
        dashboard.app(monitor, token="")


# -- live ----------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(feed, "INTERVAL", 0.0)


def open_live(app):
    """The connection, begun; its first item is how long to wait before another."""
    said = []
    environ = {"PATH_INFO": "/live", "wsgi.multithread": True}
    setup_testing_defaults(environ)
    live = app(environ, lambda status, headers: said.append((status, dict(headers))))
    assert said[0][0] == "200 OK"
    assert said[0][1]["Content-Type"].startswith("text/event-stream")
    events = iter(live)
    assert next(events) == b"retry: 2000\n\n"
    return live, events


def parts(event):
    name, data, *rest = event.decode().split("\n")
    assert (name, rest) == ("event: parts", ["", ""])
    return json.loads(data[len("data: ") :])


def test_a_browser_gets_all_and_then_what_changed(quick, app, monitor):
    live, events = open_live(app)
    assert parts(next(events)).keys() >= {"totals", "series", "active", "failures", "about"}
    tell("good", None, monitor)
    changed = parts(next(events))
    assert changed["totals"]["total_streams"] == 1
    assert "about" not in changed and "failures" not in changed
    live.close()


def test_nothing_new_is_a_heartbeat(quick, monkeypatch, app):
    monkeypatch.setattr(feed, "HEARTBEAT", 0.0)
    live, events = open_live(app)
    next(events)
    assert b"event: beat\ndata:\n\n" in [next(events) for _ in range(3)]
    live.close()


def test_there_is_a_bound_and_a_place_that_is_left_is_free(monitor):
    app = dashboard.app(monitor, max_live=2)
    first, second = open_live(app)[0], open_live(app)[0]
    assert ask(app, "/live", wsgi_multithread=True).status == 503
    first.close()
    first.close()  # not counted twice
    third = open_live(app)[0]
    assert ask(app, "/live", wsgi_multithread=True).status == 503
    second.close(), third.close()


def test_a_place_is_freed_even_if_nothing_was_sent(monitor):
    app = dashboard.app(monitor, max_live=1)
    environ = {"PATH_INFO": "/live", "wsgi.multithread": True}
    setup_testing_defaults(environ)
    app(environ, lambda status, headers: None).close()
    open_live(app)[0].close()


def test_a_server_of_one_request_at_a_time_is_not_held(app):
    refused = ask(app, "/live", wsgi_multithread=False)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "60")


def test_closing_ends_the_connections_and_lets_no_new_ones_in(app):
    live, events = open_live(app)
    next(events)
    app.close()
    assert list(events) == []
    live.close()
    assert ask(app, "/live", wsgi_multithread=True).status == 503


def test_a_connection_ends_after_a_while_so_that_no_worker_is_held(monkeypatch, app):
    monkeypatch.setattr(feed, "LIFETIME", 0.0)
    live, events = open_live(app)
    assert list(events) == []
    live.close()


# -- who may look --------------------------------------------------------------------------------


@pytest.fixture
def guarded(monitor):
    return dashboard.app(monitor, token="s3cret")


@pytest.mark.parametrize("path", ["/", "/snapshot", "/live", "/report?stream=x", "/none"])
def test_without_the_token_there_is_nothing(guarded, path):
    for environ in (
        {},
        {"HTTP_AUTHORIZATION": "Bearer s3cre"},
        {"HTTP_AUTHORIZATION": "Basic s3cret"},
        {"HTTP_COOKIE": f"{COOKIE}=no"},
        {"HTTP_COOKIE": '\x00;="'},
    ):
        assert ask(guarded, path, **environ).status == 401
    assert ask(guarded, "/?token=wrong").status == 401


def test_a_program_sends_the_token_in_a_header(guarded):
    assert ask(guarded, "/snapshot", HTTP_AUTHORIZATION="bearer s3cret").status == 200


def test_a_browser_sends_it_once_and_then_a_cookie(guarded):
    first = ask(guarded, "/?token=s3cret")
    assert (first.status, first.headers["Location"]) == (303, "./")
    cookie = first.headers["Set-Cookie"]
    assert "s3cret" not in cookie
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert ask(guarded, "/", HTTP_COOKIE="a=b; " + cookie.split(";")[0]).status == 200


def test_over_https_and_under_a_prefix_the_cookie_is_for_these_alone(guarded):
    cookie = ask(
        guarded, "/?token=s3cret", wsgi_url_scheme="https", SCRIPT_NAME="/a;b"
    ).headers["Set-Cookie"]
    assert "Path=/a%3Bb/;" in cookie and cookie.endswith("; Secure")


@pytest.mark.parametrize("host", ["localhost:8787", "127.0.0.1", "[::1]:8787", "LOCALHOST"])
def test_this_machines_names_are_answered_to(monitor, host):
    assert ask(dashboard.app(monitor, hosts=LOCAL_HOSTS), HTTP_HOST=host).status == 200


@pytest.mark.parametrize("host", ["evil.example:8787", "localhost.evil.com", "127.0.0.1.nip.io"])
def test_a_name_that_was_made_to_point_here_is_not(monitor, host):
    refused = ask(dashboard.app(monitor, hosts=LOCAL_HOSTS), "/snapshot", HTTP_HOST=host)
    assert refused.status == 403 and b"totals" not in refused.body


# -- under a prefix ------------------------------------------------------------------------------


def outer(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"outer"]


def test_mounted_it_answers_under_its_prefix_alone(app):
    site = dashboard.mount(outer, "/ops/streams", app)
    assert ask(site, "/").body == ask(site, "/ops/streamsx").body == b"outer"
    assert b"<title>streamsafe" in ask(site, "/ops/streams/").body
    assert ask(site, "/ops/streams/snapshot").json["totals"]
    without = ask(site, "/ops/streams")
    assert (without.status, without.headers["Location"]) == (303, "streams/")


def test_mounted_the_token_still_leads_to_the_page(guarded):
    site = dashboard.mount(outer, "/ops/streams/", guarded)
    assert ask(site, "/ops/streams?token=s3cret").headers["Location"] == "streams/"
    found = ask(site, "/ops/streams/?token=s3cret")
    assert (found.headers["Location"], "Path=/ops/streams/;" in found.headers["Set-Cookie"]) == (
        "./", True,
    )  # fmt: skip


def test_a_prefix_that_is_no_path_is_refused(app):
    for prefix in ("streams", "/", ""):
        with pytest.raises(ConfigurationError, match="prefix"):
            dashboard.mount(outer, prefix, app)


def test_it_is_mounted_in_flask(app):
    flask = pytest.importorskip("flask")
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    site = flask.Flask("site")
    site.add_url_rule("/", view_func=lambda: "outer")
    site.wsgi_app = DispatcherMiddleware(site.wsgi_app, {"/streams": app})
    client = site.test_client()
    assert client.get("/").text == "outer"
    assert client.get("/streams").headers["Location"].endswith("streams/")
    page = client.get("/streams/")
    assert page.status_code == 200 and "'sha256-" in page.headers["Content-Security-Policy"]
    assert client.get("/streams/snapshot").json["totals"]["total_streams"] == 0


def test_it_is_mounted_in_django(app):
    django = pytest.importorskip("django")
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", SECRET_KEY="k")
        django.setup()
    site = dashboard.mount(get_wsgi_application(), "/streams", app)
    assert b"<title>streamsafe" in ask(site, "/streams/").body
    assert ask(site, "/streams/snapshot").json["totals"]["total_streams"] == 0
