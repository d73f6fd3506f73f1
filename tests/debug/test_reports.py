"""The reports: what stands in them, that they fit, and that no server can put markup in them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from streamsafe import RetryPolicy
from streamsafe.debug.narrative import MAX_LINES, collapsed, said
from streamsafe.debug.timeline import Read
from streamsafe.testing import heartbeats, pause, reply, rst, stream
from streamsafe.testing.answers import openai_chat

TEXT = "The quick brown fox jumps over the lazy dog. " * 4
EVENTS = openai_chat(TEXT, usage=(5, 36))
NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>&amp;\x1b[2J\x07"


@pytest.fixture
def mended(server, run):
    """A stream that was refused, broke, and was mended."""
    server.expect(
        reply(429, json={"error": {"message": "slow down"}}, headers={"Retry-After": "0.01"}),
        stream([[event, pause(0.001)] for event in EVENTS[:12]], then=rst()),
        stream(EVENTS[:9], heartbeats(2, every=0.01), EVENTS[9:]),
    )
    return run(retry=RetryPolicy(base=0.001), resume="restart")


def test_the_text_says_what_was_asked_what_happened_and_why(mended, debugger):
    report = debugger.report()
    for part in (
        "COMPLETE after", "Mended on the way: The API's rate limit was met (and 1 more).",
        "ASKED\n  POST http://", "Authorization: ***", "ATTEMPTS", "  RateLimitError\n",
        "  ConnectionDroppedError\n", "ERRORS", "slow down", "TIMELINE",
            "ANSWERED\n  HTTP 200 (attempt 3)\n  content-type: text/event-stream",
        "retry as attempt 2 in 10 ms", "joined at character",
        "CHUNKS", "gap between tokens", "TIME", "held by your program", "DIAGNOSIS",
        "[error, mended: rate-limit]", "     do    ", "verdict: complete",
    ):  # fmt: skip
        assert part in report


def test_the_text_fits_into_80_columns(mended, debugger):
    assert max(map(len, debugger.report().split("\n"))) <= 80


def test_runs_of_reads_are_one_line_that_loses_nothing(mended):
    entries = collapsed(mended)
    folded = [entry for entry in entries if isinstance(entry, Read)]
    assert len(folded) < len(mended.reads)
    assert sum(entry.count for entry in folded) == len(mended.reads)
    assert sum(entry.size for entry in folded) == sum(read.size for read in mended.reads)
    assert any(re.match(r"\.\.\. \d+ reads, .* in all", said(entry)) for entry in folded)


def test_a_long_pause_stands_alone_in_a_run(mended):
    reads = [Read(float(n), 1, 10, 1, 0, 1, 1, 0.01, 0.0) for n in range(20)]
    reads[10] = reads[10]._replace(waited=9.0)
    entries = collapsed(mended._replace(steps=tuple(reads)))
    assert [entry.count for entry in entries] == [1, 9, 1, 8, 1]


def test_a_timeline_of_many_lines_leaves_out_its_middle(mended):
    entries = collapsed(mended._replace(steps=mended.steps * 50))
    assert len(entries) == MAX_LINES + 1
    assert "steps left out" in said(entries[MAX_LINES // 2])


def test_the_json_holds_the_same_facts(mended, debugger):
    facts = json.loads(debugger.report(format="json"))
    assert (facts["version"], facts["verdict"], facts["error"]) == (1, "complete", None)
    assert [one["number"] for one in facts["attempts"]] == [1, 2, 3]
    assert facts["attempts"][0]["fault"]["type"] == "RateLimitError"
    assert facts["attempts"][0]["at"] < facts["attempts"][1]["at"] < facts["duration"]
    assert facts["diagnosis"][0]["rule"] == "rate-limit"
    assert facts["figures"]["reads"] == len(mended.reads)
    kinds = [step["kind"] for step in facts["steps"]]
    assert kinds[0] == "attempt" and kinds[-1] == "verdict" and "read" in kinds


class Tags(HTMLParser):
    """Collects tags and attributes, and complains of what is not closed."""

    VOID = ("meta", "img", "br", "link", "line", "rect", "circle", "path")

    def __init__(self, page):
        super().__init__()
        self.seen, self.attributes, self._open = [], [], []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in ("meta",):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(mended, debugger):
    page = debugger.report(format="html")
    tags = Tags(page)
    assert tags.seen.count("svg") == 1 and "script" not in tags.seen and "link" not in tags.seen
    assert not [name for name, _ in tags.attributes if name in ("src", "href") or name[:2] == "on"]
    assert "url(" not in page and "@import" not in page
    assert "Content-Security-Policy" in page and "prefers-color-scheme" in page


def test_the_picture_has_a_lane_for_each_attempt_and_shows_seam_and_ends(mended, debugger):
    page = debugger.report(format="html")
    assert all(f">Attempt {number}</text>" in page for number in (1, 2, 3))
    for kind, least in (("end-bad", 2), ("end-good", 1), ("seam", 1), ("token", 3), ("wait", 2)):
        assert page.count(f'class="{kind}"') >= least, kind


def test_the_picture_shows_heartbeats(server, debugger, run):
    server.expect(stream(EVENTS[:3], heartbeats(3, every=0.02), EVENTS[3:]))
    run()
    assert 'class="beat"' in debugger.report(format="html")


@pytest.mark.parametrize(
    "exchange",
    [
        reply(500, json={"error": {"message": NASTY, "code": NASTY, "type": NASTY}}),
        reply(200, f"<html>{NASTY}</html>"),
        reply(429, NASTY, headers={"x-ratelimit-x": "<script>alert(1)</script>"}),
        stream(EVENTS[:3], f'data: {{"error": {{"message": {json.dumps(NASTY)}}}}}\n\n'),
        stream(EVENTS[:3], f"data: {NASTY}"),
        stream(EVENTS, content_type="<script>alert(1)</script>"),
        stream([event.replace(b"gpt-test", b"<script>alert(1)</script>") for event in EVENTS]),
    ],
)
def test_what_servers_send_is_neither_markup_nor_control(server, debugger, run, exchange):
    server.expect(exchange)
    run(f"Hi {NASTY}")
    page = debugger.report(format="html")
    tags = Tags(page)
    assert "script" not in tags.seen and "img" not in tags.seen
    assert "\x1b" not in page
    text = debugger.report()
    assert "\x1b" not in text and "\x07" not in text


def test_half_a_surrogate_pair_can_be_written_and_stays_what_it_was(server, debugger, run):
    server.expect(stream([event.replace(b"gpt-test", b"\\ud800") for event in EVENTS]))
    run()
    for form in ("text", "html", "json"):
        debugger.report(format=form).encode()
    assert json.loads(debugger.report(format="json"))["model"] == "\ud800"


def test_a_notebook_shows_the_last_stream_and_says_so_when_there_is_none(server, debugger, run):
    assert "no stream yet" in debugger._repr_html_()
    server.expect(stream(EVENTS))
    run()
    shown = debugger._repr_html_()
    assert "<svg" in shown and "<html" not in shown
    Tags(shown)
