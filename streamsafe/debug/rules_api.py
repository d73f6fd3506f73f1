"""Rules on what the API said: limits, keys, requests, and failures of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streamsafe.debug.case import Case
from streamsafe.debug.finding import Rule, TryRule
from streamsafe.debug.timeline import Fault, Try
from streamsafe.observe.words import seconds

#: Headers that say how near a limit is: x-ratelimit-remaining-tokens, anthropic-ratelimit-…,
#: ratelimit (RFC draft), retry-after, retry-after-ms, x-should-retry.
_LIMITS = re.compile(r"ratelimit|rate-limit|retry-after|should-retry", re.I)


def limit_headers(headers: Mapping[str, str]) -> list[str]:
    """What the headers say of limits, a line each."""
    return [f"{name}: {value}" for name, value in headers.items() if _LIMITS.search(name)]


def _said(fault: Fault) -> str:
    where = "inside the stream" if fault.in_stream else f"HTTP {fault.status}"
    code = f" {fault.code or fault.kind}" if fault.code or fault.kind else ""
    return f"{where}{code}: {fault.message[:200]}"


def _of_type(*types: str) -> TryRule:
    """The evidence where an attempt failed by one of these errors."""

    def look(one: Try, case: Case) -> list[str]:
        fault = one.fault
        return [_said(fault)] if fault is not None and fault.type in types else []

    return look


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
        "spread the load, or have the limit raised. A Retry-After is kept by itself.",
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
        "not-found",
        "error",
        "There is no such model, deployment or path",
        "A wrong model name, or a base_url that ends too early or too late (/v1).",
        "Compare the model's name with the vendor's list, and the URL with its documentation.",
        of_try=_of_type("NotFoundError"),
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
        "A fault of the server's own, or of a gateway before it (5xx).",
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
)
