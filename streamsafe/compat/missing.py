"""Missing: what these clients do not cover, said clearly, with the SDK that does."""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn

from streamsafe.errors import ConfigurationError


class NotCoveredError(ConfigurationError, AttributeError):
    """A part of the vendor's SDK that streamsafe does not stand in for."""


def not_covered(what: str, sdk: str, covered: str) -> NoReturn:
    """Raise the error for ``what``; ``sdk`` is the vendor's package, ``covered`` what there is."""
    raise NotCoveredError(
        f"streamsafe.compat.{sdk} has no {what}: it covers {covered}. Use the vendor's SDK for the "
        f"rest (pip install {sdk}); both can be used side by side"
    )


def no_such_name(name: str, sdk: str, covered: str, known: Collection[str]) -> NoReturn:
    """Raise the error for a name that the vendor's module may have and ours has not.

    ``known`` are those that programs do import: Python shows an ImportError for one as it is, and
    hides an AttributeError behind a message of its own, which ``hasattr`` wants.
    """
    said = (
        f"streamsafe.compat.{sdk} has no {name}: it covers {covered}. Take it from the vendor's "
        f"SDK (pip install {sdk})"
    )
    raise ImportError(said) if name in known else AttributeError(said)


class Covering:
    """The base of clients and their parts: a name of the SDK's that is not here is explained."""

    #: What the name stands behind, such as "client.chat.completions".
    PATH = "client"
    SDK = ""
    COVERED = ""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        not_covered(f"{self.PATH}.{name}", self.SDK, self.COVERED)
