"""Coverage: what of the OpenAI SDK is stood in for."""

from __future__ import annotations

from streamsafe.compat.missing import Covering


class Covered(Covering):
    """The base of the client's parts."""

    SDK = "openai"
    COVERED = (
        "chat.completions.create, responses.create and completions.create, of OpenAI and "
        "AzureOpenAI"
    )
