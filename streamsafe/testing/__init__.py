"""For test suites: a server that misbehaves on command, and fakes of clock and transport.

A test of a streaming client reads as one sentence::

    from streamsafe.testing import FaultServer, openai_chat, reply, rst, stream

    events = openai_chat("The quick brown fox jumps")
    with FaultServer() as server:
        server.expect(
            reply(429, headers={"Retry-After": "1"}),     # first the client is told to wait,
            stream(events[:3], then=rst()),               # then the answer breaks off,
            stream(events),                               # then it is whole
        )
        ...                                               # run the client against server.url
        assert server.requests[0].json["stream"] is True
        server.assert_nothing_more()

 - ``FaultServer``, ``ProxyServer``: real sockets, so any client in any language can be tested.
 - ``stream``, ``reply``, ``redirect``, ``raw``, ``on_connect``, ``forward``: one exchange each.
 - ``pause``, ``wait``, ``heartbeats``, ``drip``, ``split``, ``chunk``, ``verbatim``: steps of a
   body; ``finish``, ``fin``, ``rst``, ``stall``: how it ends.
 - ``openai_chat``, ``responses``, ``anthropic``, ``gemini``, ``cohere``, ``ollama`` and others: the
   events of an answer; ``prose`` makes a long one.
 - ``fault``: an answer with one of the usual faults, by its name.
 - ``recorded``: a cassette, played by a server.
 - ``FakeTransport``, ``FakeClock``: no sockets, no waiting, for tests of streamsafe's own users.
 - ``Chaos``: faults by chance, repeatable by their seed.

The pytest plugin brings the fixtures ``fault_server``, ``fault_server_tls``, ``streamsafe_clock``
and ``streamsafe_cassette``. The certificate for TLS is for tests only; all listens on 127.0.0.1
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamsafe.testing.answers import (
        anthropic,
        cohere,
        gemini,
        ollama,
        ollama_generate,
        openai_chat,
        openai_completions,
        prose,
        responses,
        tokens,
    )
    from streamsafe.testing.chaos import Chaos
    from streamsafe.testing.clock import FakeClock
    from streamsafe.testing.faults import fault
    from streamsafe.testing.gate import Gate
    from streamsafe.testing.proxy import ProxyServer, forward
    from streamsafe.testing.tape import recorded
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
    from streamsafe.testing.transport import FakeTransport

__all__ = [
    "Chaos",
    "Exchange",
    "FakeClock",
    "FakeTransport",
    "FaultServer",
    "Gate",
    "Headers",
    "ProxyServer",
    "RecordedRequest",
    "anthropic",
    "chunk",
    "cohere",
    "drip",
    "fault",
    "fin",
    "finish",
    "forward",
    "gemini",
    "head",
    "heartbeats",
    "ollama",
    "ollama_generate",
    "on_connect",
    "openai_chat",
    "openai_completions",
    "pause",
    "prose",
    "raw",
    "recorded",
    "redirect",
    "reply",
    "responses",
    "rst",
    "split",
    "stall",
    "stream",
    "tokens",
    "verbatim",
    "wait",
]

_ROOMS = (
    "script", "server", "answers", "faults", "tape", "request", "gate", "proxy", "chaos",
    "clock", "transport",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    # Imported at first use: pytest loads the plugin in this package at the start of every run,
    # and a suite that never streams should not pay 30 ms for a server.
    if name in __all__:
        from importlib import import_module

        for room in _ROOMS:
            module = import_module(f"streamsafe.testing.{room}")
            found = vars(module).get(name)
            if found is not None and found.__module__.startswith(module.__name__):
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
