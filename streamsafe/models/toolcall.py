"""ToolCall: a call that the model wants made, put together from its fragments."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class ToolCall(NamedTuple):
    """One tool call: ``id`` to answer it by, ``name``, ``arguments`` as the JSON text received."""

    id: str
    name: str
    arguments: str

    def parsed(self) -> Any:
        """The arguments as a Python value; empty arguments are ``{}``.

        Raises ValueError where the text is not JSON, as it can be in an answer that was cut
        off by its length: the message shows where.
        """
        if not self.arguments.strip():
            return {}
        try:
            return json.loads(self.arguments)
        except ValueError as error:
            raise ValueError(
                f"the arguments of tool call {self.name!r} ({self.id}) are not JSON: {error}; "
                f"an answer cut off by its length ends like this. Got: {self.arguments[:200]!r}"
            ) from error
