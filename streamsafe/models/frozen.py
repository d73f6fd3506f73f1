"""The base of values that are too large for a tuple.

Not a dataclass: ``dataclasses`` costs more than a millisecond a class at import,
and a program that only imports streamsafe would pay for all of them.
"""

from __future__ import annotations

from typing import Any, TypeVar

_Self = TypeVar("_Self", bound="Frozen")


class Frozen:
    """A value: set once in ``__init__`` through ``_set``, compared by its fields.

    The fields are the names in ``__slots__`` of the class and of those it comes of, in their order.
    """

    __slots__: tuple[str, ...] = ()

    def _set(self, **fields: Any) -> None:
        put = object.__setattr__
        for name, value in fields.items():
            put(self, name, value)

    def fields(self) -> dict[str, Any]:
        """The fields as a new dict, in their order."""
        kinds = reversed(type(self).__mro__)
        names = [name for kind in kinds for name in kind.__dict__.get("__slots__", ())]
        return {name: getattr(self, name) for name in names}

    def replace(self: _Self, **changes: Any) -> _Self:
        """A copy with some fields changed; a wrong name is a TypeError."""
        return type(self)(**{**self.fields(), **changes})

    def __replace__(self: _Self, **changes: Any) -> _Self:
        """For ``copy.replace`` (Python 3.13)."""
        return self.replace(**changes)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{type(self).__name__} is frozen: use .replace({name}=...) for a changed copy"
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.fields() == other.fields()

    def __hash__(self) -> int:
        return hash((type(self), *map(_hash, self.fields().values())))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self.fields().items())
        return f"{type(self).__name__}({inner})"

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.fields()))


def _hash(value: Any) -> int:
    """Of what has none, such as a dict, 0: the other fields tell values apart well enough."""
    try:
        return hash(value)
    except TypeError:
        return 0


def _rebuild(kind: type, fields: dict[str, Any]) -> Any:
    return kind(**fields)
