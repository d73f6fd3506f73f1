"""Missing: what these clients do not cover, said clearly, with the SDK that does."""

from __future__ import annotations

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
