"""The dashboard in a real browser: it lives, it is safe, and everybody can use it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from streamsafe import errors, lifecycle
from streamsafe.debug import StreamDebugger
from streamsafe.models import Attempt, Chunk, Completion, Outcome, Request
from streamsafe.monitor import StreamMonitor
from streamsafe.web import dashboard
from streamsafe.web.dashboard import feed, serving

pytestmark = pytest.mark.browser

#: What draws a chart.
PARTS = ("dom", "format", "charts")

PLANTED = (
    "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    "</script><svg onload=alert(1)>"
)


@pytest.fixture
def browser(page):
    """The page, which has to end without a complaint of its console."""
    for domain in ("Runtime", "Log", "Network"):
        page(domain + ".enable")
    page.events.clear()
    look(page)
    yield page
    assert complaints(page) == []
    page("Page.navigate", url="about:blank")


def look(page, width=1280, height=900, scheme="light"):
    page(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
    )  # fmt: skip
    page("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def complaints(page):
    """What the console says: exceptions, violations of the policy; not failed requests."""
    page.run("0")
    found = []
    for event in page.events:
        said = event["params"]
        if event["method"] == "Runtime.exceptionThrown":
            found.append(said["exceptionDetails"])
        elif event["method"] == "Log.entryAdded" and said["entry"]["source"] != "network":
            found.append(said["entry"]["text"])
    return found


def heard(page, text):
    """Whether a Server-Sent Event with this text has come."""
    page.run("0")
    return any(
        event["method"] == "Network.eventSourceMessageReceived" and text in event["params"]["data"]
        for event in page.events
    )


@pytest.fixture
def site(monkeypatch):
    """``site(app, port=0)`` -> a stop function and the page's address, under a prefix."""
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


def begin(stream_id, *observers, model="gpt-4o-mini"):
    """A stream that is under way."""
    request = Request("POST", "https://api.example.com/v1", {}, {"stream": True})
    tell(
        observers,
        lifecycle.Started(stream_id, 1.0, 1.7e9, "openai", model),
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


def test_the_page_is_live(browser, site, monitor):
    _, url = site(dashboard.app(monitor))
    browser.open(url)
    browser.wait_for(LIVE)
    begin("st-1", monitor)
    browser.wait_for("document.querySelector('#active tbody code')?.textContent === 'st-1'")
    fail("st-2", "boom", monitor)
    browser.wait_for("document.querySelectorAll('#failures details').length === 1")
    assert browser.run(TEXT.format("#errors .bars")) == "ServerError1"
    assert browser.run("document.querySelectorAll('#charts svg').length") == 4
    assert browser.run("document.title") == "(1) streamsafe"


def test_what_a_server_sent_stays_text(browser, site, monitor):
    debugger = StreamDebugger()
    _, url = site(dashboard.app(monitor, debugger))
    fail("st-<b>1</b>", PLANTED, monitor, debugger)
    browser.open(url)
    browser.wait_for("!!document.querySelector('#failures details')")
    browser.run("document.querySelector('#failures summary').click()")
    browser.wait_for("document.querySelector('#failures details').open")
    assert browser.run(TEXT.format("#failures .met p")) == PLANTED
    assert browser.run("document.querySelectorAll('script, img, b').length") == 1
    assert browser.run("document.title") == "streamsafe"
    assert browser.run("document.querySelectorAll('#failures .finding').length") >= 1
    browser.open(url + browser.run("document.querySelector('#failures a').getAttribute('href')"))
    browser.wait_for("document.body.innerText.includes('st-<b>1</b>')")
    assert browser.run("document.querySelectorAll('script, img').length") == 0


def test_where_events_do_not_come_the_page_asks(browser, site, monitor):
    _, url = site(dashboard.app(monitor, max_live=0))
    browser.open(url)
    browser.wait_for("document.querySelector('#status').dataset.mode === 'polling'")
    begin("st-1", monitor)
    browser.wait_for("document.querySelector('#active tbody code')?.textContent === 'st-1'")


def test_a_server_that_goes_away_is_told_and_its_return_is_noticed(browser, site, monitor):
    stop, url = site(dashboard.app(monitor))
    browser.open(url)
    browser.wait_for(LIVE)
    stop()
    browser.wait_for("document.querySelector('#status').dataset.mode === 'lost'")
    site(dashboard.app(monitor), int(url.split(":")[2].split("/")[0]))
    browser.wait_for(LIVE)


def test_the_token_leaves_the_address_and_the_page_is_live(browser, site, monitor):
    _, url = site(dashboard.app(monitor, token="s3cret"))
    browser.open(url + "?token=s3cret")
    browser.wait_for(LIVE)
    assert browser.run("location.href") == url
    assert browser.run("document.cookie") == ""


def test_the_keyboard_is_enough(browser, site, monitor):
    _, url = site(dashboard.app(monitor))
    fail("st-1", "boom", monitor)
    browser.open(url)
    browser.wait_for("!!document.querySelector('#failures details')")
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.textContent") == "Skip to the streams"
    browser.press("Enter", 13)
    browser.wait_for("document.activeElement.id === 'streams'")

    browser.run("document.querySelector('#charts svg').focus()")
    now = browser.run("document.activeElement.getAttribute('aria-valuenow')")
    browser.press("ArrowLeft", 37)
    then = browser.run("document.activeElement.getAttribute('aria-valuenow')")
    assert int(then) == int(now) - 1

    browser.run("document.querySelector('#failures summary').focus()")
    browser.press("Enter", 13)
    browser.wait_for("document.querySelector('#failures details').open")
    fail("st-2", "boom", monitor)
    browser.wait_for("document.querySelectorAll('#failures details').length === 2")
    assert browser.run("document.activeElement.parentElement.open")  # where it was, unfolded


SCALES = """
  const found = [];
  for (const [show, options] of [[seconds, { wide: true }], [perSecond, { binary: true }]])
    for (let power = -7; power < 7; power++)
      for (const step of [1, 1.3, 2.5, 7])
        for (const least of [1, 1e-4]) {
          const most = step * 10 ** power, lines = [1, least].map((part) => ({ value: () => Math.max(part * most, 9.8e-7) }));
          const chart = new Chart(document.body, { title: "", headline: () => "", lines, show, ...options });
          chart.update([{ at: 0 }], null);
          found.push([most, [...chart.svg.querySelectorAll("text")].map((text) => text.textContent)]);
        }
  return found;
"""  # noqa: E501


def test_no_scale_has_a_label_twice(browser, site, monitor):
    """The least that is measured is a microsecond, to the sketch's accuracy."""
    _, url = site(dashboard.app(monitor))
    browser.open(url)
    files = [(Path(dashboard.__file__).parent / f"{name}.js").read_text("utf-8") for name in PARTS]
    found = browser.run("(() => {" + "".join(files) + SCALES + "})()")
    assert len(found) == 2 * 14 * 4 * 2
    assert [labels for _, labels in found if len(set(labels)) < len(labels)] == []
    assert [1e-4, ["0 B/s", "0.5 B/s", "1 B/s"]] in found
    assert [1e-6, ["0 s", "0.5 µs", "1 µs"]] in found


def test_it_can_be_paused_and_another_window_be_chosen(browser, site, monitor):
    _, url = site(dashboard.app(monitor))
    browser.open(url)
    browser.wait_for(LIVE)
    browser.run("document.querySelector('#series').open = true")
    browser.run("document.querySelector('#windows input[value=\"1h\"]').click()")
    browser.wait_for("document.querySelectorAll('#series tbody tr').length === 60")
    browser.run("document.querySelector('#pause').click()")
    begin("st-1", monitor)
    while not heard(browser, "st-1"):
        pass
    assert browser.run("document.querySelectorAll('#active tbody tr').length") == 0
    browser.run("document.querySelector('#pause').click()")
    browser.wait_for("document.querySelectorAll('#active tbody tr').length === 1")


def test_screen_readers_find_landmarks_names_and_tables(browser, site, monitor):
    _, url = site(dashboard.app(monitor))
    begin("st-1", monitor)
    fail("st-2", "boom", monitor)
    browser.open(url)
    browser.wait_for("!!document.querySelector('#active tbody tr')")
    browser("Accessibility.enable")
    nodes = browser("Accessibility.getFullAXTree")["nodes"]
    browser("Accessibility.disable")
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
def test_all_text_has_contrast(browser, site, monitor, scheme):
    debugger = StreamDebugger()
    _, url = site(dashboard.app(monitor, debugger))
    begin("st-1", monitor, debugger)
    fail("st-2", "boom", monitor, debugger)
    look(browser, scheme=scheme)
    browser.open(url)
    browser.wait_for("!!document.querySelector('#failures details')")
    browser.run("document.querySelectorAll('details').forEach(node => { node.open = true })")
    browser.wait_for("document.querySelectorAll('#series tbody tr').length === 20")
    assert browser.run(CONTRAST) == []


def test_a_long_name_does_not_push_the_figures_out_of_sight(browser, site, monitor):
    _, url = site(dashboard.app(monitor))
    begin("st-" + "1" * 150, monitor, model="arn:aws:bedrock:" + "m" * 150)
    browser.open(url)
    browser.wait_for("!!document.querySelector('#groups tbody th')")
    over = "(t => t.scrollWidth - t.clientWidth)(document.querySelector('{}').closest('.scroll'))"
    assert browser.run(over.format("#groups tbody")) == 0
    assert browser.run(over.format("#active tbody")) == 0


@pytest.mark.parametrize("width", [320, 390, 820])
def test_it_fits_on_a_phone(browser, site, monitor, width):
    _, url = site(dashboard.app(monitor))
    begin("st-" + "1" * 80, monitor)
    fail("st-2", "x" * 400, monitor)
    look(browser, width=width, height=800)
    browser.open(url)
    browser.wait_for("!!document.querySelector('#failures details')")
    browser.run("document.querySelector('#failures details').open = true")
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_many_streams_do_not_push_what_failed_out_of_sight(browser, site, monitor, width):
    _, url = site(dashboard.app(monitor))
    for number in range(60):
        begin(f"st-{number}", monitor)
    fail("st-failed", "oops", monitor)
    look(browser, width=width, height=800)
    browser.open(url)
    browser.wait_for("document.querySelectorAll('#active tbody tr').length === 50")
    assert browser.run("document.querySelector('#active .scroll').clientHeight") <= 480


def test_a_time_is_never_sixty_seconds_of_a_minute(browser):
    source = Path(dashboard.__file__).with_name("format.js").read_text("utf-8")
    values = [0.00996, 0.9996, 9.996, 119.6, 179.6, 239.7, 7199.7, 10799, 86399]
    said = browser.run(f"(() => {{ {source}; return {values}.map(seconds); }})()")
    assert said == [
        "10 ms", "1.00 s", "10 s", "2 min 0 s", "3 min 0 s", "4 min 0 s", "2 h 0 min", "3 h 0 min",
        "24 h 0 min",
    ]  # fmt: skip
