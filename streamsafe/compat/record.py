"""Record: a JSON object whose fields are attributes, as the vendors' models are.

Here lives the one base of all answers in the SDKs' shape. Underneath it is a dict, so that it can
be sent back as it is; which fields an object may have is said by its subclass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any, ClassVar, Optional


class Record(dict[str, Any]):
    """An object of an answer: fields as attributes or as items, those within it likewise.

    The annotations of a subclass are the fields that it knows: such a one is None where the server
    did not send it. Another one is an AttributeError then. A field with the name of a dict's
    method, such as "items", is there as an item alone.
    """

    #: By field: a Record's class, one for each ``type``, or dict for what is the program's own.
    SHAPES: ClassVar[Mapping[str, Any]] = {}
    #: The fields that are None where they were not sent.
    KNOWN: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = cls.__dict__.get("__annotations__", {})
        cls.KNOWN = tuple(dict.fromkeys((*cls.KNOWN, *own)))

    def __init__(self, fields: Optional[Mapping[str, Any]] = None, /, **more: Any) -> None:
        super().__init__()
        shapes = self.SHAPES
        for name, value in {**(fields or {}), **more}.items():
            if value.__class__ in _PLAIN:
                self[name] = value
            else:
                self[name] = shaped(value, shapes.get(name, Record))

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            if name in self.KNOWN:
                return None
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):  # no field: a note of the SDK's own, such as _request_id
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __bool__(self) -> bool:
        return True  # also without fields: an empty delta is one

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self.items())
        return f"{type(self).__name__}({inner})"

    def to_dict(self, *, mode: str = "python", exclude_none: bool = False) -> dict[str, Any]:
        """What the server sent, as plain dicts and lists, whatever the ``mode``."""
        return _plain(self, exclude_none, False)  # type: ignore[no-any-return]

    def to_json(self, *, indent: Optional[int] = 2) -> str:
        """``to_dict`` as JSON."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def model_dump(
        self,
        *,
        mode: str = "python",
        include: Optional[Set[str]] = None,
        exclude: Optional[Set[str]] = None,
        by_alias: Optional[bool] = None,
        exclude_none: bool = False,
        exclude_unset: bool = False,
        warnings: Any = True,
    ) -> dict[str, Any]:
        """Plain dicts and lists; known fields that were not sent are None, or left out.

        ``include`` and ``exclude`` are names of this object's own fields. ``mode``, ``by_alias``
        and ``warnings`` are pydantic's and change nothing here.
        """
        for names in (include, exclude):
            if names is not None and not isinstance(names, Set):
                raise TypeError(f"model_dump(): {names!r}: expected a set of names")
        made = _plain(self, exclude_none, not (exclude_unset or exclude_none))
        return {
            name: value
            for name, value in made.items()
            if (include is None or name in include) and name not in (exclude or ())
        }

    def model_dump_json(self, *, indent: Optional[int] = None, **options: Any) -> str:
        """``model_dump`` as JSON, without blanks where ``indent`` is None."""
        blanks = (",", ":") if indent is None else None
        made = self.model_dump(**options)
        return json.dumps(made, indent=indent, separators=blanks, ensure_ascii=False)


_PLAIN = frozenset({str, int, float, bool, type(None)})


def shaped(value: Any, shape: Any) -> Any:
    """The value with its objects as Records of this shape."""
    if shape is dict:
        return value
    if isinstance(value, list):
        return [shaped(item, shape) for item in value]
    if not isinstance(value, Mapping):
        return value
    if isinstance(shape, Mapping):
        kind = value.get("type")
        shape = shape.get(kind, Record) if isinstance(kind, str) else Record
    return value if type(value) is shape else shape(value)


def _plain(value: Any, exclude_none: bool, whole: bool) -> Any:
    if isinstance(value, list):
        return [_plain(item, exclude_none, whole) for item in value]
    if not isinstance(value, Mapping):
        return value
    absent = dict.fromkeys(value.KNOWN) if whole and isinstance(value, Record) else {}
    return {
        name: _plain(item, exclude_none, whole)
        for name, item in {**absent, **value}.items()
        if not (exclude_none and item is None)
    }
