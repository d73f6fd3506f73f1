"""What the tests of this room share: a server, a debugger, and sessions that both know."""

from __future__ import annotations

import pytest

from streamsafe import RetryPolicy, StreamingError, StreamSession
from streamsafe.debug.debugger import StreamDebugger
from streamsafe.testing import FaultServer

KEY = "sk-planted-0123456789abcdef"


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


@pytest.fixture
def debugger():
    return StreamDebugger()


@pytest.fixture
def run(server, debugger):
    """Streams once against the server and returns the timeline, whatever came of it."""
    made = []

    def one(prompt="Hi", *, read=list, base_url=None, preset="openai_compatible", **settings):
        settings = {
            "model": "m", "api_key": KEY, "resume": "never", "observers": (debugger,),
            "retry": RetryPolicy(max_retries=0, base=0.001), **settings,
        }  # fmt: skip
        session = StreamSession(preset, base_url=base_url or f"{server.url}/v1", **settings)
        made.append(session)
        try:
            read(session.stream(prompt))
        except StreamingError:
            pass
        return debugger.timeline()

    yield one
    for session in made:
        session.close()
