"""Cassette: a recording of exchanges, their bytes and times, as JSON lines.

Here lives the file's form, its writing and its checked reading. Who records and who replays is
told in ``recorder`` and ``replay``.

The first line says what the file is and when it was begun. Then, a line each: an exchange's
request (masked), the transport's steps, its answer's status and headers, every read with its time,
and its failure or end. Lines of exchanges that ran at once are mixed; ``exchange`` tells them
apart. ``began`` is seconds since the recording began, ``at`` since the exchange did. A read that
is UTF-8 stands as ``text``, any other as ``base64``; an empty one is the end of the body.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional, Union

from streamsafe.errors import ConfigurationError
from streamsafe.models import Frozen

VERSION = 1
_KIND = "streamsafe cassette"
#: Seconds of a recording, and since the epoch: until the year 5138.
MAX_TIME = 1e11

#: What the error says of a recording that was left, or stopped, before its exchange was over.
ENDS_HERE = "the recording ends here: no more of the answer was read"


class Step(NamedTuple):
    """A step of the transport; see ``lifecycle.Step``."""

    at: float
    name: str
    detail: Mapping[str, Any]


class Read(NamedTuple):
    """What one read gave, ``at`` seconds after the exchange began."""

    at: float
    data: bytes


class Failure(NamedTuple):
    """How an exchange broke: the error's type by its name, its message, and what else its
    arguments were (of a clock that ran out)."""

    at: float
    error: str
    message: str
    facts: Mapping[str, Any] = {}


class End(NamedTuple):
    """Why no more was read. ``why``: "finished" (the answer was whole) or "left"."""

    at: float
    why: str


class Exchange(Frozen):
    """One recorded exchange. ``status`` is None where no answer came; ``began`` is seconds since
    the recording began."""

    __slots__ = (
        "method", "url", "json", "began", "steps", "opened", "status", "headers", "reads",
        "failure", "end",
    )  # fmt: skip

    method: str
    url: str
    json: Any
    began: float
    steps: tuple[Step, ...]
    opened: float
    status: Optional[int]
    headers: Mapping[str, str]
    reads: tuple[Read, ...]
    failure: Optional[Failure]
    end: Optional[End]

    def __init__(
        self,
        method: str,
        url: str,
        json: Any = None,
        began: float = 0.0,
        steps: tuple[Step, ...] = (),
        opened: float = 0.0,
        status: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
        reads: tuple[Read, ...] = (),
        failure: Optional[Failure] = None,
        end: Optional[End] = None,
    ) -> None:
        self._set(
            method=method, url=url, json=json, began=began, steps=steps, opened=opened,
            status=status, headers=dict(headers or {}), reads=reads, failure=failure, end=end,
        )  # fmt: skip


class Cassette(NamedTuple):
    """What a file holds: when it was begun (seconds since the epoch), and the exchanges in the
    order in which they began."""

    recorded: float
    exchanges: tuple[Exchange, ...]


# -- writing ---------------------------------------------------------------------------------------


def head(recorded: float) -> str:
    """The first line."""
    return _line({"kind": _KIND, "version": VERSION, "recorded": round(recorded, 3)})


def request_line(
    exchange: int, began: float, method: str, url: str, headers: Mapping[str, str], body: Any
) -> str:
    """An exchange begins; what is given is masked already."""
    asked = {"method": method, "url": url, "headers": dict(headers), "json": body}
    return _line({"exchange": exchange, "began": round(began, 6), "request": asked})


def item_line(exchange: int, item: Union[Step, Failure, End]) -> str:
    """A step, a failure or an end."""
    found: dict[str, Any] = {"exchange": exchange, "at": round(item.at, 6)}
    if isinstance(item, Step):
        found.update(step=item.name, detail=dict(item.detail))
    elif isinstance(item, Failure):
        failed = {"error": item.error, "message": item.message, **item.facts}
        found.update(failure=failed)
    else:
        found.update(end=item.why)
    return _line(found)


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


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), default=str) + "\n"


# -- reading ---------------------------------------------------------------------------------------


def load(path: str) -> Cassette:
    """What a file holds.

    Raises ConfigurationError that names the line for a damaged or foreign file.
    """
    exchanges: dict[int, _Growing] = {}
    recorded = 0.0
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                item = _parsed(path, number, line)
                if number == 1:
                    recorded = _checked_head(path, item)
                else:
                    _take(path, number, line, item, exchanges)
    except OSError as error:
        raise ConfigurationError(f"the cassette {path} can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is no cassette: it is not UTF-8 text") from error
    if not exchanges:
        raise ConfigurationError(f"the cassette {path} holds no exchange")
    found = tuple(growing.exchange() for _, growing in sorted(exchanges.items()))
    return Cassette(recorded, found)


class _Growing:
    """An exchange while its lines are read."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        asked = item["request"]
        self._first = Exchange(
            str(asked["method"]), str(asked["url"]), asked["json"], _time(item["began"])
        )
        self._facts: dict[str, Any] = {}
        self._steps: list[Step] = []
        self._reads: list[Read] = []

    def take(self, item: Mapping[str, Any]) -> None:
        """One line more. Raises KeyError, TypeError or ValueError for what does not fit."""
        at = _time(item["at"])
        if "answer" in item:
            answer = item["answer"]
            headers = {str(name): str(value) for name, value in answer["headers"].items()}
            self._facts.update(opened=at, status=int(answer["status"]), headers=headers)
        elif "failure" in item:
            facts = dict(item["failure"])
            failure = Failure(at, str(facts.pop("error")), str(facts.pop("message")), facts)
            self._facts.update(failure=failure)
        elif "end" in item:
            self._facts.update(end=End(at, str(item["end"])))
        elif "step" in item:
            self._steps.append(Step(at, str(item["step"]), dict(item["detail"])))
        elif "text" in item:
            self._reads.append(Read(at, item["text"].encode()))
        else:
            self._reads.append(Read(at, base64.b64decode(item["base64"], validate=True)))

    def exchange(self) -> Exchange:
        """What it has grown to."""
        return self._first.replace(
            steps=tuple(self._steps), reads=tuple(self._reads), **self._facts
        )


def _parsed(path: str, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, number, line, error) from error


def _take(
    path: str, number: int, line: str, item: Any, exchanges: dict[int, _Growing]
) -> None:
    try:
        if "request" in item:
            exchanges[int(item["exchange"])] = _Growing(item)
        else:
            exchanges[item["exchange"]].take(item)
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, number, line, error) from error


def _damaged(path: str, number: int, line: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{path}, line {number}: damaged ({type(error).__name__}: {error}); it begins: "
        f"{line[:80]!r}",
        hint="a cassette is made by a Recorder; record it again",
    )


def _checked_head(path: str, item: Any) -> float:
    if not isinstance(item, dict) or item.get("kind") != _KIND:
        raise ConfigurationError(f"{path}, line 1: this is no streamsafe cassette")
    if item.get("version") != VERSION:
        raise ConfigurationError(
            f"{path}, line 1: a cassette of version {item.get('version')!r}, this streamsafe knows "
            f"{VERSION}"
        )
    try:
        return _time(item.get("recorded", 0.0))
    except (ValueError, OverflowError, TypeError):
        raise ConfigurationError(
            f"{path}, line 1: damaged: no time of recording: {item['recorded']!r}"
        ) from None


def _time(value: Any) -> float:
    """Seconds that a clock can show; ValueError or TypeError for others."""
    seconds = float(value)
    if not 0 <= seconds <= MAX_TIME:
        raise ValueError(f"{value!r} is no time")
    return seconds
