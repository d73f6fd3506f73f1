"""Compat: the vendors' own SDKs by their names, over streamsafe's streams.

For programs that exist already: change one import, and their streams are watched, retried and
gone on with::

    from streamsafe.compat.openai import OpenAI          # was: from openai import OpenAI
    from streamsafe.compat.anthropic import Anthropic    # was: from anthropic import Anthropic

Covered is what generates text. All else raises an error that names the SDK to use for it; the two
can be used side by side. Nothing of the vendors' packages is needed.
"""
