"""Watch an answer survive what real life does to streams.

Starts a server on 127.0.0.1 that answers 429, resets the connection in the middle of the
answer, falls silent, sends a broken event, and at last behaves; and streams one answer through
all of it. No key, no network. What you see is the library's own record of the stream.
"""

from __future__ import annotations

import argparse
import sys
import threading
import zlib
from typing import Any, TextIO

from streamsafe import RetryPolicy, StreamSession, Timeouts, __version__
from streamsafe.cli.style import Margin, Style
from streamsafe.engine.accumulator import channels
from streamsafe.lifecycle import AttemptStarted, Opened, Record, Resumed, Retrying, Stalled
from streamsafe.models import Completion
from streamsafe.testing import FaultServer, pause, reply, rst, stall, stream
from streamsafe.testing.answers import openai_chat
from streamsafe.wire.http import HttpTransport

TEXT = (
    "A streamed answer is a promise kept one word at a time, over a wire that has promised "
    "nothing. Servers are busy. Connections drop in the middle of a sentence. Proxies fall "
    "silent and say nothing about it. Somewhere an event arrives torn in half. None of that is "
    "your program's business: it asked a question, and it wants the answer, whole, each word "
    "once, or the plain truth about why not. This text went through all of it on its way to you."
)

BROKEN = b'data: {"id":"chatcmpl-demo","choices":[{"index":0,"delta":{"cont\n\n'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "--fast", action="store_true", help="no pauses between the words (for scripts and tests)"
    )


def run(args: argparse.Namespace) -> int:
    """Show the demo; 0 if the answer came out whole."""
    out = sys.stdout
    style = Style(out)
    with FaultServer() as server:
        _script(server, 0.0 if args.fast else 0.035)
        session = StreamSession(
            "openai_compatible",
            base_url=f"{server.url}/v1",
            api_key="demo",
            model="demo-1",
            timeouts=Timeouts(inactivity=1.0, warn_after=0.5),
            retry=RetryPolicy(max_retries=4, base=0.4, cap=0.6, jitter="none"),
            resume="restart",
            # No proxy of the environment's leads to this machine.
            transport=HttpTransport(trust_env=False),
        )
        show = Show(out, style)
        show.title()
        with session.stream("What is a stream?", observers=[show]) as answer:
            for chunk in answer:
                show.text(chunk.text)
        completion = answer.completion
        show.verdict(completion)
    whole = completion.complete and completion.text == TEXT
    return 0 if whole else 1


def _script(server: FaultServer, pace: float) -> None:
    events = openai_chat(TEXT, model="demo-1", id="chatcmpl-demo")
    third = len(events) // 3

    def paced(count: int, known: int = 0) -> list[Any]:
        """The first events; those that the client knows already come without a pause."""
        steps: list[Any] = []
        for place, event in enumerate(events[:count]):
            steps += [event] if place < known else [event, pause(pace)]
        return steps

    server.expect(
        reply(
            429,
            json={"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}},
            headers={"Retry-After": "1"},
        ),
        stream(paced(third), then=rst()),
        stream(paced(2 * third, third), then=stall()),
        stream(paced(2 * third + third // 2, 2 * third), BROKEN),
        stream(paced(len(events), 2 * third + third // 2)),
    )


class Show:
    """An observer that prints what it is told, and the text between."""

    def __init__(self, out: TextIO, style: Style) -> None:
        self._style = style
        bar = style.symbol("│", "|")
        self._margin = Margin(out, f"   {style.paint(bar, 'dim')} ", style.width - 6)
        self._chars = 0
        self._lock = threading.Lock()  # guards the output: Stalled comes from another thread

    def title(self) -> None:
        """The head of the page."""
        paint = self._style.paint
        name = paint(f"streamsafe {__version__}", "bold")
        self._line("")
        what = "one answer, five attempts, a server that misbehaves"
        self._line(f" {name}  {paint(what, 'dim')}")
        self._line("")

    def text(self, text: str) -> None:
        """A piece of the answer."""
        with self._lock:
            self._chars += len(text)
            self._margin.flow(text)

    def observe(self, record: Record) -> None:
        """Print a line for what the newcomer should see."""
        try:
            self._show(record)
        except BrokenPipeError:
            pass  # the next piece of text meets it again, where it ends the demo

    def _show(self, record: Record) -> None:
        paint, symbol = self._style.paint, self._style.symbol
        if isinstance(record, AttemptStarted):
            number = paint(f"{record.number:2}", "cyan", "bold")
            self._line(f"{number} {record.request.method} {_path(record.request.url)}")
        elif isinstance(record, Opened) and record.status == 200:
            self._line(f"   {paint(symbol('←', '<') + ' 200, the answer begins', 'dim')}")
        elif isinstance(record, Stalled):
            text = f"{symbol('…', '...')} silent for {record.silent_for:.1f} s, nothing is cut yet"
            self._line(f"   {paint(text, 'dim')}")
        elif isinstance(record, Resumed):
            text = f"{symbol('⌁', '=')} {record.seam.at} characters came again and were dropped"
            self._line(f"   {paint(text, 'green')}")
        elif isinstance(record, Retrying):
            self._retrying(record)

    def _retrying(self, record: Retrying) -> None:
        paint, symbol = self._style.paint, self._style.symbol
        name = type(record.error).__name__
        message = getattr(record.error, "message", str(record.error))
        room = self._style.width - len(name) - 8
        shown = message if len(message) <= room else message[: room - 3] + "..."
        self._line(f"   {paint(symbol('✗', 'x') + ' ' + name, 'red')} {shown}")
        kept = f", {self._chars} characters are kept" if self._chars else ""
        why = f"({record.reason})"
        wait = f"{symbol('↻', '@')} again in {record.delay:.1f} s {why}{kept}"
        self._line(f"   {paint(wait, 'yellow')}")

    def verdict(self, completion: Completion) -> None:
        """The end: verdict, attempts, timings, and the proof."""
        paint, symbol = self._style.paint, self._style.symbol
        timings, text = completion.timings, channels(completion.choices).get(("text", 0), "")
        mark = paint(symbol("✔", "ok") + f" {completion.outcome.value}", "green", "bold")
        self._line("")
        self._line(f" {mark} {paint('finish_reason', 'dim')} {completion.finish_reason}")
        for attempt in completion.attempts:
            what = type(attempt.error).__name__ if attempt.error else attempt.outcome
            row = f"{attempt.number}  {attempt.status or '---'}  {attempt.duration:5.2f} s  {what}"
            self._line(f"   {paint('attempt', 'dim')} {row}")
        self._line(
            f"   {paint('timings', 'dim')} first token {timings.ttft or 0:.2f} s, gaps p50 "
            f"{1000 * (timings.gap_p50 or 0):.0f} ms, max {1000 * (timings.gap_max or 0):.0f} ms, "
            f"{timings.duration:.2f} s in all"
        )
        same = zlib.crc32(text.encode()) == zlib.crc32(TEXT.encode())
        proof = f"{len(text)} characters, each of them once" if same else "the text differs!"
        self._line(f"   {paint('proof  ', 'dim')} {proof} (CRC {zlib.crc32(text.encode()):08x})")
        self._line("")
        yours = "for chunk in StreamSession('openai').stream(...)"
        self._line(f" {paint('Now yours:', 'bold')} {yours}")
        self._line("")

    def _line(self, text: str) -> None:
        with self._lock:
            self._margin.line(text)


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[-1]
