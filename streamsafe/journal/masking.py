"""Masking: no credential gets into what is written.

Here lives what counts as one in a request's settings: the name it stands under, or being one of
the secrets that are known. What was asked and answered is left as it is: the words "my password
is ..." are the program's own, and a ``signature`` in a message must go back to the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MASK = "***"

#: Whole words of a name: max_tokens and x-ratelimit-remaining-tokens are no tokens.
_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:key|apikey|token|secret|auth|authorization|password|passwd|cookie2?|"
    r"signature|sig|credentials?|jwt|bearer)(?=$|[-_.])",
    re.I,
)
#: camelCase, so that accessToken is read as access-token.
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: The user and password in a URL.
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")

#: Members that hold what was asked. Prompt cache keys are names, not keys.
_CONTENT = frozenset(
    {"messages", "contents", "input", "prompt", "suffix", "system", "system_instruction",
     "systemInstruction", "instructions", "tools", "functions", "documents", "response_format",
     "prompt_cache_key", "idempotency-key"}
)  # fmt: skip

#: Shorter values are no keys; to replace them everywhere would eat words.
_LEAST = 8


def secret_name(name: str) -> bool:
    """Whether what stands under this name is a credential."""
    return bool(_SECRET_NAME.search(_HUMP.sub("-", name))) and name.lower() not in _CONTENT


def masked(value: Any, secrets: Sequence[str] = (), name: str = "") -> Any:
    """A JSON value with *** in place of its credentials; mappings become dicts.

    ``secrets`` are replaced wherever they stand, also in what was asked.
    """
    if isinstance(value, str):
        if name in _CONTENT:
            return without(value, secrets)
        return MASK if value and secret_name(name) else _USERINFO.sub(MASK, without(value, secrets))
    if isinstance(value, Mapping):
        if name in _CONTENT:
            return {key: without(item, secrets) for key, item in value.items()}
        return {key: masked(item, secrets, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [
            without(item, secrets) if name in _CONTENT else masked(item, secrets, name)
            for item in value
        ]
    return value


def without(value: Any, secrets: Sequence[str]) -> Any:
    """The value with *** in place of these secrets alone."""
    if isinstance(value, str):
        for secret in secrets:
            if len(secret) >= _LEAST:
                value = value.replace(secret, MASK)
        return value
    if isinstance(value, Mapping):
        return {key: without(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without(item, secrets) for item in value]
    return value


def unmasked(value: Any) -> Any:
    """The value without the members that were masked: sent, *** would be a wrong key."""
    if isinstance(value, Mapping):
        return {
            key: unmasked(item)
            for key, item in value.items()
            if not (item == MASK and secret_name(key))
        }
    if isinstance(value, list):
        return [unmasked(item) for item in value]
    return value
