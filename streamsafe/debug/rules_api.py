"""Rules on what the API said: limits, keys, requests, and failures of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional

from streamsafe.debug.case import Case
from streamsafe.debug.finding import CaseRule, Rule, TryRule
from streamsafe.debug.timeline import Fault, Try
from streamsafe.observe.words import seconds

#: Headers that say how near a limit is: x-ratelimit-remaining-tokens, anthropic-ratelimit-…,
#: ratelimit (RFC draft), retry-after, retry-after-ms, x-should-retry.
_LIMITS = re.compile(r"ratelimit|rate-limit|retry-after|should-retry", re.I)


def limit_headers(headers: Mapping[str, str]) -> list[str]:
    """What the headers say of limits, a line each."""
    return [f"{name}: {value}" for name, value in headers.items() if _LIMITS.search(name)]


#: Statuses by which a proxy or a load balancer tells of the server behind it: RFC 9110, and
#: Cloudflare's own.
_GATEWAY = (502, 504, *range(520, 527), 530)

#: A 503 of those that have nobody to pass a request to: the page of nginx, HAProxy, Apache or IIS,
#: and the words of Envoy.
_NOBODY = re.compile(r"<html|<!doctype|no healthy upstream|upstream connect error", re.I)

_PAGE = re.compile(r"\s*<(html|!doctype)", re.I)


def _said(fault: Fault) -> str:
    where, message = "inside the stream", fault.message
    if not fault.in_stream:
        where, lead = f"HTTP {fault.status}", f"{fault.status}: "
        message = message[len(lead) :] if message.startswith(lead) else message
    code = f" {fault.code or fault.kind}" if fault.code or fault.kind else ""
    return f"{where}{code}: {message[:200]}"


def _of_type(*types: str, status: Optional[int] = None) -> TryRule:
    """The evidence where an attempt failed by one of these errors, with this status (None: any)."""

    def look(one: Try, case: Case) -> list[str]:
        fault = one.fault
        if fault is None or fault.type not in types or status not in (None, fault.status):
            return []
        return [_said(fault)]

    return look


def _not_found(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or (fault.type != "NotFoundError" and fault.status != 405):
        return []
    return [_said(fault), f"asked: {one.method} {one.url}"]


def _redirected(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or not ((one.status or 0) // 100 == 3 or "redirects" in fault.message):
        return []
    return [fault.message, f"asked: {one.method} {one.url}"]


def _firewall(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or fault.status != 403 or not _PAGE.match(fault.body):
        return []
    return [_said(fault), *_server(one)]


def _server(one: Try) -> list[str]:
    server = one.headers.get("server")
    return [f"server: {server}"] if server else []


def _gateway(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or fault.in_stream:
        return []
    if fault.status not in _GATEWAY and not (fault.status == 503 and _NOBODY.search(fault.body)):
        return []
    return [_said(fault), *_server(one)]


def _rate_limited(one: Try, case: Case) -> list[str]:
    fault = one.fault
    if fault is None or fault.type != "RateLimitError":
        return []
    lines = [_said(fault), *limit_headers(fault.headers)]
    if fault.retry_after is not None:
        lines.append(f"the server asks to wait {seconds(fault.retry_after)}")
    else:
        lines.append("the server does not say how long to wait")
    return lines


def _verdict(name: str) -> CaseRule:
    """The finish reason, where the stream got this verdict."""

    def look(case: Case) -> list[str]:
        if case.timeline.verdict != name:
            return []
        return [f"finish reason {case.timeline.finish_reason!r}"]

    return look


def _in_stream(one: Try, case: Case) -> list[str]:
    fault = one.fault
    return [_said(fault)] if fault is not None and fault.in_stream and one.events > 0 else []


RULES = (
    Rule(
        "rate-limit",
        "error",
        "The API's rate limit was met",
        "More requests or tokens a minute than the account, the key or the model is allowed.",
        "Send fewer at a time (max_workers, a shared RetryBudget), ask for fewer max_tokens, "
        "spread the load, or have the limit raised. A Retry-After is kept by itself, up to "
        "RetryPolicy.max_retry_after.",
        of_try=_rate_limited,
    ),
    Rule(
        "quota",
        "error",
        "The account's quota is used up",
        "No credit is left, or the spending limit of the month is reached. It looks like a rate "
        "limit (429), but waiting does not help.",
        "Check the plan, the credit and the limits in the vendor's console; no retry will mend it.",
        of_try=_of_type("QuotaExceededError"),
    ),
    Rule(
        "context-length",
        "error",
        "Prompt and answer do not fit into the model's context",
        "The prompt's tokens plus max_tokens are more than the model takes.",
        "Shorten the prompt or the history, lower max_tokens, or take a model with a larger "
        "context.",
        of_try=_of_type("ContextLengthError"),
    ),
    Rule(
        "authentication",
        "error",
        "The key is not accepted",
        "It is missing, mistyped, expired or revoked, or belongs to another service or project.",
        "Check which variable the key comes from, that nothing (a quote, a line end) sticks to it, "
        "and that it belongs to this base_url.",
        of_try=_of_type("AuthenticationError"),
    ),
    Rule(
        "permission",
        "error",
        "The key may not do this",
        "The key is known, but the model, the region or the project is not open to it.",
        "Check the key's project and roles, and whether the account has access to the model.",
        of_try=_of_type("PermissionDeniedError"),
    ),
    Rule(
        "firewall",
        "error",
        "Somebody on the way forbids the request",
        "The 403 came with a web page, so not from the API: a company's proxy, a web application "
        "firewall (Cloudflare's, for one) or a country block answered.",
        "Read the page; check base_url, the proxy variables and the VPN, or ask whoever runs them.",
        of_try=_firewall,
        hides=("permission",),
    ),
    Rule(
        "not-found",
        "error",
        "There is no such model, deployment or path",
        "A wrong model name, or a base_url that ends too early or too late (/v1).",
        "Compare the model's name with the vendor's list, and the URL with its documentation.",
        of_try=_not_found,
        hides=("bad-request",),
    ),
    Rule(
        "redirect",
        "error",
        "The server sends the request elsewhere",
        "base_url is an old address, says http:// where it is https:// by now, lacks a part of its "
        "path, or leads to a login page. A POST is not turned into a GET for it.",
        "Put the address that it points to into base_url.",
        of_try=_redirected,
    ),
    Rule(
        "too-large",
        "error",
        "The request is too large",
        "Its body is larger than the API, or a proxy before it, takes: images or files in it, or a "
        "long history.",
        "Send less, or links in place of the files; in a proxy of your own raise the limit (nginx: "
        "client_max_body_size).",
        of_try=_of_type("BadRequestError", status=413),
        hides=("bad-request",),
    ),
    Rule(
        "bad-request",
        "error",
        "The API does not take the request as it is",
        "A parameter is unknown, missing, or has a value that this model does not allow.",
        "Mend what the message names; sent again unchanged it gives the same answer.",
        of_try=_of_type("BadRequestError"),
    ),
    Rule(
        "gateway",
        "error",
        "A gateway got no answer from the server behind it",
        "A proxy or load balancer answered in the server's place: the server is down, restarts, or "
        "takes longer than the gateway waits (504, 524).",
        "Retries mend a restart. A server of your own: see that it is up, and raise the gateway's "
        "timeout (nginx: proxy_read_timeout) or send heartbeats. A vendor's: look at its status "
        "page, or name another in fallbacks=.",
        of_try=_gateway,
        hides=("server-error", "overloaded"),
    ),
    Rule(
        "overloaded",
        "error",
        "The service is short of capacity",
        "The vendor is overloaded (503, 529), not you: it has nothing to do with your limits.",
        "Let the retries do their work; for longer outages name another model or provider in "
        "fallbacks=.",
        of_try=_of_type("OverloadedError"),
    ),
    Rule(
        "server-error",
        "error",
        "The server failed",
        "A fault of the server's own.",
        "Retries mend most of these. If it stays, quote the request id to the vendor's support.",
        of_try=_of_type("ServerError"),
    ),
    Rule(
        "error-in-stream",
        "note",
        "The error came inside the stream, after a status of 200",
        "The server had already begun to answer when it failed, so the status could not say so.",
        "A client that looks at the status alone takes this for a short answer; streamsafe raises "
        "it. What had arrived is on error.partial.",
        of_try=_in_stream,
    ),
    Rule(
        "cut-by-length",
        "note",
        "The answer was cut off by its length",
        "It reached max_tokens, or the most that the model writes; thinking counts as well.",
        "Raise max_tokens, ask for less, or send completion.to_message() back and ask it to go on.",
        of_case=_verdict("truncated"),
    ),
    Rule(
        "filtered",
        "note",
        "A filter or a refusal ended the answer",
        "The vendor's safety filter stopped prompt or answer, or the model declined to answer.",
        "Word the prompt otherwise; in Azure and Gemini the filter's settings can be changed. The "
        "same request most often ends the same way.",
        of_case=_verdict("filtered"),
    ),
)
