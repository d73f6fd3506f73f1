"""Coverage: what of the Anthropic SDK is stood in for."""

from __future__ import annotations

from streamsafe.compat.missing import Covering


class Covered(Covering):
    """The base of the client's parts."""

    SDK = "anthropic"
    COVERED = "messages.create and messages.stream, of Anthropic"
