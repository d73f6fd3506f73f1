"""What all tests share: nothing may be left behind, and the environment has no keys in it."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test depends on the machine's speed, and none on luck: STREAMSAFE_EXPLORE=1 has examples that
# were never tried. --hypothesis-profile=few is for further interpreters, where all of them were
# tried on one.
settings.register_profile(
    "streamsafe",
    deadline=None,
    derandomize=not os.environ.get("STREAMSAFE_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("streamsafe")
settings.register_profile("few", max_examples=25)

# A shell starts what stands before "&" with SIGINT ignored, which all children would inherit; tests
# that press Ctrl-C on them would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Threads that outlive a stream on purpose: shared by the process, and gone when idle.
SHARED = ("streamsafe-watchdog", "streamsafe-teller")
#: How long what was closed may take to be gone, in seconds.
PATIENCE = 5.0


@pytest.fixture(scope="module", autouse=True)
def what_is_imported_is_no_garbage() -> None:
    """A collection looks at what the module's tests make: all else takes ten times as long."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_thread_and_no_socket_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test after which more threads of ours, or more sockets, are there than before."""
    threads, sockets = set(threading.enumerate()), _sockets()
    yield
    request.node.funcargs.clear()  # a session that a fixture made may go now
    deadline = time.monotonic() + PATIENCE
    while True:
        left, open_now = _ours() - threads, _sockets()
        if not left and len(open_now) <= len(sockets):
            return
        if time.monotonic() > deadline:
            break
        gc.collect()  # and closes its idle connections
        time.sleep(0.01)
    more = ", ".join(sorted(open_now - sockets))
    pytest.fail(f"left behind: threads {sorted(t.name for t in left)}, sockets {more or 'none'}")


@pytest.fixture(autouse=True)
def no_key_and_no_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own keys, addresses and proxies must neither help nor be sent anywhere."""
    for name in os.environ:
        if name.endswith(("_API_KEY", "_BASE_URL", "_TOKEN", "_ENDPOINT", "_HOST")):
            monkeypatch.delenv(name)
        elif name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name)


def _ours() -> set[threading.Thread]:
    return {
        thread
        for thread in threading.enumerate()
        # A connection's thread belongs to its server, which may serve many tests.
        if thread.name.startswith("streamsafe-")
        and not thread.name.startswith(SHARED)
        and "-connection-" not in thread.name
    }


def _sockets() -> set[str]:
    """The sockets that this process holds open; empty where the system does not tell."""
    found = set()
    for fd in Path("/proc/self/fd").glob("*"):
        try:
            target = os.readlink(fd)
        except OSError:  # the directory's own, gone by now
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture
def wait_until():
    """Wait until something is true, or fail."""

    def wait_until(true, seconds=20.0):
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    return wait_until


# -- other programs' ports -------------------------------------------------------------------------


def unused_port(most=32_000):
    """A port for a program that can't be asked which one it took.

    Below those that systems give to who asks for any: a server of a test that runs beside this
    one could be given it meanwhile, and would get requests that are none of its own.
    """
    while True:
        with contextlib.suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", random.randrange(20_000, most)))
            return free.getsockname()[1]


@pytest.fixture(scope="session")
def free_port():
    return unused_port


# -- a Redis ---------------------------------------------------------------------------------------


class Redis:
    """A real Redis on a free port, that may be stopped and started again."""

    def __init__(self, directory, *options):
        self._directory = directory
        self._options = options
        # A node of a cluster takes the port 10,000 above as well.
        self.port = unused_port(22_000 if "--cluster-enabled" in options else 32_000)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--dir", str(self._directory), *self._options],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while self.ask(b"PING") != b"+PONG\r\n":
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.01)

    def ask(self, command):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(command + b"\r\n")
                return connection.recv(65536)
        except OSError:
            return b""

    def stop(self):
        self.process.kill()
        self.process.wait()


def redis_server(directory, *options):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    pytest.importorskip("redis")
    return Redis(directory, *options)


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    server = redis_server(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis(shared_redis):
    """A Redis for all tests that leave it running, with nothing in it."""
    shared_redis.ask(b"FLUSHALL")
    return shared_redis


@pytest.fixture
def own_redis(tmp_path):
    """A Redis that a test may stop, and that then still knows what it was told."""
    server = redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.stop()


@pytest.fixture
def cluster(tmp_path):
    """A cluster of one node, which has all slots and yet takes no keys of two slots at once."""
    server = redis_server(tmp_path, "--cluster-enabled", "yes")
    server.ask(b"CLUSTER ADDSLOTSRANGE 0 16383")
    deadline = time.monotonic() + 20
    while b"cluster_state:ok" not in server.ask(b"CLUSTER INFO"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield server
    server.stop()
