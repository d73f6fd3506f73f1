"""Tool calls: fragments, in whatever way servers number them, become fragments one can join.

Here lives the keying that the OpenAI family and its imitators need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

from streamsafe.models import ToolCallFragment
from streamsafe.providers.payloads import word

#: Behind one of these a JSON value begins: a fragment that looks like all so far may be one.
_BEFORE_A_VALUE = (":", ",", "[")


class ToolCalls:
    """Gives the fragments of a choice's tool calls a stable index.

    A new id under an index that is in use, or without one, begins a new call; so does a name or
    more arguments behind whole ones where there are no ids. Arguments may be objects, or repeat
    all that came before; names and ids may be repeated.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._legacy: Optional[Call] = None

    @property
    def begun(self) -> bool:
        """True once there was a call."""
        return bool(self._calls)

    @property
    def legacy(self) -> bool:
        """True if the call came as the deprecated ``function_call``, which has no id."""
        return self._legacy is not None

    def fragments(self, delta: Mapping[str, Any]) -> list[ToolCallFragment]:
        """The fragments in a delta."""
        found = []
        calls = delta.get("tool_calls")
        calls = [calls] if isinstance(calls, dict) else calls  # TGI before 3.0: one, in no list
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                found.append(self._fragment(call))
        function = delta.get("function_call")
        if isinstance(function, dict):
            if self._legacy is None:
                self._legacy = self._begin()
            found.append(self._legacy.add("", *_said(function)))
        return found

    def at(self, index: int) -> Optional[Call]:
        """The call that has this index and an id, if there is one: a fragment with the index and
        neither id nor name is its own."""
        call = self._by_index.get(index)
        return call if call is not None and call.id else None

    def _fragment(self, call: Mapping[str, Any]) -> ToolCallFragment:
        function = call.get("function")
        name, arguments = _said(function) if isinstance(function, dict) else ("", "")
        index, id = call.get("index"), word(call.get("id")) or ""
        if isinstance(index, int):
            found = self._by_index.get(index)
        else:
            index, found = None, self._calls[-1] if self._calls else None
        if found is not None and found.id and id and found.id != id:
            found = next((other for other in self._calls if other.id == id), None)
        elif found is not None and not id and found.ends_before(name, arguments, index is None):
            found = None
        if found is None:
            found = self._begin()
        if index is not None:
            self._by_index[index] = found
        return found.add(id, name, arguments)

    def _begin(self) -> Call:
        call = Call(len(self._calls))
        self._calls.append(call)
        return call


class Call:
    """One call as far as it came."""

    __slots__ = ("place", "id", "name", "_pieces", "_length", "_repeats")

    def __init__(self, place: int) -> None:
        self.place = place
        self.id = ""
        self.name = ""
        self._pieces: list[str] = []
        self._length = 0
        self._repeats: Optional[bool] = None  # not known before the second piece

    def add(self, id: str, name: str, arguments: str) -> ToolCallFragment:
        """What is new of a fragment."""
        fresh = self._fresh(arguments)
        fragment = ToolCallFragment(
            self.place, "" if self.id else id, "" if self.name else name, fresh
        )
        self.id = self.id or id
        self.name = self.name or name
        if fresh:
            self._pieces.append(fresh)
            self._length += len(fresh)
        return fragment

    def ends_before(self, name: str, arguments: str, unnumbered: bool) -> bool:
        """Whether a fragment without an id is the first of another call: it names one, or has
        arguments behind whole ones. ``unnumbered``: without an index, the same name is another's.
        """
        differs = bool(name and self.name) and name != self.name
        if differs and unnumbered and not self._pieces:
            return True
        named = differs or (unnumbered and bool(name and self.name))
        if not (named or (arguments.strip() and not self.id)) or not self._may_be_whole():
            return False
        if not named and arguments.startswith(self._so_far()):
            return False
        return is_whole(self._so_far())

    def _fresh(self, arguments: str) -> str:
        """What is new of the arguments: some servers repeat all so far in each fragment."""
        if not arguments or not self._pieces:
            return arguments
        if self._repeats is False:
            # The finish chunk of some servers has the call once more.
            again = len(arguments) == self._length > 1 and arguments == self._so_far()
            return "" if again and self._may_be_whole() else arguments
        so_far = self._so_far()
        self._repeats = (
            so_far.startswith("{")
            and arguments.startswith(so_far)
            # {"a": and {"a": 1} may be an object in an object: then it is read as OpenAI sends.
            and (self._repeats or not so_far.rstrip().endswith(_BEFORE_A_VALUE))
        )
        return arguments[len(so_far) :] if self._repeats else arguments

    def _may_be_whole(self) -> bool:
        """A cheap look: joining and parsing at each fragment would be quadratic."""
        return bool(self._pieces) and self._pieces[-1].rstrip().endswith(("}", "]"))

    def _so_far(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""


def _said(function: Mapping[str, Any]) -> tuple[str, str]:
    return word(function.get("name")) or "", as_json(function.get("arguments"))


def is_whole(arguments: str) -> bool:
    """True for arguments that are a JSON value by themselves."""
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True


def as_json(arguments: Any) -> str:
    """Arguments as text: objects in compact JSON."""
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return arguments
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
