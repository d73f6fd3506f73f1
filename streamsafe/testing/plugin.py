"""The pytest plugin: fixtures for test suites that stream.

Here live the fixtures alone. pytest loads this file in every run where streamsafe is installed,
so it imports nothing but pytest until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from streamsafe.testing.clock import FakeClock
    from streamsafe.testing.server import FaultServer


@pytest.fixture
def fault_server() -> Iterator[FaultServer]:
    """A running FaultServer; at the test's end all that was scripted must have been asked.

    A test that leaves exchanges unused or provokes errors of the server on purpose says
    ``fault_server.reset()`` at its end.
    """
    from streamsafe.testing.server import FaultServer

    with FaultServer() as server:
        yield server
    server.assert_nothing_more()


@pytest.fixture
def fault_server_tls() -> Iterator[FaultServer]:
    """The same over TLS; give ``fault_server_tls.ca_file`` to the client's ``verify=``."""
    from streamsafe.testing.server import FaultServer

    with FaultServer(tls=True) as server:
        yield server
    server.assert_nothing_more()


@pytest.fixture
def streamsafe_clock() -> FakeClock:
    """A FakeClock that jumps: for ``StreamSession(clock=streamsafe_clock)``, waits take no time."""
    from streamsafe.testing.clock import FakeClock

    return FakeClock(autojump=True)
