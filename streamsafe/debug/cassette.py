"""Cassette: a recording of exchanges, their bytes and times, as JSON lines.

Here lives the file's form, its writing and its checked reading. Who records and who replays is
told in ``recorder`` and ``replay``.

The first line says what the file is. Then, a line each: an exchange's request (masked), its
answer's status and headers, every read with its time, and its end or failure. Lines of exchanges
that ran at once are mixed; ``exchange`` tells them apart. ``at`` is seconds since the exchange
began. A read that is UTF-8 stands as ``text``, any other as ``base64``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from streamsafe.errors import ConfigurationError
from streamsafe.models import Frozen

VERSION = 1
_KIND = "streamsafe cassette"


class Read(NamedTuple):
    """What one read gave, ``at`` seconds after the exchange began."""

    at: float
    data: bytes


class Failure(NamedTuple):
    """How an exchange broke: the error's type by its name, and its message."""

    at: float
    error: str
    message: str


class Exchange(Frozen):
    """One recorded exchange. ``status`` is None where no answer came."""

    __slots__ = ("method", "url", "json", "opened", "status", "headers", "reads", "failure")

    method: str
    url: str
    json: Any
    opened: float
    status: Optional[int]
    headers: Mapping[str, str]
    reads: tuple[Read, ...]
    failure: Optional[Failure]

    def __init__(
        self,
        method: str,
        url: str,
        json: Any = None,
        opened: float = 0.0,
        status: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
        reads: tuple[Read, ...] = (),
        failure: Optional[Failure] = None,
    ) -> None:
        self._set(
            method=method, url=url, json=json, opened=opened, status=status,
            headers=dict(headers or {}), reads=reads, failure=failure,
        )  # fmt: skip


def head() -> str:
    """The first line."""
    return _line({"kind": _KIND, "version": VERSION})


def request_line(
    exchange: int, method: str, url: str, headers: Mapping[str, str], body: Any
) -> str:
    """An exchange begins; what is given is masked already."""
    asked = {"method": method, "url": url, "headers": dict(headers), "json": body}
    return _line({"exchange": exchange, "request": asked})


def opened_line(exchange: int, at: float, status: int, headers: Mapping[str, str]) -> str:
    """Status and headers came."""
    answer = {"status": status, "headers": dict(headers)}
    return _line({"exchange": exchange, "at": round(at, 6), "answer": answer})


def read_line(exchange: int, at: float, data: bytes) -> str:
    """A read returned; empty data is the end of the body."""
    found: dict[str, Any] = {"exchange": exchange, "at": round(at, 6)}
    try:
        found["text"] = data.decode()
    except UnicodeDecodeError:
        found["base64"] = base64.b64encode(data).decode()
    return _line(found)


def failure_line(exchange: int, at: float, error: BaseException, message: str) -> str:
    """The exchange broke."""
    failed = {"error": type(error).__name__, "message": message}
    return _line({"exchange": exchange, "at": round(at, 6), "failure": failed})


def load(path: str) -> list[Exchange]:
    """The exchanges of a file, in the order in which they began.

    Raises ConfigurationError that names the line for a damaged or foreign file.
    """
    exchanges: dict[int, Exchange] = {}
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                _take(path, number, line, exchanges)
    except OSError as error:
        raise ConfigurationError(f"the cassette {path} can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is no cassette: it is not UTF-8 text") from error
    if not exchanges:
        raise ConfigurationError(f"the cassette {path} holds no exchange")
    return [exchange for _, exchange in sorted(exchanges.items())]


def _take(path: str, number: int, line: str, exchanges: dict[int, Exchange]) -> None:
    try:
        item = json.loads(line)
        if number == 1:
            _check_head(path, item)
        elif "request" in item:
            asked = item["request"]
            exchanges[item["exchange"]] = Exchange(asked["method"], asked["url"], asked["json"])
        else:
            known = exchanges[item["exchange"]]
            exchanges[item["exchange"]] = _grown(known, item)
    except ConfigurationError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}, line {number}: damaged ({type(error).__name__}: {error}); it begins: "
            f"{line[:80]!r}",
            hint="a cassette is made by a Recorder; record it again",
        ) from error


def _grown(known: Exchange, item: Mapping[str, Any]) -> Exchange:
    at = float(item["at"])
    if "answer" in item:
        answer = item["answer"]
        return known.replace(opened=at, status=int(answer["status"]), headers=answer["headers"])
    if "failure" in item:
        failed = item["failure"]
        return known.replace(failure=Failure(at, failed["error"], failed["message"]))
    if "text" in item:
        data = item["text"].encode()
    else:
        data = base64.b64decode(item["base64"], validate=True)
    return known.replace(reads=(*known.reads, Read(at, data)))


def _check_head(path: str, item: Any) -> None:
    if not isinstance(item, dict) or item.get("kind") != _KIND:
        raise ConfigurationError(f"{path}, line 1: this is no streamsafe cassette")
    if item.get("version") != VERSION:
        raise ConfigurationError(
            f"{path}, line 1: a cassette of version {item.get('version')!r}, this streamsafe knows "
            f"{VERSION}"
        )


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"
