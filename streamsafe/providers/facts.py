"""Facts: what an error body says, in whatever shape an API or a gateway puts it.

Here lives the reading of bodies, without a judgement: what it means is told in ``classify``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.providers.payloads import word

#: What is shown of a body, or of an upstream's own error inside one, in characters.
SHOWN = 300

_STATUS_NAMES = ("http_status_code", "status_code", "statusCode", "code")


class Facts(NamedTuple):
    """What an error body says; "" and None where it says nothing. ``status`` is from 100 to 599."""

    message: str = ""
    code: Optional[str] = None
    type: Optional[str] = None
    status: Optional[int] = None
    request_id: Optional[str] = None


def error_payload(body: str) -> Any:
    """The JSON of an error body, also inside ``data:`` or an array of one; None if it is none."""
    text = body.strip()
    if text.startswith("data:"):
        text = text[5:].split("\n")[0].strip()
    return unwrapped(maybe_json(text))


def unwrapped(payload: Any) -> Any:
    """The one element of an array, as Gemini has errors without ``alt=sse``; else the value."""
    return payload[0] if isinstance(payload, list) and len(payload) == 1 else payload


def maybe_json(text: str) -> Any:
    """The value, or None for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def error_facts(payload: Any) -> Facts:
    """Message, code, type and status of an error object, in all the shapes that APIs use."""
    if isinstance(payload, str):
        return Facts(payload)
    if not isinstance(payload, dict):
        return Facts()
    error, outer = payload.get("error"), payload
    if not error:
        errors = payload.get("errors")
        error = errors[0] if isinstance(errors, list) and errors else error
    if isinstance(error, dict):
        payload = error
        error = None
    return Facts(
        _message(payload, error) or _message(outer, None),
        _fine_code(payload) or word(payload.get("code")),
        word(payload.get("type") or payload.get("error_type") or payload.get("status")),
        next(filter(None, (_number(payload.get(name)) for name in _STATUS_NAMES)), None),
        word(outer.get("request_id")),
    )


def _message(payload: Mapping[str, Any], error: Any) -> str:
    message = _text(error) or _text(payload.get("message")) or _detail(payload.get("detail"))
    metadata = payload.get("metadata")
    if isinstance(metadata, dict) and metadata.get("raw"):
        # OpenRouter: "Provider returned error", and what the provider said.
        who = _text(metadata.get("provider_name")) or "upstream"
        message += f" ({who}: {_text(metadata['raw'])[:SHOWN]})"
    return message


def _detail(detail: Any) -> str:
    """The ``detail`` of FastAPI servers: a text, or a list of what is wrong where."""
    if not isinstance(detail, list):
        return _text(detail)
    return "; ".join(_complaint(item) for item in detail)


def _complaint(item: Any) -> str:
    if not isinstance(item, dict) or "msg" not in item:
        return _text(item)
    place = item.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, list) else ""
    return f"{where}: {item['msg']}" if where else str(item["msg"])


def _fine_code(error: Mapping[str, Any]) -> Optional[str]:
    """The code that says more than ``code`` does, where there is one."""
    details, metadata = error.get("details"), error.get("metadata")
    if isinstance(details, dict):  # Anthropic
        return word(details.get("error_code"))
    if isinstance(metadata, dict):  # OpenRouter
        return word(metadata.get("limit_source"))
    for detail in details if isinstance(details, list) else ():  # Google: QuotaFailure
        violations = detail.get("violations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else ():
            quota = violation.get("quotaId") if isinstance(violation, dict) else None
            if isinstance(quota, str) and "perday" in quota.lower():
                return quota
    return None


def body_shown(body: str) -> str:
    """What can be said of a body that is no JSON error: a page's title, or how it begins."""
    title = re.search(r"<title[^>]*>(.*?)</title>", body, re.I | re.S)
    text = title.group(1) if title else body
    return " ".join(text.split())[:SHOWN] or "the answer has no body"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (Mapping, list)) else ""


def _number(value: Any) -> Optional[int]:
    if isinstance(value, str) and value.isdigit() and len(value) == 3:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    return None
