"""Arguments: what programs hand to the SDKs, as JSON values for a request's body.

Here lives what stands for "not given", and the making plain of models, records and iterators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streamsafe.errors import ConfigurationError


class NotGiven:
    """The argument was left out: it is not sent. ``None`` is sent, as null."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


class Omit(NotGiven):
    """The same, by its newer name."""

    def __repr__(self) -> str:
        return "omit"


NOT_GIVEN = NotGiven()
omit = Omit()


def given(value: object) -> bool:
    """False for what stands for "not given", the real SDKs' own included."""
    return not isinstance(value, NotGiven) and type(value).__name__ not in ("NotGiven", "Omit")


def body_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that were given, as JSON values."""
    return {name: plain(value, name) for name, value in arguments.items() if given(value)}


def plain(value: Any, where: str) -> Any:
    """A JSON value of anything that the SDKs take; ``where`` is its name, for the error.

    Answers and models can be sent back as they are: only what was set in them goes.
    """
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Mapping):
        return {name: plain(item, where) for name, item in value.items() if given(item)}
    dump = None if isinstance(value, type) else getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json", exclude_unset=True, by_alias=True)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return [plain(item, where) for item in value]
    raise ConfigurationError(
        f"{where}: {value!r} is no JSON value: expected str, numbers, mappings, lists and the "
        "SDKs' own objects (a class goes with .parse(), which the vendor's SDK has)"
    )
