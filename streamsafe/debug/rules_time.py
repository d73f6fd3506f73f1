"""Rules on time: what was slow, who kept whom waiting, and which clock ran out."""

from __future__ import annotations

from streamsafe.debug.case import Case
from streamsafe.debug.finding import Rule, TryRule
from streamsafe.debug.timeline import Read, Timeline, Try
from streamsafe.observe.words import seconds

#: An answer "all at once": so many events, at least so many in a read, within this part of the
#: wait before them. Fast hardware (2,000 tokens/s) still sends them one by one.
ALL_AT_ONCE_EVENTS = 16
ALL_AT_ONCE_PER_READ = 8
ALL_AT_ONCE_PART = 0.1

#: Proxies pass on full buffers: a page, or nginx's 4, 8, 16 KiB. Two reads of just such a size,
#: with several events in each and a wait before each, are no chance.
PAGES = (4096, 8192, 16384, 32768)
FULL_BUFFERS = 2

#: Heartbeats since the last content from which on a silence is "heartbeats only".
BEATS = 2

#: The program's part of the time from which on it is the slow one.
CONSUMER_PART = 0.5

#: Failing streams with the same request, the one in question included.
OUTER_RETRIES = 3


def _buffered(one: Try, case: Case) -> list[str]:
    if one.sent is None or one.first_content is None or one.last_content is None:
        return []
    wait, burst = one.first_content - one.sent, one.last_content - one.first_content
    events, reads = _content(one, case)
    if wait < case.thresholds.buffered or events < ALL_AT_ONCE_EVENTS:
        return []
    if events < ALL_AT_ONCE_PER_READ * reads or burst - _held(one, case) > ALL_AT_ONCE_PART * wait:
        return []
    return [
        f"nothing for {seconds(wait)}, then {events:,} events in {reads} reads "
        f"within {seconds(max(0.0, burst))}",
        *_signs(one),
    ]


def _content(one: Try, case: Case) -> tuple[int, int]:
    """Events and reads of an attempt, in the reads that brought content."""
    reads = [read for read in case.timeline.reads if read.attempt == one.number and read.content]
    return sum(read.events for read in reads), sum(read.count for read in reads)


def _held(one: Try, case: Case) -> float:
    return sum(read.held for read in case.timeline.reads if read.attempt == one.number)


def _signs(one: Try) -> list[str]:
    names = ("server", "via", "x-accel-buffering", "x-cache", "cf-ray", "content-length")
    return [f"{name}: {one.headers[name]}" for name in names if one.headers.get(name)]


def _full_buffers(one: Try, case: Case) -> list[str]:
    for page in PAGES:
        # The first read waits for the model, too, and nginx puts its headers into the buffer.
        full = [read for read in _reads(one, case)[1:] if read.size == page]
        # Behind a slow program full buffers are the kernel's own.
        waited = [read for read in full if read.waited > max(0.1, read.held)]
        if len(waited) >= FULL_BUFFERS and sum(read.events for read in waited) > len(waited):
            longest = max(read.waited for read in waited)
            return [
                f"{len(full)} reads of exactly {page:,} bytes, up to {seconds(longest)} apart",
                *_signs(one),
            ]
    return []


def _reads(one: Try, case: Case) -> list[Read]:
    return [read for read in case.timeline.reads if read.attempt == one.number and read.count == 1]


def _slow_first_token(one: Try, case: Case) -> list[str]:
    if one.sent is None or one.first_content is None:
        return []
    wait = one.first_content - one.sent
    if wait < case.thresholds.first_token:
        return []
    lines = [f"the first content came {seconds(wait)} after the request was sent"]
    if one.opened is not None:
        lines.append(f"the headers had come after {seconds(one.opened - one.sent)}")
    return lines


def _heartbeats_only(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or fault.clock not in ("stall", "first_token") or one.beats < BEATS:
        return []
    since = one.last_content or one.opened or one.at
    silent = (one.ended or since) - since
    return [f"{one.beats} heartbeats and nothing else in the last {seconds(silent)}"]


def _clock(name: str) -> TryRule:
    def look(one: Try, case: Case) -> list[str]:
        fault = one.fault
        if fault is None or fault.clock != name:
            return []
        return [f"{seconds(fault.elapsed or 0.0)} of Timeouts({name}={fault.limit:g})"]

    return look


def _slow_consumer(case: Case) -> list[str]:
    shares, duration = case.figures.shares, case.figures.duration
    if shares.consumer < case.thresholds.held or shares.consumer < CONSUMER_PART * duration:
        return []
    return [
        f"the program held the stream for {seconds(shares.consumer)} of {seconds(duration)}, "
        f"the server kept it waiting for {seconds(shares.server)}"
    ]


def _outer_retries(case: Case) -> list[str]:
    """Other streams with the same request that failed shortly before or after this one."""
    own = _fingerprint(case.timeline)
    if case.timeline.verdict != "failed" or not own:
        return []
    near = case.thresholds.outer_retries
    alike = [
        other
        for other in case.others
        if other.verdict == "failed" and _fingerprint(other) == own and _apart(other, case) <= near
    ]
    if len(alike) + 1 < OUTER_RETRIES:
        return []
    attempts = sum(other.attempts for other in alike) + case.timeline.attempts
    return [f"{len(alike) + 1} streams with the same request failed, {attempts} attempts in all"]


def _fingerprint(timeline: Timeline) -> str:
    return timeline.tries[0].fingerprint if timeline.tries else ""


def _apart(other: Timeline, case: Case) -> float:
    """Seconds between one stream's end and the other's start."""
    first, second = sorted((other, case.timeline), key=lambda timeline: timeline.wall)
    return second.wall - (first.wall + first.duration)


RULES = (
    Rule(
        "heartbeats-only",
        "error",
        "The server sent heartbeats, but no more of the answer",
        "The connection is alive, the model behind it is stuck, queued or very slow.",
        "If the model really thinks that long, raise Timeouts.stall (or first_token); else look "
        "at the server's queue.",
        of_try=_heartbeats_only,
        hides=("clock-stall", "clock-first_token"),
    ),
    Rule(
        "clock-connect",
        "error",
        "Your connect clock ran out",
        "The server (or a firewall that drops packets) did not answer the connection or the TLS "
        "handshake in time.",
        "Check address and firewall; over slow links raise Timeouts.connect.",
        of_try=_clock("connect"),
    ),
    Rule(
        "clock-first_token",
        "error",
        "Your first_token clock ran out",
        "The model had not begun to answer: a long prompt, a cold start, a queue, or a model that "
        "thinks in silence.",
        "Raise Timeouts.first_token for such models, or shorten the prompt.",
        of_try=_clock("first_token"),
    ),
    Rule(
        "clock-inactivity",
        "error",
        "Your inactivity clock ran out",
        "After the first content not one byte came for that long: the server hangs, or the "
        "connection is dead without a sign.",
        "Raise Timeouts.inactivity if the model pauses like this; else look at the server.",
        of_try=_clock("inactivity"),
    ),
    Rule(
        "clock-stall",
        "error",
        "Your stall clock ran out",
        "Bytes came, but nothing that the answer is made of.",
        "Raise Timeouts.stall if that is normal for this model; else look at the server.",
        of_try=_clock("stall"),
    ),
    Rule(
        "clock-total",
        "error",
        "Your total clock ran out",
        "All attempts, waits and the answer together took longer than you allowed.",
        "Raise Timeouts.total, lower max_tokens, or keep what came: it is on error.partial.",
        of_try=_clock("total"),
    ),
    Rule(
        "outer-retries",
        "warning",
        "Another layer retries on top of streamsafe's retries",
        "The same request was begun again and again after it had failed: retries multiply, and so "
        "do their cost and the load.",
        "Retry in one place: drop the outer loop (tenacity, a task queue), or give streamsafe "
        "RetryPolicy(max_retries=0).",
        of_case=_outer_retries,
    ),
    Rule(
        "buffered",
        "warning",
        "The answer came all at once, at the end",
        "Something on the way collects the answer and passes it on when it is whole: a proxy that "
        "buffers, compression, a server that does not flush.",
        "nginx: proxy_buffering off, or have the server send X-Accel-Buffering: no. Apache: "
        "flushpackets=on. Python servers: yield, don't join; no gzip middleware.",
        of_try=_buffered,
        hides=("slow-first-token", "full-buffers"),
    ),
    Rule(
        "full-buffers",
        "warning",
        "The answer comes in full buffers",
        "A proxy passes it on whenever a buffer is full, so that tokens come in bursts.",
        "Switch response buffering off for this route (nginx: proxy_buffering off).",
        of_try=_full_buffers,
    ),
    Rule(
        "slow-first-token",
        "warning",
        "The first token was slow",
        "A long prompt, a cold start, a queue at the server, or a model that thinks first.",
        "Shorten or cache the prompt, take a faster model, or show reasoning while it thinks.",
        of_try=_slow_first_token,
    ),
    Rule(
        "slow-consumer",
        "warning",
        "Your program is slower than the server",
        "The loop over the chunks (or a callback) takes longer than the answer. No token is lost: "
        "the server is made to wait, but it may give up.",
        "Move slow work out of the loop, or read with submit(), which has a queue.",
        of_case=_slow_consumer,
    ),
)
