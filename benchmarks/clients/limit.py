"""The limit in the requests stack: urllib3's stream, one split, one ``raw_decode`` an event.

It checks nothing, watches nothing, keeps nothing and takes for granted that each event is one data
line, or a name and a data line. What is faster than this must go below urllib3.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from benchmarks.clients.payloads import BODIES, PATHS, Take

PACKAGES = ("requests", "urllib3")
MODULES = ("requests",)
APIS = ("chat", "anthropic")
SHARE = 1.0


def connect(url: str, api: str) -> Callable[[Take], None]:
    """See the package."""
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=1024))
    body, read, url = BODIES[api], READ[api], url + PATHS[api]

    def stream(take: Take) -> None:
        with session.post(url, json=body, stream=True) as response:
            read(runs(_pieces(response.raw)), take)

    return stream


def _pieces(raw: Any) -> Iterable[bytes]:
    # stream() fills up its 64 KB from a body that is not chunked: a token would wait for others.
    if raw.chunked:
        pieces: Iterator[bytes] = raw.stream(65536)
        return pieces
    read1: Callable[[int], bytes] = raw.read1
    return iter(lambda: read1(65536), b"")


def runs(pieces: Iterable[bytes]) -> Iterator[str]:
    """Whole events, with LF at their line ends and without the last blank line."""
    blank = b""
    waiting: list[bytes] = []
    for data in pieces:
        if not blank and b"\n" in data:
            blank = b"\r\n\r\n" if b"\r\n" in b"".join(waiting) + data else b"\n\n"
        if waiting:
            # A long event in small pieces must not be put together again for each.
            found = bool(blank) and blank in waiting[-1][-3:] + data
            waiting.append(data)
            if not found:
                continue
            data, waiting = b"".join(waiting), []
        cut = data.rfind(blank) if blank else -1
        if cut < 0:
            waiting = [data]
            continue
        if cut + len(blank) < len(data):
            waiting = [data[cut + len(blank) :]]
        text = data[:cut].decode()
        yield text if len(blank) == 2 else text.replace("\r\n", "\n")


def _chat(runs: Iterable[str], take: Take) -> None:
    decode = json.JSONDecoder().raw_decode
    for run in runs:
        for block in run.split("\n\n"):
            if block == "data: [DONE]":
                continue
            delta = decode(block, 6)[0]["choices"][0]["delta"]
            text = delta.get("content")
            if text:
                take(text)
            elif "tool_calls" in delta and delta["tool_calls"][0]["function"]["arguments"]:
                take(delta["tool_calls"][0]["function"]["arguments"])


def _anthropic(runs: Iterable[str], take: Take) -> None:
    decode = json.JSONDecoder().raw_decode
    for run in runs:
        for block in run.split("\n\n"):
            payload = decode(block, block.index("\ndata: ") + 7)[0]
            if payload["type"] == "content_block_delta":
                take(payload["delta"]["text"])


READ = {"chat": _chat, "anthropic": _anthropic}
