"""The dashboard in a real browser: it lives, it is safe, and everybody can use it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

from streamsafe import errors, lifecycle
from streamsafe.debug import StreamDebugger
from streamsafe.models import Attempt, Chunk, Completion, Outcome, Request
from streamsafe.monitor import StreamMonitor
from streamsafe.web import dashboard
from streamsafe.web.dashboard import feed, serving

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

PLANTED = (
    "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    "</script><svg onload=alert(1)>"
)


#: Puts the pipe's ends where Chromium looks for them, and becomes it.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab of a Chromium, steered over its DevTools pipe: JSON between NUL bytes."""

    def __init__(self, profile):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        options = (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}",
        )  # fmt: skip
        ends = (str(theirs_in), str(theirs_out))
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *ends, CHROMIUM, *options, "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in), os.close(theirs_out)
        self._ids = itertools.count(1)
        self._session = {}
        self._answers = {}
        self._changed = threading.Condition()
        self.events = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def start(self):
        tab = self.do("Target.createTarget", url="about:blank")["targetId"]
        found = self.do("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = {"sessionId": found["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(domain + ".enable")

    def do(self, method, **params):
        number = next(self._ids)
        said = {"id": number, "method": method, "params": params, **self._session}
        os.write(self._out, json.dumps(said).encode() + b"\0")
        with self._changed:
            assert self._changed.wait_for(lambda: number in self._answers, 60), method
            answer = self._answers.pop(number)
        assert "error" not in answer, answer
        return answer["result"]

    def js(self, expression):
        answer = self.do(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition):
        """Until it is true in the page; one that is not there yet has nothing to ask."""
        assert self.js(
            """new Promise((done) => {
              const look = () => {
                let so = false;
                try { so = CONDITION; } catch { }
                so ? done(true) : setTimeout(look, 20);
              };
              setTimeout(() => done(false), 25000);
              look();
            })""".replace("CONDITION", condition)
        ), f"never so: {condition}; shown: {self.js('document.body.innerText.slice(0, 300)')}"

    def hear(self, text):
        """Until a Server-Sent Event with this text has come."""
        kind = "Network.eventSourceMessageReceived"

        def heard():
            return any(
                event["method"] == kind and text in event["params"]["data"] for event in self.events
            )

        with self._changed:
            assert self._changed.wait_for(heard, 25)

    def open(self, url):
        self.do("Page.navigate", url=url)

    def key(self, key, code=0, text=""):
        for kind in ("keyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                    windowsVirtualKeyCode=code, text=text)  # fmt: skip

    def look(self, width=1280, height=900, scheme="light"):
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height,
                deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": scheme}
        self.do("Emulation.setEmulatedMedia", features=[scheme])

    def complaints(self):
        """What the console says: exceptions, violations of the policy; not failed requests."""
        found = []
        for event in self.events:
            if event["method"] == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"])
            elif event["method"] == "Log.entryAdded":
                entry = event["params"]["entry"]
                if entry["source"] != "network":
                    found.append(entry["text"])
        return found

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        os.close(self._in), os.close(self._out)

    def _read(self):
        rest = b""
        while True:
            data = os.read(self._in, 65536)
            if not data:
                return
            *messages, rest = (rest + data).split(b"\0")
            with self._changed:
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self.events.append(message)
                self._changed.notify_all()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    try:
        browser.start()
        yield browser
    finally:
        browser.close()


@pytest.fixture
def browser(chromium):
    """The tab, which has to end without a complaint."""
    chromium.events.clear()
    chromium.look()
    yield chromium
    assert chromium.complaints() == []
    chromium.do("Page.navigate", url="about:blank")


@pytest.fixture
def serve(monkeypatch):
    """``serve(app, port=0)`` -> a stop function and the page's address, under a prefix."""
    monkeypatch.setattr(feed, "INTERVAL", 0.1)
    # Browsers connect in advance and then ask nothing.
    monkeypatch.setattr(serving.Handler, "timeout", 1)
    stops = []

    def start(app, port=0):
        def nothing(environ, start_response):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b""]

        server = serving.Server("127.0.0.1", port, dashboard.mount(nothing, "/ops/streams", app))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()

        def stop():
            app.close()
            server.shutdown()
            thread.join()
            server.server_close()

        stops.append(stop)
        return stop, f"http://127.0.0.1:{server.server_port}/ops/streams/"

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def monitor():
    return StreamMonitor()


def begin(stream_id, *observers):
    """A stream that is under way."""
    request = Request("POST", "https://api.example.com/v1", {}, {"stream": True})
    tell(
        observers,
        lifecycle.Started(stream_id, 1.0, 1.7e9, "openai", "gpt-4o-mini"),
        lifecycle.AttemptStarted(stream_id, 1.0, 1, request),
        lifecycle.Opened(stream_id, 1.5, 1, 200, {}, "req-1", False),
        lifecycle.Chunks(stream_id, 2.0, b"x" * 50, 1, 0, [Chunk("text", "Hi")], 0.5, 0.0),
    )


def fail(stream_id, message, *observers):
    begin(stream_id, *observers)
    error = errors.ServerError(message, status=500)
    attempt = Attempt(1, 0.0, 200, "req-1", "failed", error=error)
    tell(
        observers,
        lifecycle.AttemptEnded(stream_id, 3.0, attempt),
        lifecycle.Failed(stream_id, 3.0, error, Completion("Hi", outcome=Outcome.FAILED)),
    )


def tell(observers, *records):
    for record in records:
        for observer in observers:
            observer.observe(record)


LIVE = "document.querySelector('#status').dataset.mode === 'live'"
TEXT = "document.querySelector('{}').textContent"


def test_the_page_is_live(browser, serve, monitor):
    _, url = serve(dashboard.app(monitor))
    browser.open(url)
    browser.wait(LIVE)
    begin("st-1", monitor)
    browser.wait("document.querySelector('#active tbody code')?.textContent === 'st-1'")
    fail("st-2", "boom", monitor)
    browser.wait("document.querySelectorAll('#failures details').length === 1")
    assert browser.js(TEXT.format("#errors .bars")) == "ServerError1"
    assert browser.js("document.querySelectorAll('#charts svg').length") == 4
    assert browser.js("document.title") == "(1) streamsafe"


def test_what_a_server_sent_stays_text(browser, serve, monitor):
    debugger = StreamDebugger()
    _, url = serve(dashboard.app(monitor, debugger))
    fail("st-<b>1</b>", PLANTED, monitor, debugger)
    browser.open(url)
    browser.wait("document.querySelector('#failures details')")
    browser.js("document.querySelector('#failures summary').click()")
    browser.wait("document.querySelector('#failures details').open")
    assert browser.js(TEXT.format("#failures .met p")) == PLANTED
    assert browser.js("document.querySelectorAll('script, img, b').length") == 1
    assert browser.js("document.title") == "streamsafe"
    assert browser.js("document.querySelectorAll('#failures .finding').length") >= 1
    browser.open(url + browser.js("document.querySelector('#failures a').getAttribute('href')"))
    browser.wait("document.body.innerText.includes('st-<b>1</b>')")
    assert browser.js("document.querySelectorAll('script, img').length") == 0


def test_where_events_do_not_come_the_page_asks(browser, serve, monitor):
    _, url = serve(dashboard.app(monitor, max_live=0))
    browser.open(url)
    browser.wait("document.querySelector('#status').dataset.mode === 'polling'")
    begin("st-1", monitor)
    browser.wait("document.querySelector('#active tbody code')?.textContent === 'st-1'")


def test_a_server_that_goes_away_is_told_and_its_return_is_noticed(browser, serve, monitor):
    stop, url = serve(dashboard.app(monitor))
    browser.open(url)
    browser.wait(LIVE)
    stop()
    browser.wait("document.querySelector('#status').dataset.mode === 'lost'")
    serve(dashboard.app(monitor), int(url.split(":")[2].split("/")[0]))
    browser.wait(LIVE)


def test_the_token_leaves_the_address_and_the_page_is_live(browser, serve, monitor):
    _, url = serve(dashboard.app(monitor, token="s3cret"))
    browser.open(url + "?token=s3cret")
    browser.wait(LIVE)
    assert browser.js("location.href") == url
    assert browser.js("document.cookie") == ""


def test_the_keyboard_is_enough(browser, serve, monitor):
    _, url = serve(dashboard.app(monitor))
    fail("st-1", "boom", monitor)
    browser.open(url)
    browser.wait("document.querySelector('#failures details')")
    browser.key("Tab", 9)
    assert browser.js("document.activeElement.textContent") == "Skip to the streams"
    browser.key("Enter", 13, "\r")
    browser.wait("document.activeElement.id === 'streams'")

    browser.js("document.querySelector('#charts svg').focus()")
    now = browser.js("document.activeElement.getAttribute('aria-valuenow')")
    browser.key("ArrowLeft", 37)
    then = browser.js("document.activeElement.getAttribute('aria-valuenow')")
    assert int(then) == int(now) - 1

    browser.js("document.querySelector('#failures summary').focus()")
    browser.key("Enter", 13, "\r")
    browser.wait("document.querySelector('#failures details').open")
    fail("st-2", "boom", monitor)
    browser.wait("document.querySelectorAll('#failures details').length === 2")
    assert browser.js("document.activeElement.parentElement.open")  # where it was, unfolded


def test_it_can_be_paused_and_another_window_be_chosen(browser, serve, monitor):
    _, url = serve(dashboard.app(monitor))
    browser.open(url)
    browser.wait(LIVE)
    browser.js("document.querySelector('#series').open = true")
    browser.js("document.querySelector('#windows input[value=\"1h\"]').click()")
    browser.wait("document.querySelectorAll('#series tbody tr').length === 60")
    browser.js("document.querySelector('#pause').click()")
    begin("st-1", monitor)
    browser.hear("st-1")
    assert browser.js("document.querySelectorAll('#active tbody tr').length") == 0
    browser.js("document.querySelector('#pause').click()")
    browser.wait("document.querySelectorAll('#active tbody tr').length === 1")


def test_screen_readers_find_landmarks_names_and_tables(browser, serve, monitor):
    _, url = serve(dashboard.app(monitor))
    begin("st-1", monitor)
    fail("st-2", "boom", monitor)
    browser.open(url)
    browser.wait("document.querySelector('#active tbody tr')")
    browser.do("Accessibility.enable")
    nodes = browser.do("Accessibility.getFullAXTree")["nodes"]
    browser.do("Accessibility.disable")
    seen = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    roles = [role for role, _ in seen]
    for role in ("banner", "main", "contentinfo", "status", "table", "columnheader", "rowheader"):
        assert role in roles, role
    for role, name in seen:
        if role in ("button", "slider", "region", "radio", "group", "link", "table"):
            assert name or role in ("group", "table"), f"a {role} without a name"


CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) =>
    [r, g, b].map((value, place) => value * a + below[place] * (1 - a));
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    return over(parse(getComputedStyle(node).backgroundColor), ground(node.parentElement));
  };
  const light = (colour) => colour.map((value) => value / 255)
    .map((value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    const shown = node.getClientRects().length && !node.closest("noscript, script, .hidden");
    if (!own || !shown) continue;
    const style = getComputedStyle(node);
    const text = parse(node.closest("svg") ? style.fill : style.color);
    const below = ground(node.closest("svg") ? node.closest("figure, td") : node);
    const [high, low] = [light(over(text, below)), light(below)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) found.push(`${node.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return found;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(browser, serve, monitor, scheme):
    debugger = StreamDebugger()
    _, url = serve(dashboard.app(monitor, debugger))
    begin("st-1", monitor, debugger)
    fail("st-2", "boom", monitor, debugger)
    browser.look(scheme=scheme)
    browser.open(url)
    browser.wait("document.querySelector('#failures details')")
    browser.js("document.querySelectorAll('details').forEach(node => { node.open = true })")
    browser.wait("document.querySelectorAll('#series tbody tr').length === 20")
    assert browser.js(CONTRAST) == []


@pytest.mark.parametrize("width", [320, 390, 820])
def test_it_fits_on_a_phone(browser, serve, monitor, width):
    _, url = serve(dashboard.app(monitor))
    begin("st-" + "1" * 80, monitor)
    fail("st-2", "x" * 400, monitor)
    browser.look(width=width, height=800)
    browser.open(url)
    browser.wait("document.querySelector('#failures details')")
    browser.js("document.querySelector('#failures details').open = true")
    assert browser.js("document.documentElement.scrollWidth") <= width
