"""Tool calls: fragments, in whatever way servers number them, become fragments one can join.

Here lives the keying that the OpenAI family and its imitators need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamsafe.models import ToolCallFragment


class ToolCalls:
    """Gives the fragments of a choice's tool calls a stable index.

    A new id under an index that is in use, or without one, begins a new call; arguments may be
    objects, or repeat all that came before; names and ids may be repeated.
    """

    def __init__(self) -> None:
        self._by_index: dict[Any, int] = {}
        self._ids: list[str] = []
        self._names: list[str] = []
        self._arguments: list[str] = []

    @property
    def begun(self) -> bool:
        """True once there was a call."""
        return bool(self._ids)

    def fragments(self, delta: Mapping[str, Any]) -> list[ToolCallFragment]:
        """The fragments in a delta."""
        found = []
        for call in delta.get("tool_calls") or ():
            if isinstance(call, Mapping):
                found.append(self._fragment(call))
        legacy = delta.get("function_call")
        if isinstance(legacy, Mapping):
            found.append(self._fragment({"index": 0, "function": legacy}))
        return found

    def _fragment(self, call: Mapping[str, Any]) -> ToolCallFragment:
        function = call.get("function")
        function = function if isinstance(function, Mapping) else {}
        id = call.get("id") or ""
        name = function.get("name") or ""
        arguments = as_json(function.get("arguments"))
        place = self._place(call.get("index"), id, name, arguments)
        first = place == len(self._ids)
        if first:
            self._ids.append(id)
            self._names.append(name)
            self._arguments.append("")
        new_id = id if first or not self._ids[place] else ""
        new_name = name if first or not self._names[place] else ""
        self._ids[place] = self._ids[place] or id
        self._names[place] = self._names[place] or name
        fresh = self._fresh(place, arguments)
        return ToolCallFragment(place, new_id, new_name, fresh)

    def _place(self, index: Any, id: str, name: str, arguments: str) -> int:
        known = self._by_index.get(index) if index is not None else len(self._ids) - 1
        if known is None or known < 0:
            known = len(self._ids)
        elif id and self._ids[known] and id != self._ids[known]:
            # A new id: another call, unless it is one that was seen before.
            known = self._ids.index(id) if id in self._ids else len(self._ids)
        elif index is None and not id and name and whole(self._arguments[known]):
            known = len(self._ids)  # no index and no id: a name behind a whole call begins anew
        if index is not None:
            self._by_index[index] = known
        return known

    def _fresh(self, place: int, arguments: str) -> str:
        """What is new of the arguments: some servers repeat all so far in each fragment."""
        so_far = self._arguments[place]
        if len(so_far) > 1 and arguments.startswith(so_far) and so_far[:1] == "{":
            arguments = arguments[len(so_far) :]
        self._arguments[place] = so_far + arguments
        return arguments


def whole(arguments: str) -> bool:
    """True for arguments that are a JSON value by themselves."""
    try:
        json.loads(arguments)
    except ValueError:
        return False
    return True


def as_json(arguments: Any) -> str:
    """Arguments as text: objects in compact JSON."""
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return arguments
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
