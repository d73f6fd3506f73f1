"""For test suites: a server that misbehaves on command, and fakes of clock and transport.

A test of a streaming client reads as one sentence::

    from streamsafe.testing import FaultServer, reply, rst, stream

    with FaultServer() as server:
        server.expect(
            reply(429, headers={"Retry-After": "1"}),     # first the client is told to wait,
            stream(events[:3], then=rst()),               # then the answer breaks off,
            stream(events),                               # then it is whole
        )
        ...                                               # run the client against server.url
        assert server.requests[0].json["stream"] is True
        server.assert_nothing_more()

It needs nothing of streamsafe but its models: any client, in any language, can be tested.
The certificate for TLS is for tests only; everything listens on 127.0.0.1 alone.
"""

from streamsafe.testing.gate import Gate
from streamsafe.testing.request import Headers, RecordedRequest
from streamsafe.testing.script import (
    Exchange,
    chunk,
    drip,
    fin,
    finish,
    head,
    heartbeats,
    on_connect,
    pause,
    raw,
    redirect,
    reply,
    rst,
    split,
    stall,
    stream,
    verbatim,
    wait,
)
from streamsafe.testing.server import FaultServer

__all__ = [
    "Exchange",
    "FaultServer",
    "Gate",
    "Headers",
    "RecordedRequest",
    "chunk",
    "drip",
    "fin",
    "finish",
    "head",
    "heartbeats",
    "on_connect",
    "pause",
    "raw",
    "redirect",
    "reply",
    "rst",
    "split",
    "stall",
    "stream",
    "verbatim",
    "wait",
]
