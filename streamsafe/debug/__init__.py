"""See what happened to a stream: a timeline with a diagnosis, recordings, and their replay.

The face of the room; what stands behind a name is imported when the name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamsafe.debug.debugger import StreamDebugger
    from streamsafe.debug.recorder import Recorder
    from streamsafe.debug.replay import Replay

__all__ = ["Recorder", "Replay", "StreamDebugger"]

_ROOMS = {"StreamDebugger": "debugger", "Recorder": "recorder", "Replay": "replay"}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        from importlib import import_module

        found = getattr(import_module(f"streamsafe.debug.{_ROOMS[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
