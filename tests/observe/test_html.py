"""The figures as a notebook shows them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from streamsafe import errors
from streamsafe.monitor import SharedFigures, StreamMonitor, stalls_above


class Reader(HTMLParser):
    """The text, the tags, and whether each that is opened is closed."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.tags, self.open = [], set(), []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)


@pytest.fixture
def monitor(clock):
    return StreamMonitor(clock=clock)


def test_a_monitor_without_streams_shows_dashes(monitor):
    shown = Reader(monitor._repr_html_())
    assert "active 0" in shown.text and "success –" in shown.text
    assert "table" not in shown.tags


def test_streams_failures_errors_and_alerts_are_shown(monitor, life):
    monitor.add_alert(stalls_above(0, name="too many stalls"), lambda alert: None)
    life(monitor, stream_id="on").begin().read("a", after=0.5).stalled()
    life(monitor, stream_id="bad").begin().fail(errors.ServerError("boom", status=500))
    shown = Reader(monitor._repr_html_())
    for text in ("too many stalls", "errors met: ServerError 1", "bad", "boom", "streaming"):
        assert text in shown.text
    assert "Active streams on gpt-4o-mini" in shown.text.replace(
        "stream model status running first token tokens received retries ", ""
    )


def test_what_a_server_sent_stays_text(monitor, life):
    planted = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    life(monitor, stream_id=planted, model=planted).begin().fail(errors.ServerError(planted))
    shown = Reader(monitor._repr_html_())
    assert planted in shown.text
    assert not shown.tags & {"script", "img"}


def test_what_no_file_can_hold_is_left_out(monitor, life):
    life(monitor).begin().fail(errors.ServerError("half a pair: \ud800"))
    assert b"half a pair" in monitor._repr_html_().encode()


def test_more_streams_than_fit_are_counted(monitor, life):
    for _ in range(12):
        life(monitor).begin()
    assert "the newest 10 of 12" in monitor._repr_html_()


def test_shared_figures_look_the_same(tmp_path, clock, life):
    where = str(tmp_path / "monitor.db")
    monitor = StreamMonitor(share=where, clock=clock)
    life(monitor, stream_id="on").begin().read("a", after=0.5)
    monitor.close()
    shown = Reader(SharedFigures(where, clock=clock)._repr_html_())
    assert "active 1" in shown.text and "on" in shown.texts


def test_a_store_that_fails_is_told(clock):
    pytest.importorskip("redis")
    shared = SharedFigures("redis://127.0.0.1:1/0", clock=clock)
    assert "The shared store fails" in shared._repr_html_()
