"""Fault: an error as a value, masked, and without the frames that an exception holds.

Here lives the making of it; the value itself is ``timeline``'s.
"""

from __future__ import annotations

import json
from typing import Any, Optional

from streamsafe.debug.masking import Masker
from streamsafe.debug.timeline import Fault

#: Characters of a message and of an error's body that are kept.
MAX_MESSAGE = 600
#: Causes of an error that are followed.
MAX_CAUSES = 8


def fault_of(error: BaseException, mask: Masker) -> Fault:
    """An error as a value."""
    get = error.__dict__.get
    headers = get("headers")
    body = get("body")
    return Fault(
        type=type(error).__name__,
        message=mask.message(getattr(error, "message", "") or str(error))[:MAX_MESSAGE],
        hint=getattr(error, "hint", ""),
        status=get("status"),
        code=get("code"),
        kind=get("type"),
        retry_after=get("retry_after"),
        headers=mask.headers(headers) if headers else {},
        body=_body(body, mask),
        in_stream=bool(get("in_stream")),
        clock=get("clock"),
        limit=get("limit"),
        elapsed=get("elapsed"),
        # What a clock of ours broke off says nothing of the server.
        causes=() if get("clock") else _causes(error, mask),
        retryable=bool(getattr(error, "retryable", False)),
        will_retry=bool(get("will_retry")),
        given_up=mask.message(getattr(error, "given_up", "")),
    )


def _body(body: Any, mask: Masker) -> str:
    """An error's body: the server's words about the failure, or what stands in their place."""
    if not body:
        return ""
    if mask.bodies:
        return f"<{len(str(body))} characters>"
    shown = body if isinstance(body, str) else json.dumps(mask.body(body), default=str)
    return mask.text(shown)[:MAX_MESSAGE]


def _causes(error: BaseException, mask: Masker) -> tuple[str, ...]:
    found: list[str] = []
    seen = {id(error)}
    cause: Optional[BaseException] = error
    while len(found) < MAX_CAUSES:
        assert cause is not None
        candidates = [getattr(cause, "reason", None), *cause.args, cause.__cause__]
        candidates.append(None if cause.__suppress_context__ else cause.__context__)
        cause = next((one for one in candidates if isinstance(one, BaseException)), None)
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        found.append(f"{type(cause).__name__}: {mask.message(str(cause))[:MAX_MESSAGE]}")
    return tuple(found)
