"""Tape: a cassette played by a server, for clients that are no streamsafe.

Here lives the way from a recorded exchange to one of the script. A session of streamsafe needs no
server for it: ``streamsafe.debug.Replay`` is a transport.
"""

from __future__ import annotations

import os
import threading
from typing import Callable, Optional, Union
from urllib.parse import urlsplit

from streamsafe.debug import cassette
from streamsafe.testing.request import RecordedRequest
from streamsafe.testing.script import Exchange, Step, fin, pause, raw, rst, stall, stream

#: Headers that are the recorded connection's own, and of bytes that are decoded now.
_ITS_OWN = frozenset(
    {"transfer-encoding", "content-length", "content-encoding", "connection", "keep-alive"}
)


def recorded(
    path: Union[str, os.PathLike[str]], speed: Optional[float] = None
) -> Callable[[RecordedRequest], Exchange]:
    """A handler that answers with what a cassette holds: ``server.handle(recorded("a.jsonl"))``.

    Requests get the exchanges of their method and path in the order of the recording, and then
    from its start again; another path is answered by 500. ``speed``: None = without waits, 1.0 =
    with the times of the recording, 2.0 = twice as fast. Raises ConfigurationError for a
    damaged or foreign file, ValueError for a speed that is no number > 0.
    """
    if speed is not None and not speed > 0:
        raise ValueError(f"speed={speed!r}: expected a number > 0, or None")
    tapes: dict[tuple[str, str], list[Exchange]] = {}
    for one in cassette.load(os.fspath(path)).exchanges:
        tapes.setdefault((one.method, urlsplit(one.url).path), []).append(_played(one, speed))
    lock = threading.Lock()  # guards tapes

    def answer(request: RecordedRequest) -> Exchange:
        key = (request.method, request.path.partition("?")[0])
        with lock:
            if key not in tapes:
                known = ", ".join(" ".join(each) for each in tapes)
                raise LookupError(f"the cassette {os.fspath(path)} knows only {known}")
            found = tapes[key].pop(0)
            tapes[key].append(found)
        return found

    return answer


def _played(one: cassette.Exchange, speed: Optional[float]) -> Exchange:
    """The exchange that does what was recorded."""
    if one.status is None:
        return raw(fin())
    steps: list[Step] = []
    at = one.opened
    for read in one.reads:
        steps += [*_silence(read.at - at, speed), *([read.data] if read.data else [])]
        at = read.at
    if one.failure is not None:
        waits = one.failure.error == "StreamTimeoutError"
        steps += [*_silence(one.failure.at - at, speed), stall() if waits else rst()]
    elif one.end is not None and one.end.why != "finished":
        steps += [*_silence(one.end.at - at, speed), fin()]
    headers = [(name, value) for name, value in one.headers.items() if name not in _ITS_OWN]
    return stream(
        steps, status=one.status, headers=headers, content_type=None,
        first=_silence(one.opened, speed),
    )  # fmt: skip


def _silence(seconds: float, speed: Optional[float]) -> list[Step]:
    return [pause(seconds / speed)] if speed is not None and seconds > 0 else []
