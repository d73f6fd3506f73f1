"""An answer as Django's response."""

import asyncio

import pytest

from streamsafe.testing import openai_chat, stall, stream, wait

django = pytest.importorskip("django", minversion="4.2")
from django.conf import settings  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.test import Client, RequestFactory  # noqa: E402
from django.urls import path  # noqa: E402

from streamsafe.web.django import stream_response  # noqa: E402

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT)
PATIENCE = 10.0


@pytest.fixture(scope="module", autouse=True)
def site():
    if not settings.configured:  # a process has one Django; another test may have set it up
        settings.configure(SECRET_KEY="k")
        django.setup()
    settings.ALLOWED_HOSTS = ["*"]
    settings.ROOT_URLCONF = URLs
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware"]


class URLs:
    """What a URLconf is to Django: something with this attribute, set by each test."""

    urlpatterns = []


@pytest.fixture
def view(session, journal):
    def ask(request):
        return stream_response(session.stream("Hi"), request, format="text", heartbeat=0.3)

    def read(request, name):
        return stream_response(name, request, journal=journal)

    URLs.urlpatterns = [path("ask", ask), path("read/<name>", read)]
    django.urls.clear_url_caches()
    return ask


def body(response):
    return b"".join(response.streaming_content)


def test_it_is_a_response_in_one_line(model, view):
    model.expect(stream(EVENTS))
    response = Client().get("/ask")
    assert response.status_code == 200 and body(response).decode() == TEXT
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Accel-Buffering"] == "no"


def test_the_request_may_be_left_out(model, session):
    model.expect(stream(EVENTS))
    assert body(stream_response(session.stream("Hi"), format="text")).decode() == TEXT


def test_a_middleware_that_compresses_lets_it_through(model, view):
    model.expect(stream(EVENTS))
    response = Client().get("/ask", headers={"Accept-Encoding": "gzip"})
    assert body(response).decode() == TEXT


@pytest.mark.parametrize(
    "query, headers", [("", {"Last-Event-ID": "5"}), ("?last_event_id=5", {})]
)
def test_what_the_browser_has_seen_is_in_its_request(
    model, view, session, journal, read_events, query, headers
):
    model.expect(stream(EVENTS))
    session.complete("Hi", journal=journal, stream_id="river")
    response = Client().get(f"/read/river{query}", headers=headers)
    assert read_events(body(response))[1].id == "6"


def test_the_status_is_the_relays(view, monkeypatch):
    monkeypatch.setattr("streamsafe.web.sources.GRACE", 0.0)
    assert Client().get("/read/nobody").status_code == 404
    assert Client().get("/read/nobody", headers={"Last-Event-ID": "9:end"}).status_code == 204


def test_a_response_that_is_closed_closes_the_stream(model, view):
    model.expect(stream(EVENTS[:3], then=stall()))
    response = view(RequestFactory().get("/ask"))
    assert next(iter(response)) == b"Rivers"
    response.close()
    assert model.requests[0].client_gone.wait(PATIENCE)


# -- ASGI ----------------------------------------------------------------------------------------


class Browser:
    """One request to an ASGI application, without a server between."""

    def __init__(self):
        self.gone = asyncio.Event()
        self.sent = asyncio.Queue()
        self._asked = False

    async def get(self, path):
        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [],
            "http_version": "1.1", "asgi": {"version": "3.0"},
        }  # fmt: skip
        await get_asgi_application()(scope, self.receive, self.sent.put)

    async def receive(self):
        if not self._asked:
            self._asked = True
            return {"type": "http.request"}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def read(self):
        message = await asyncio.wait_for(self.sent.get(), PATIENCE)
        return message.get("body", b"")


def test_under_asgi_tokens_come_one_by_one(model, view):
    model.expect(stream(EVENTS[:3], wait("more"), EVENTS[3:]))

    async def browse():
        browser = Browser()
        served = asyncio.ensure_future(browser.get("/ask"))
        await browser.read()  # the headers
        got = await browser.read()
        assert got == b"Rivers"
        model.gate("more").open()
        await served
        while not browser.sent.empty():
            got += await browser.read()
        return got.decode()

    assert asyncio.run(browse()) == TEXT


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django 4.2 does not ask for disconnects")
def test_under_asgi_a_browser_that_goes_takes_the_stream_with_it(model, view):
    model.expect(stream(EVENTS[:3], then=stall()))

    async def browse():
        browser = Browser()
        served = asyncio.ensure_future(browser.get("/ask"))
        while await browser.read() != b"Rivers":
            pass
        browser.gone.set()
        await served

    asyncio.run(browse())
    assert model.requests[0].client_gone.wait(PATIENCE)
