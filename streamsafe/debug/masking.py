"""Masking: no key, cookie or token gets into what is kept, shown or written.

Here lives what counts as a secret, by the name it stands under and by its look. Values that stood
under a secret name are replaced wherever else they turn up: servers echo keys in their errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus, urlsplit

MASK = "***"

#: Names of headers, query parameters and JSON members whose value is a secret. Whole words only:
#: x-ratelimit-remaining-tokens and max_tokens are none.
_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:key|apikey|token|secret|auth|authorization|password|passwd|pwd|cookie2?|"
    r"signature|sig|credentials?|session|sessionid|jwt|bearer|private|csrf)(?=$|[-_.])",
    re.I,
)
_NO_SECRET = frozenset({"idempotency-key"})
#: camelCase, so that accessToken is read as access-token.
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: What keys look like that stand where nobody would look for them: the vendors' prefixes, JSON
#: Web Tokens, and whatever follows "Bearer".
_LOOKS = re.compile(
    r"""(?:\b(?:sk|pk|rk|gsk|xai|hf|nvapi|pplx|r8|ghp|gho|xoxb|xoxp|key)[-_][A-Za-z0-9_-]{12,}
        |\bAIza[A-Za-z0-9_-]{20,}
        |\b(?:AKIA|ASIA)[A-Z0-9]{12,}
        |\bya29\.[A-Za-z0-9_.-]{10,}
        |\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?)""",
    re.X,
)
_SCHEME = re.compile(r"\b(Bearer|Basic|Token)\s+[A-Za-z0-9._~+/=-]{6,}", re.I)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
#: name=value and "name": "value" in running text, as in an echoed URL or a JSON body.
_PAIR = re.compile(r"""([A-Za-z0-9_.-]+)(["']?\s*[=:]\s*["']?)([^\s"'&,;}<]{4,})""")

#: Shorter values are no keys; to replace them everywhere would eat words.
_LEAST = 6

#: Characters of one text of a request that are kept: images are megabytes of base64.
SHOWN_TEXT = 400
#: Members whose text is no part of what was asked.
_PLAIN = frozenset({"model", "role", "type"})

#: Where a message of ours begins to quote what the server sent.
_QUOTES = re.compile(r"((?:it begins|event was left|could not be read|got): ?)['\"].*", re.S)


def secret_name(name: str) -> bool:
    """Whether what stands under this name is a secret."""
    return bool(_SECRET_NAME.search(_HUMP.sub("-", name))) and name.lower() not in _NO_SECRET


def secrets_of(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """The secret values in a request, the longest first."""
    found: set[str] = set()
    for name, value in headers.items():
        if secret_name(name):
            found.update(_values(name, str(value)))
    parts = urlsplit(url)
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if secret_name(unquote_plus(name)):
            found.update((value, unquote_plus(value)))
    userinfo = parts.netloc.rpartition("@")[0]
    found.update((userinfo, *userinfo.split(":")[1:]))
    return tuple(sorted((one for one in found if len(one) >= _LEAST), key=len, reverse=True))


def _values(name: str, value: str) -> Iterable[str]:
    """A header's secret parts: behind "Bearer", or behind each "=" of a cookie."""
    yield value
    if "cookie" in name.lower():
        for pair in value.split(";"):
            yield pair.partition("=")[2].strip()
    else:
        yield value.rpartition(" ")[2]


class Masker:
    """Masks for one request: by names, by looks, and by the ``secrets`` that are known.

    ``bodies``: also what was asked and answered is replaced, by its length.
    """

    __slots__ = ("_secrets", "_bytes", "bodies")

    def __init__(self, secrets: Iterable[str] = (), bodies: bool = False) -> None:
        self._secrets = tuple(secrets)
        self._bytes = tuple(secret.encode() for secret in self._secrets)
        self.bodies = bodies

    def __repr__(self) -> str:
        return f"Masker({len(self._secrets)} secrets, bodies={self.bodies})"

    def text(self, text: str) -> str:
        """Running text: an error's message, a body."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        text = _USERINFO.sub(MASK + "@", text)
        text = _SCHEME.sub(rf"\1 {MASK}", text)
        text = _LOOKS.sub(MASK, text)
        return _PAIR.sub(_pair, text)

    def message(self, text: str) -> str:
        """A message; with ``bodies`` without what it quotes of the answer."""
        if self.bodies:
            text = _QUOTES.sub(rf"\1{MASK}", text)
        return self.text(text)

    def raw(self, data: bytes) -> bytes:
        """Bytes of an answer: the known secrets only, since what they stand in is not known."""
        for secret in self._bytes:
            if secret in data:
                data = data.replace(secret, MASK.encode())
        return data

    def begun(self, data: bytes) -> bool:
        """Whether these bytes end in what may be the beginning of a known secret."""
        for secret in self._bytes:
            place = data.find(secret[:1], max(0, len(data) - len(secret) + 1))
            while place >= 0:
                if secret.startswith(data[place:]):
                    return True
                place = data.find(secret[:1], place + 1)
        return False

    def url(self, url: str) -> str:
        """A URL without its user, and without the values of its secret parameters."""
        head, mark, query = url.partition("?")
        head = _USERINFO.sub(MASK + "@", head)
        pairs = []
        for pair in query.split("&") if mark else ():
            name, equals, value = pair.partition("=")
            secret = equals and secret_name(unquote_plus(name))
            pairs.append(f"{name}={MASK}" if secret else self.text(f"{name}{equals}{value}"))
        return self.text(head) + mark + "&".join(pairs)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers, with the values of the secret ones replaced."""
        return {
            name: MASK if secret_name(name) else self.text(str(value))
            for name, value in headers.items()
        }

    def body(self, value: Any, name: str = "") -> Any:
        """A JSON value: secret members replaced; with ``bodies`` all texts, too."""
        if isinstance(value, Mapping):
            return {str(key): self.body(item, str(key)) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.body(item, name) for item in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if not isinstance(value, str) or secret_name(name):
            return MASK
        if self.bodies and name not in _PLAIN:
            return f"<{len(value)} characters>"
        # Cut twice: a secret must not lose its end before it is looked for.
        shown = self.text(value[: 4 * SHOWN_TEXT])
        if len(shown) > SHOWN_TEXT:
            shown = f"{shown[:SHOWN_TEXT]}… <{len(value)} characters>"
        return shown


def _pair(match: re.Match[str]) -> str:
    name, between, value = match.groups()
    if not secret_name(name) or value.startswith(MASK):
        return match.group()
    return f"{name}{between}{MASK}"
