"""Journals of both kinds, so that what is promised of journals is asked of each."""

import shutil
import socket
import subprocess
import time

import pytest

from streamsafe.journal import SQLiteJournal
from streamsafe.models import Call

CALL = Call(({"role": "user", "content": "Hi"},), "m", {"max_tokens": 5})


class Redis:
    """A real Redis on a free port, that may be stopped and started again."""

    def __init__(self, directory, *options):
        self._directory = directory
        self._options = options
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
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


class Shelf:
    """One store, and as many journals on it as a test opens. ``quick``: settings by which it
    notices soon that a process is gone."""

    def __init__(self, make, **quick):
        self._make = make
        self.quick = quick
        self._opened = []

    def open(self, **settings):
        journal = self._make(**settings)
        self._opened.append(journal)
        return journal

    def close(self):
        for journal in self._opened:
            for info in journal.list("streaming"):
                journal.release(info.stream_id)
        for journal in self._opened:
            journal.close()


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.service)])
def shelf(request, tmp_path):
    if request.param == "sqlite":
        shelf = Shelf(lambda **settings: SQLiteJournal(tmp_path / "j.db", **settings))
    else:
        url = request.getfixturevalue("redis").url
        from streamsafe.journal import RedisJournal

        shelf = Shelf(lambda **settings: RedisJournal(url, **settings), lease=0.6)
    yield shelf
    shelf.close()


@pytest.fixture
def journal(shelf):
    return shelf.open()


@pytest.fixture
def begin():
    """Begin a stream with what doesn't matter to the test."""

    def begin(journal, stream_id="s", **changes):
        given = {"call": CALL, "provider": "openai", "settings": {"resume": "auto"}, **changes}
        journal.begin(stream_id, **given)
        return stream_id

    return begin


@pytest.fixture
def wait_until():
    """Wait until something is true, or fail."""

    def wait_until(true, seconds=20.0):
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.01)

    return wait_until
