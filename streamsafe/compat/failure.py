"""Failure: streamsafe's errors under the names that the SDKs' users catch.

Here lives what is the same for all vendors: the making of an error of a vendor's class from one of
ours, and its being caught by the real SDK's name too. The classes are each vendor's own.
"""

from __future__ import annotations

import sys
from typing import Any, Optional, TypeVar

from streamsafe.compat.exchange import Exchange, Request, Response
from streamsafe.errors import StreamingError

E = TypeVar("E", bound="Failure")


class Failure(StreamingError):
    """The base of both vendors' errors; ``partial``, ``attempts``, ``hint`` are streamsafe's.

    ``message`` is what the SDK's would be, and ``str()`` gives it alone, without the hint.
    """

    #: The vendor's package, where the class of the same name is that a program may catch.
    SDK = ""

    request: Optional[Request] = None
    response: Optional[Response] = None

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> Any:
        bare, (kind, args), state = super().__reduce__()
        return (bare, (kind.__dict__.get("NAMED", kind), args), state)

    @classmethod
    def of(cls: type[E], error: StreamingError, message: str, exchange: Exchange) -> E:
        """An error of this class with all that ours has; to be raised from it."""
        kind: Any = _also_caught_by(cls, sys.modules.get(cls.SDK))
        made: E = kind.__new__(kind, message)
        made.args = (message,)
        made.__dict__.update(error.__dict__)
        made.hint, made.retryable = error.hint, error.retryable
        body = getattr(error, "body", None)
        made.request, made.response = exchange.request, exchange.response
        if made.response is not None:
            made.response = made.response._replace(body=body)
        made._take(body)
        return made

    def _take(self, body: Any) -> None:
        """Set what the SDK reads in the body of an error."""


def _also_caught_by(kind: Any, sdk: Any) -> Any:
    """The class, as a child of the real SDK's class of that name too where the program uses it.

    A program that mixes both, or hands a client of ours to a library, catches what it knows. It
    is looked up when an error is raised: whoever has written ``except openai.APIError`` has
    imported it by then.
    """
    known = getattr(sdk, kind.__name__, None)
    if not isinstance(known, type) or not issubclass(known, Exception) or issubclass(kind, known):
        return kind
    return type(kind.__name__, (kind, known), {"__module__": kind.__module__, "NAMED": kind})
