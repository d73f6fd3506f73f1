"""What the tests of the web share: a model's server, sessions that ask it, and events read back."""

import threading

import pytest

from streamsafe import RetryPolicy, StreamSession
from streamsafe.testing import FaultServer
from streamsafe.wire.sse import SSEFramer


@pytest.fixture
def model():
    """The server that answers."""
    with FaultServer() as running:
        yield running


@pytest.fixture
def session(model):
    """A session that asks it, once: what broke stays broken."""
    with StreamSession(
        "openai_compatible",
        base_url=f"{model.url}/v1",
        model="m",
        retry=RetryPolicy(max_retries=0),
        resume="never",
    ) as made:
        yield made


@pytest.fixture
def journal(tmp_path):
    from streamsafe.journal import SQLiteJournal

    made = SQLiteJournal(tmp_path / "streams.db")
    yield made
    made.close()


@pytest.fixture(scope="session")
def read_events():
    """Bytes, or an iterable of them -> the events that a reader of the standard sees."""

    def read(body):
        framer = SSEFramer()
        return framer.feed(body if isinstance(body, bytes) else b"".join(body))

    return read


@pytest.fixture
def reading():
    """Iterates something on a thread, as a server does: what came is in ``.got``."""
    started = []

    class Reading:
        def __init__(self, items):
            self.items, self.got, self.error = items, [], None
            self._changed = threading.Condition()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            started.append(self)

        def _run(self):
            try:
                for item in self.items:
                    with self._changed:
                        self.got.append(item)
                        self._changed.notify_all()
            except BaseException as error:
                self.error = error

        def wait_for(self, condition, timeout=10.0):
            with self._changed:
                assert self._changed.wait_for(lambda: condition(self.got), timeout), self.got

        def join(self, timeout=10.0):
            self._thread.join(timeout)
            assert not self._thread.is_alive()
            return self.got

    yield Reading
    for each in started:
        each.join()
