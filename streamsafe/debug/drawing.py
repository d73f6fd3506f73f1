"""Drawing: the timeline as inline SVG, one lane an attempt. Pure: a timeline to a text.

Here live the coordinates. The colours are classes of ``report.css``; nothing that a server sent
stands in the picture but numbers, and the words of our own errors, escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from typing import Optional

from streamsafe.debug.timeline import Mark, Read, Timeline, Try
from streamsafe.observe.words import seconds

#: The picture's own units, about a pixel on a desktop.
WIDTH, LEFT, RIGHT, TOP = 840, 86, 24, 20
LANE, BAR, AXIS = 58, 16, 30
#: What is narrower is not drawn: it would be one smear.
LEAST = 0.8
#: Where a wait is this wide its seconds are written to it.
ROOM = 56
#: Steps of the axis, per power of ten.
_NICE = (1, 2, 5, 10)


class Scale:
    """Times to places on the axis."""

    def __init__(self, start: float, span: float) -> None:
        self.start = start
        self.span = max(span, 0.001)
        self._factor = (WIDTH - LEFT - RIGHT) / self.span

    def x(self, at: float) -> float:
        """Where a time stands, within the picture."""
        return LEFT + min(max(0.0, at - self.start), self.span) * self._factor

    def ticks(self) -> list[float]:
        """Round times, five to ten of them."""
        rough = self.span / 6
        power = 10 ** math.floor(math.log10(rough))
        step = next(nice * power for nice in _NICE if nice * power >= rough)
        return [number * step for number in range(int(self.span / step) + 1)]


def svg(timeline: Timeline) -> str:
    """The picture; "" of a stream that made no attempt."""
    if not timeline.tries:
        return ""
    scale = Scale(timeline.at, timeline.duration)
    height = TOP + LANE * len(timeline.tries) + AXIS
    parts = [*_axis(scale, height)]
    for row, one in enumerate(timeline.tries):
        parts += _lane(timeline, one, scale, TOP + row * LANE)
    label = f"Timeline of {len(timeline.tries)} attempts over {seconds(timeline.duration)}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _axis(scale: Scale, height: int) -> Iterator[str]:
    bottom = height - AXIS + 6
    for at in scale.ticks():
        x = scale.x(scale.start + at)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{_short(at)}</text>'


def _short(value: float) -> str:
    return f"{value:g} s" if value >= 1 or value == 0 else f"{value * 1000:g} ms"


def _lane(timeline: Timeline, one: Try, scale: Scale, top: int) -> Iterator[str]:
    bar = top + 14
    end = timeline.now if one.ended is None else one.ended
    status = f"HTTP {one.status}" if one.status else "no answer"
    yield f'<text class="strong" x="12" y="{bar + 7}">Attempt {one.number}</text>'
    yield f'<text x="12" y="{bar + 21}">{status}</text>'
    yield _box("track", scale, one.at, end, bar, "")
    sent = one.sent or one.opened
    yield _box("connecting", scale, one.at, sent or end, bar, "connecting")
    if sent is not None:
        yield _box("server", scale, sent, one.first_read or end, bar, "waiting for the answer")
    reads = [read for read in timeline.reads if read.attempt == one.number]
    yield from _waits(reads, scale, bar)
    if one.held_last and one.last_read is not None:
        until = one.last_read + one.held_last
        yield _box("consumer", scale, one.last_read, until, bar, "held by the program")
    if one.outcome == "failed" and one.last_read is not None:
        yield _box("server", scale, end - one.silence, end, bar, "waiting in vain")
    yield from _ticks(reads, scale, bar)
    yield from _marks(timeline, one, scale, bar)
    yield from _retry(timeline, one, end, scale, bar)
    yield from _end(one, scale.x(end), bar)


def _box(kind: str, scale: Scale, since: float, until: float, top: int, title: str) -> str:
    x, width = scale.x(since), scale.x(until) - scale.x(since)
    if width < LEAST:
        return ""
    said = f"<title>{title}: {seconds(until - since)}</title>" if title else ""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2">'
        f"{said}</rect>"
    )


def _waits(reads: list[Read], scale: Scale, bar: int) -> Iterator[str]:
    """Who waited for whom between the reads; of merged reads the shares, side by side."""
    before: Optional[float] = None
    for read in reads:
        begin = read.at - read.waited if read.count == 1 else (before or read.at)
        if read.held:
            yield _box("consumer", scale, begin - (read.held if read.count == 1 else 0),
                       begin if read.count == 1 else begin + read.held, bar,
                       "held by the program")  # fmt: skip
        start = begin + (read.held if read.count > 1 else 0)
        yield _box("server", scale, start, start + read.waited, bar, "waiting for the server")
        before = read.until


def _ticks(reads: list[Read], scale: Scale, bar: int) -> Iterator[str]:
    """A tick for each read with content, as many as the eye can tell apart; rings of heartbeats.
    """
    drawn: set[int] = set()
    rung: set[int] = set()
    for read in reads:
        for at in _times(read):
            x = scale.x(at)
            if read.content and int(x / 2) not in drawn:
                drawn.add(int(x / 2))
                top, low = bar - 3, bar + BAR + 3
                yield f'<line class="token" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{low}"/>'
            elif read.heartbeats and not read.content and int(x / 7) not in rung:
                rung.add(int(x / 7))
                yield f'<circle class="beat" cx="{x:.1f}" cy="{bar - 6}" r="3"/>'


def _times(read: Read) -> list[float]:
    """When merged reads may have come: evenly, for want of better knowledge."""
    if read.count == 1:
        return [read.at]
    step = (read.until - read.at) / (read.count - 1)
    return [read.at + step * number for number in range(min(read.count, WIDTH))]


def _marks(timeline: Timeline, one: Try, scale: Scale, bar: int) -> Iterator[str]:
    for step in timeline.steps:
        if not isinstance(step, Mark) or step.attempt != one.number:
            continue
        x, y = scale.x(step.at), bar - 7
        if step.kind == "resumed":
            yield (
                f'<path class="seam" d="M{x:.1f} {y - 5}l5 5l-5 5l-5 -5z">'
                "<title>seam: the answer was joined here</title></path>"
            )
        elif step.kind == "stalled":
            yield (
                f'<path class="stall" d="M{x:.1f} {y - 5}l5 9h-10z">'
                f"<title>silent for {seconds(step.facts['silent_for'])}</title></path>"
            )


def _end(one: Try, x: float, bar: int) -> Iterator[str]:
    middle = bar + BAR / 2
    if one.outcome == "failed":
        yield (
            f'<path class="end-bad" d="M{x - 5:.1f} {middle - 5}l10 10m0 -10l-10 10">'
            f"<title>{html.escape(one.fault.type if one.fault else 'failed')}</title></path>"
        )
    elif one.outcome:
        yield f'<circle class="end-good" cx="{x:.1f}" cy="{middle}" r="5"/>'
    if one.fault is not None:
        anchor = "end" if x > WIDTH / 2 else "start"
        place = min(max(x, LEFT), WIDTH - RIGHT)
        yield (
            f'<text class="bad" x="{place:.1f}" y="{bar + BAR + 16}" text-anchor="{anchor}">'
            f"{html.escape(one.fault.type)}</text>"
        )


def _retry(timeline: Timeline, one: Try, end: float, scale: Scale, bar: int) -> Iterator[str]:
    """The way to the next lane: how long was waited before it."""
    after = next((other for other in timeline.tries if other.number == one.number + 1), None)
    if after is None:
        return
    x, to, y = scale.x(end), scale.x(after.at), bar + BAR / 2
    yield f'<path class="wait" d="M{x + 7:.1f} {y}H{max(to, x + 7):.1f}V{bar + LANE - 4}"/>'
    if to - x > ROOM:
        middle = (x + 7 + to) / 2
        yield (
            f'<text x="{middle:.1f}" y="{y - 5}" text-anchor="middle">'
            f"{seconds(after.at - end)}</text>"
        )
