"""Rules on the body: whether it is a stream at all, how it is framed, and how it ends.

They look at the headers, at the shape of the body's first and last bytes, and at the error.
"""

from __future__ import annotations

from streamsafe.debug.case import Case
from streamsafe.debug.finding import Rule
from streamsafe.debug.timeline import Mark, Try

#: Events that come twice, one after the other, from the first on. A model that repeats itself
#: doubles none but its own words, and these not from the first event on.
DOUBLED = 4

_CUT = ("IncompleteStreamError", "ConnectionDroppedError")


def _success(one: Try) -> bool:
    return one.status is not None and 200 <= one.status < 300


def _html(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if not _success(one) or fault is None or fault.type != "MalformedStreamError":
        return []
    if "html" not in one.content_type and "it begins: '<" not in fault.message:
        return []
    return [fault.message, *_seen(one, "server", "via", "location", "www-authenticate")]


def _json_error(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if not _success(one) or fault is None or one.events > 0 or not fault.in_stream:
        return []
    return [f"{one.content_type or 'no Content-Type'}: {fault.message[:200]}"]


def _not_streamed(one: Try, case: Case) -> list[str]:
    """A whole JSON answer where a stream was asked for; it gives one read of one event."""
    if not _success(one) or one.shape.kind != "json" or (one.reads, one.events) != (1, 1):
        return []
    if one.content_type not in ("application/json", "text/json"):
        return []
    return [f"{one.content_type}, {one.size:,} bytes in one document"]


def _content_type(one: Try, case: Case) -> list[str]:
    if not _success(one) or one.shape.kind != "sse" or one.content_type == "text/event-stream":
        return []
    return [f"Content-Type: {one.content_type or '(none)'}, but the body is an event stream"]


def _compressed(one: Try, case: Case) -> list[str]:
    encoding = one.headers.get("content-encoding", "identity").lower()
    if not _success(one) or encoding in ("", "identity"):
        return []
    return [f"Content-Encoding: {encoding}", *_seen(one, "server", "via", "vary")]


def _close_delimited(one: Try, case: Case) -> list[str]:
    headers = one.headers
    # Without this a fake or a foreign transport, which shows no framing, would be suspected.
    real = "sent" in one.steps and ("connected" in one.steps or "reused" in one.steps)
    if not _success(one) or not real or not one.details.get("connected", {}).get("local"):
        return []
    if one.status == 204:  # it has no body
        return []
    if "transfer-encoding" in headers or "content-length" in headers:
        return []
    return ["neither Transfer-Encoding nor Content-Length", *_seen(one, "connection", "server")]


def _declared(one: Try, case: Case) -> list[str]:
    length = one.headers.get("content-length")
    if not _success(one) or length is None or one.shape.kind != "sse":
        return []
    return [f"Content-Length: {length} on an event stream"]


def _bom(one: Try, case: Case) -> list[str]:
    return ["the body begins with EF BB BF"] if one.shape.bom else []


def _cr_only(one: Try, case: Case) -> list[str]:
    return ["there are carriage returns and no line feed"] if one.shape.cr_only else []


def _not_utf8(one: Try, case: Case) -> list[str]:
    where = one.shape.not_utf8
    return [] if where is None else [f"the first of them is {where}"]


def _doubled(one: Try, case: Case) -> list[str]:
    pairs = one.shape.doubled
    if pairs < DOUBLED:
        return []
    return [f"the first {2 * pairs} events are {pairs}, each sent twice"]


def _single_newlines(one: Try, case: Case) -> list[str]:
    """Several fields that each look like a whole event, and no blank line between them."""
    if one.shape.unseparated < 2:
        return []
    return [f"{one.shape.unseparated} data lines in a row, each JSON of its own, no blank line"]


def _bad_json(one: Try, case: Case) -> list[str]:
    fault, lines = one.fault, []
    if fault is not None and fault.type == "MalformedStreamError" and one.events > 0:
        lines.append(fault.message[:300])
    for mark in case.timeline.steps:
        if isinstance(mark, Mark) and mark.kind == "malformed" and mark.attempt == one.number:
            lines.append("skipped: " + mark.facts["fault"].message[:200])
    return lines


def _cut_in_utf8(one: Try, case: Case) -> list[str]:
    if not _is_cut(one):
        return []
    missing = one.shape.missing
    return [f"{missing} more byte(s) would have made the last character whole"] if missing else []


def _cut_in_event(one: Try, case: Case) -> list[str]:
    if not _is_cut(one) or not one.shape.unfinished:
        return []
    return [f"the last event is not whole: {one.shape.unfinished:,} bytes, no blank line"]


def _is_cut(one: Try) -> bool:
    return one.fault is not None and one.fault.type in _CUT and one.reads > 0


def _no_done(one: Try, case: Case) -> list[str]:
    shape = one.shape
    if not _success(one) or not shape.wants_done or shape.done or one.finish_reason is None:
        return []
    if "ended" not in one.steps:  # the program left, or the connection broke: not the server's word
        return []
    return [f"finish reason {one.finish_reason!r} came, then the body ended without data: [DONE]"]


def _no_finish(one: Try, case: Case) -> list[str]:
    if one.fault is None or one.finish_reason is not None or one.reads == 0:
        return []
    if one.fault.type != "IncompleteStreamError" or not one.shape.done:
        return []
    return ["data: [DONE] came, but no chunk had a finish reason"]


def _ended_early(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or fault.type != "IncompleteStreamError":
        return []
    if one.reads == 0:
        return [f"HTTP {one.status} with an empty body"]
    return [f"the body ended properly after {one.events:,} events, without a finish reason"]


def _seen(one: Try, *names: str) -> list[str]:
    """The headers of these names that are there."""
    return [f"{name}: {one.headers[name]}" for name in names if one.headers.get(name)]


RULES = (
    Rule(
        "html-page",
        "error",
        "A web page came in place of the stream",
        "A login page, a captive portal, a proxy's error page or a web application answers under "
        "this URL, with a status that says all is well.",
        "Check base_url (path and host) by opening it in a browser, and the proxy's login.",
        of_try=_html,
        hides=("content-type",),
    ),
    Rule(
        "json-error-200",
        "warning",
        "An error came as plain JSON with status 200",
        "The server or a gateway reports failures in the body alone.",
        "Have the server answer with a status of 4xx or 5xx. A client that reads only events "
        "would see an empty answer.",
        of_try=_json_error,
    ),
    Rule(
        "bad-json",
        "error",
        "An event is not valid JSON",
        "The server writes broken events: hand-made JSON, line feeds inside the data, two writers "
        "on one connection, or a proxy that changes the body.",
        'Mend the server (one json.dumps per event). on_malformed="skip" passes over such events, '
        "at the price of their text.",
        of_try=_bad_json,
        hides=("ended-early",),
    ),
    Rule(
        "single-newline",
        "error",
        "Events are not separated by blank lines",
        "The server ends an event with one line feed; the standard wants an empty line after each, "
        "so that all of them are one event that never ends.",
        r'End each event with "\n\n".',
        of_try=_single_newlines,
        hides=(
            "bad-json",
            "cut-in-event",
            "ended-early",
            "not-streamed",
            "closed",
            "no-done",
            "no-finish",
        ),
    ),
    Rule(
        "cut-in-utf8",
        "error",
        "The answer was cut inside a character",
        "The connection ended between the bytes of one UTF-8 sequence: something cut it by length "
        "or by force, not the server between two events.",
        "Look for what limits the response's size or time on the way (proxy buffers, a worker's "
        "timeout).",
        of_try=_cut_in_utf8,
        hides=("cut-in-event", "ended-early", "closed"),
    ),
    Rule(
        "cut-in-event",
        "error",
        "The answer was cut inside an event",
        "The body ended in the middle of a line: a process that died, or a proxy that cut, while "
        "the server was writing.",
        "Look at the server's and the proxies' logs at this time. The half event was not given "
        "out.",
        of_try=_cut_in_event,
        hides=("ended-early", "closed"),
    ),
    Rule(
        "no-finish",
        "error",
        "The end mark came without a finish reason",
        "The server sent [DONE] though the answer was not finished; some do after an error of "
        "their own.",
        "Look at the server's log; streamsafe counts such an answer as broken and retries it.",
        of_try=_no_finish,
        hides=("ended-early",),
    ),
    Rule(
        "ended-early",
        "error",
        "The body ended before the answer did",
        "The server, or a proxy in its name, ended the response properly, but no finish reason had "
        "come: a generator that raised, a worker that was stopped.",
        "Look at the server's log at this time. Clients that trust the end of the body take this "
        "for a whole answer.",
        of_try=_ended_early,
    ),
    Rule(
        "content-type",
        "warning",
        "The stream has the wrong Content-Type",
        "The server does not say text/event-stream. Browsers refuse such a stream, and proxies "
        "buffer or compress it.",
        "Send Content-Type: text/event-stream.",
        of_try=_content_type,
    ),
    Rule(
        "not-streamed",
        "warning",
        "The server did not stream",
        "The whole answer came as one JSON document: stream was not asked for, or this model or "
        "gateway does not support it.",
        'Check that the request has "stream": true and that the gateway passes it on.',
        of_try=_not_streamed,
        hides=("buffered",),
    ),
    Rule(
        "compressed",
        "warning",
        "The stream is compressed",
        "A proxy compresses it, though identity was asked for. Compressors hold back tokens until "
        "a block is full.",
        "Switch compression off for text/event-stream (nginx: leave it out of gzip_types; send "
        "Cache-Control: no-transform).",
        of_try=_compressed,
    ),
    Rule(
        "no-done",
        "warning",
        "The end mark [DONE] is missing",
        "The finish reason came, so the answer is whole, but the server leaves out what OpenAI's "
        "API ends with.",
        "Harmless here. Other clients may wait for it or report an error; mend the server.",
        of_try=_no_done,
    ),
    Rule(
        "doubled",
        "warning",
        "Every event comes twice",
        "A server or a proxy with two subscriptions to one answer, or a handler that is registered "
        "twice. To the protocol these are two pieces of text, so that words are doubled.",
        "Mend what sends them.",
        of_try=_doubled,
    ),
    Rule(
        "not-utf8",
        "warning",
        "Some bytes are not UTF-8",
        "The server writes another encoding (Latin-1), or encodes characters that it has cut in "
        "two. They stand as U+FFFD in the text.",
        'Mend the server: whole events, .encode("utf-8").',
        of_try=_not_utf8,
    ),
    Rule(
        "bom",
        "note",
        "The stream begins with a byte order mark",
        "The server writes UTF-8 with a BOM. It is allowed, but many clients lose the first event.",
        "Write UTF-8 without a BOM.",
        of_try=_bom,
    ),
    Rule(
        "cr-only",
        "note",
        "Lines end with a carriage return alone",
        "It is allowed by the standard, but many clients wait for a line feed that never comes.",
        r'End lines with "\n".',
        of_try=_cr_only,
    ),
    Rule(
        "close-delimited",
        "note",
        "Nothing but the end of the connection ends the body",
        "An HTTP/1.0 server or a proxy without chunked encoding. A cut looks like the end, the "
        "connection can't be used again, and many clients show nothing before it ends.",
        "Have the server send Transfer-Encoding: chunked (nginx: proxy_http_version 1.1).",
        of_try=_close_delimited,
    ),
    Rule(
        "declared-length",
        "note",
        "The stream's length was known beforehand",
        "A Content-Length means that somebody had the whole answer before the first byte was sent: "
        "it was not live.",
        "Look for a cache, a buffering proxy or a server that collects the answer first.",
        of_try=_declared,
    ),
)
