"""The pytest plugin: fixtures for test suites that stream.

Here live the fixtures alone. pytest loads this file in every run where streamsafe is installed,
so it imports nothing but pytest until a fixture is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Callable, Union

import pytest

if TYPE_CHECKING:
    from streamsafe.debug import Recorder, Replay
    from streamsafe.testing.clock import FakeClock
    from streamsafe.testing.server import FaultServer


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the command ``pytest``."""
    parser.getgroup("streamsafe").addoption(
        "--streamsafe-record", action="store_true",
        help="have streamsafe_cassette record from the real servers instead of replaying",
    )  # fmt: skip


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


@pytest.fixture
def streamsafe_cassette(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Union[Recorder, Replay]]]:
    """A function from a name to a transport: ``StreamSession(transport=streamsafe_cassette("x"))``.

    It replays ``cassettes/x.jsonl`` beside the test's file; without a name, the test's own. Run
    ``pytest --streamsafe-record`` once to record it from the real server; keys are masked. At
    the test's end all that was recorded must have been asked.
    """
    from streamsafe.debug import Recorder, Replay

    opened: list[Union[Recorder, Replay]] = []
    folder = request.path.parent / "cassettes"

    def transport(name: str = "") -> Union[Recorder, Replay]:
        path = folder / f"{name or re.sub(r'[^A-Za-z0-9_.-]+', '_', request.node.name)}.jsonl"
        if request.config.getoption("--streamsafe-record"):
            folder.mkdir(exist_ok=True)
            opened.append(Recorder(path))
        elif path.exists():
            opened.append(Replay(path))
        else:
            pytest.fail(f"no cassette {path}: record it once with pytest --streamsafe-record")
        return opened[-1]

    yield transport
    for one in opened:
        one.close()
    left = sum(one.left for one in opened if isinstance(one, Replay))
    assert not left, f"{left} recorded exchange(s) were not asked for"
