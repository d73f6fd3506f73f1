"""Rules on the way to the server and back: names, connections, TLS, resets, proxies that cut."""

from __future__ import annotations

import re
from typing import NamedTuple

from streamsafe.debug.case import Case
from streamsafe.debug.cassette import ENDS_HERE
from streamsafe.debug.finding import Rule, TryRule
from streamsafe.debug.timeline import Fault, Try
from streamsafe.observe.words import seconds


class KnownLimit(NamedTuple):
    """A time after which somebody on the way cuts by default; ``what`` it counts."""

    seconds: float
    who: str
    what: str  # "silence" between two reads, or "answer": until the first byte


#: From the vendors' documentation: nginx proxy_read_timeout, AWS ELB idle_timeout, Heroku's
#: H12/H15, Cloudflare's proxy read timeout (100 s, 120 s since 2024) and error 524, HAProxy's
#: example configurations, Envoy's route timeout and stream_idle_timeout, API Gateway's
#: integration timeout, Google's backend service timeout, Azure's idle timeouts, AWS NLB.
KNOWN_LIMITS = (
    KnownLimit(15, "Envoy or Istio (route timeout)", "answer"),
    KnownLimit(29, "AWS API Gateway (integration timeout)", "answer"),
    KnownLimit(30, "Heroku (first byte, H12)", "answer"),
    KnownLimit(30, "Google Cloud load balancing (backend timeout)", "silence"),
    KnownLimit(30, "AWS CloudFront (origin response timeout)", "silence"),
    KnownLimit(50, "HAProxy (timeout server of its examples)", "silence"),
    KnownLimit(55, "Heroku (idle, H15)", "silence"),
    KnownLimit(60, "nginx (proxy_read_timeout)", "silence"),
    KnownLimit(60, "AWS ALB (idle timeout)", "silence"),
    KnownLimit(100, "Cloudflare (proxy read timeout, 524)", "silence"),
    KnownLimit(120, "Cloudflare (proxy read timeout, 524)", "silence"),
    KnownLimit(230, "Azure App Service (idle timeout)", "silence"),
    KnownLimit(240, "Azure Load Balancer (idle timeout)", "silence"),
    KnownLimit(300, "Envoy or Istio (stream_idle_timeout)", "silence"),
    KnownLimit(350, "AWS NLB (idle timeout)", "silence"),
)

#: A cut comes a little after the limit, by a timer's grain and the way back, never before it.
EARLY, LATE = 0.3, 1.5

#: Two attempts that lasted equally long to this part, and at least so many seconds, were cut by
#: a timer and not by chance.
ALIKE, ALIKE_LEAST = 0.03, 5.0

_GATEWAY = (502, 504, 524, 408)
_BROKEN = ("ConnectionDroppedError", "IncompleteStreamError")


def limits_near(gap: float, answered: bool) -> list[str]:
    """Who is known to cut after about so many seconds of silence."""
    return [
        f"{limit.who}, {limit.seconds:g} s"
        for limit in KNOWN_LIMITS
        if limit.seconds - EARLY <= gap <= limit.seconds + LATE
        and (limit.what == "silence" or not answered)
    ]


def _words(fault: Fault) -> str:
    return " ".join((fault.message, *fault.causes))


def _matches(types: tuple[str, ...], pattern: str) -> TryRule:
    """The evidence where the error is of a type and its words, or its causes', match."""
    compiled = re.compile(pattern, re.I)

    def look(one: Try, case: Case) -> list[str]:
        fault = one.fault
        if fault is None or fault.type not in types or not compiled.search(_words(fault)):
            return []
        return [fault.message, *_root(fault)]

    return look


def _root(fault: Fault) -> list[str]:
    return [f"at the root: {fault.causes[-1]}"] if fault.causes else []


def _reset(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or fault.type != "ConnectionDroppedError":
        return []
    if not re.search(r"reset by peer|ConnectionResetError|broken pipe|ECONNRESET", _words(fault)):
        return []
    how = f"after {one.size:,} bytes" if one.size else "before the first byte of the body"
    return [f"reset {how}, {seconds(one.silence)} after the last sign of life"]


def _closed(one: Try, case: Case) -> list[str]:
    """The connection ended without a reset, in the middle of something."""
    fault = one.fault
    if fault is None or fault.type != "ConnectionDroppedError" or _reset(one, case):
        return []
    return [fault.message]


def _no_answer(one: Try, case: Case) -> list[str]:
    """The connection ended without a reset, before the head of an answer was there."""
    return _closed(one, case) if one.opened is None else []


def _recording_ends(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or fault.message != ENDS_HERE:
        return []
    return [f"{one.size:,} bytes were read of the answer"]


def _tls_cut(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if not one.https or fault is None or one.opened is None or fault.type not in _BROKEN:
        return []
    if _reset(one, case):
        return []
    if fault.type == "IncompleteStreamError" and _framed(one):
        return []  # the body's end was marked: whoever cut it, it was above TLS
    tls = one.details.get("tls", {})
    return [f"{fault.message} ({tls.get('version', 'TLS')})"]


def _framed(one: Try) -> bool:
    return "transfer-encoding" in one.headers or "content-length" in one.headers


def _idle_cut(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or one.ended is None:
        return []
    if fault.type in _BROKEN:
        gap = one.silence
    elif fault.status in _GATEWAY and one.opened is not None:
        gap = one.opened - (one.sent or one.at)
    else:
        return []
    near = limits_near(gap, one.first_read is not None and fault.type in _BROKEN)
    if not near:
        return []
    return [f"cut {seconds(gap)} after the last sign of life", "fits: " + "; ".join(near)]


def _same_age(case: Case) -> list[str]:
    """Attempts that were cut at the same age, though data flowed."""
    ages = [
        one.ended - (one.sent or one.at)
        for one in case.timeline.tries
        if one.fault is not None and one.fault.type in _BROKEN and one.ended is not None
    ]
    if len(ages) < 2 or max(ages) < ALIKE_LEAST or max(ages) - min(ages) > ALIKE * max(ages):
        return []
    return ["cut at the age of " + ", ".join(seconds(age) for age in ages)]


RULES = (
    Rule(
        "recording-ends",
        "note",
        "The recording ends before the answer does",
        "The program that was recorded left the stream or was stopped; no server and no proxy "
        "broke it.",
        "Record it again, up to its end, if the end is of interest.",
        of_try=_recording_ends,
        hides=(
            "closed",
            "idle-timeout",
            "same-age",
            "tls-truncation",
            "cut-in-event",
            "cut-in-utf8",
        ),
    ),
    Rule(
        "dns",
        "error",
        "The server's name has no address",
        "The host in base_url is misspelt, or this machine's name server does not answer (VPN, "
        "container without a network, /etc/resolv.conf).",
        "Try the name with nslookup on this machine, and check base_url.",
        of_try=_matches(("ConnectError",), r"no address for the host|gaierror|has no address"),
    ),
    Rule(
        "refused",
        "error",
        "The connection was refused",
        "Nothing listens at this address and port: the server is down or still starting, or the "
        "port is wrong; in a container 127.0.0.1 is the container itself.",
        "Start the server, or correct host and port of base_url.",
        of_try=_matches(("ConnectError",), r"connection refused|ECONNREFUSED"),
    ),
    Rule(
        "certificate",
        "error",
        "No trusted TLS connection came about",
        "The certificate is not trusted or is for another name, a proxy re-signs TLS, or the "
        "port does not speak TLS at all.",
        "Point REQUESTS_CA_BUNDLE (or your session's verify) at the right certificate, check the "
        "host's name and this machine's date. Never switch verification off.",
        of_try=_matches(("ConnectError",), r"certificate|no TLS with|does not speak TLS"),
    ),
    Rule(
        "proxy",
        "error",
        "The proxy did not let the request through",
        "HTTP_PROXY or HTTPS_PROXY names a proxy that is not there, wants a login or forbids the "
        "host.",
        "Check the proxy variables, or list the host in NO_PROXY.",
        of_try=_matches(("ConnectError",), r"\bproxy\b"),
        hides=("refused", "dns"),
    ),
    Rule(
        "idle-timeout",
        "error",
        "A proxy on the way gave up waiting",
        "The model was silent for longer than somebody between it and you waits: the cut came "
        "just at a well-known default.",
        "Raise that timeout (nginx: proxy_read_timeout 600s; HAProxy: timeout server 600s; "
        "AWS ALB: idle_timeout 600), or have the server send heartbeats (a comment line every "
        "15 s).",
        of_try=_idle_cut,
        hides=(
            "reset",
            "closed",
            "no-answer",
            "tls-truncation",
            "server-error",
            "gateway",
            "ended-early",
        ),
    ),
    Rule(
        "same-age",
        "error",
        "Connections are cut when they reach a certain age",
        "Several attempts broke off after the same time, though data flowed: a limit on the whole "
        "request (a worker's timeout such as gunicorn's, a gateway, a function platform).",
        "Raise the limit for this route, or ask for shorter answers. resume= goes on behind a cut.",
        of_case=_same_age,
        hides=("reset", "closed", "tls-truncation", "ended-early"),
    ),
    Rule(
        "tls-truncation",
        "error",
        "The TLS connection ended inside the answer",
        "The peer closed without finishing the body: a server process that died, a load balancer "
        "that was reloaded, or somebody who cut the connection.",
        "What came is genuine but not whole; streamsafe never takes it for the end. Look at the "
        "server's and the balancer's logs at this time.",
        of_try=_tls_cut,
        hides=("closed",),
    ),
    Rule(
        "reset",
        "error",
        "The connection was reset",
        "The server's process crashed or was restarted, or a firewall or load balancer threw the "
        "connection away.",
        "Look for restarts, deployments and memory kills at this time; long quiet connections "
        "want heartbeats or TCP keepalive (streamsafe sends it).",
        of_try=_reset,
    ),
    Rule(
        "no-answer",
        "error",
        "The server closed the connection without an answer",
        "It took the request and ended the connection: a process that crashed on it or was "
        "restarted, a limit on connections, or a port that speaks TLS where base_url says http://.",
        "Look at the server's log at this time, and check whether base_url has to begin with "
        "https://.",
        of_try=_no_answer,
        hides=("closed",),
    ),
    Rule(
        "not-http",
        "error",
        "What answers does not speak HTTP",
        "The port belongs to another service (a database, SSH, a proxy of another kind).",
        "Correct host, port and http:// or https:// of base_url.",
        of_try=_matches(("MalformedStreamError",), r"is not HTTP"),
    ),
    Rule(
        "closed",
        "error",
        "The connection was closed in the middle",
        "The server or a proxy ended the connection before the body was over.",
        "Look at the server's and the proxies' logs at this time; a worker's timeout or a restart "
        "is the usual reason.",
        of_try=_closed,
    ),
)
