"""streamsafe with all that is on by default, and, on demand, with what is not."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from typing import Any, Callable

from benchmarks.clients.payloads import Take

PACKAGES = ("requests", "urllib3", "sseclient-py")
MODULES = ("streamsafe",)
APIS = ("chat", "anthropic")
SHARE = 1.0


def connect(url: str, api: str, extra: str = "") -> Callable[[Take], None]:
    """See the package. ``extra``: what is to be on besides; see ``_settings``."""
    from streamsafe import StreamSession

    preset = "anthropic" if api == "anthropic" else "openai_compatible"
    base_url = url if api == "anthropic" else url + "/v1"
    settings, asked = _settings(extra)
    session = StreamSession(preset, base_url=base_url, api_key="k", model="m", **settings)

    def stream(take: Take) -> None:
        for chunk in session.stream("Tell me of rivers", **asked):
            if chunk.text:
                take(chunk.text)
            elif chunk.tool_call and chunk.tool_call.arguments:
                take(chunk.tool_call.arguments)

    return stream


def _settings(extra: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the session and of each stream."""
    if extra == "monitor":
        from streamsafe.monitor import StreamMonitor

        return {"observers": (StreamMonitor(),)}, {}
    if extra == "debugger":
        from streamsafe.debug import StreamDebugger

        return {"observers": (StreamDebugger(),)}, {}
    if extra == "journal":
        from streamsafe.journal import SQLiteJournal

        folder = _LEFT.enter_context(tempfile.TemporaryDirectory())
        return {"journal": SQLiteJournal(os.path.join(folder, "journal.db"))}, {}
    if extra == "callbacks":
        return {}, {"on_token": len, "on_error": repr, "on_complete": id, "on_retry": id}
    if extra == "sink":
        return {}, {"sink": open(os.devnull, "w"), "keep": "tail"}
    if extra == "large":
        from streamsafe import Limits

        return {"limits": Limits(max_event_bytes=64 * 1024 * 1024)}, {}
    if extra:
        raise ValueError(f"streamsafe+{extra}: there is no such thing to switch on")
    return {}, {}


#: Folders to be removed at the end.
_LEFT = ExitStack()
