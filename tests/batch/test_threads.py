"""The executor of a batch that is given none."""

import subprocess
import sys
import threading

import pytest

from streamsafe.batch.threads import Threads

#: A program that ends in the middle of a batch, which it holds in its hands.
ENDING = """
from streamsafe import StreamSession
from streamsafe.testing import FaultServer, openai_chat, stall, stream

server = FaultServer().start()
server.handle(lambda request: stream(openai_chat("x") if b'"a"' in request.body else stall()))
session = StreamSession("openai_compatible", base_url=f"{server.url}/v1", model="m")
results = session.map(["a", "b", "c"])
for result in results:
    print(result.completion.text, flush=True)
    raise SystemExit(7)
"""


@pytest.fixture
def threads():
    made = Threads(2)
    yield made
    made.shutdown()


def test_results_and_errors_come_back(threads):
    assert threads.submit(pow, 2, 5).result(5) == 32
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 1, 0).result(5)


def test_a_thread_that_could_not_be_had_is_not_waited_for(threads, monkeypatch):
    def none_left(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="new thread"):
            threads.submit(pow, 2, 5)
    threads.shutdown()


def test_no_more_threads_than_allowed(threads):
    both, gate = threading.Barrier(3), threading.Event()

    def work():
        if not gate.is_set():
            both.wait(5)
            gate.wait(5)
        return threading.current_thread().name

    futures = [threads.submit(work) for _ in range(6)]
    both.wait(5)
    gate.set()
    assert {future.result(5) for future in futures} == {"streamsafe-batch-1", "streamsafe-batch-2"}


def test_what_was_cancelled_is_not_done(threads):
    gate, done = threading.Event(), []
    for _ in range(2):
        threads.submit(gate.wait, 5)
    late = threads.submit(done.append, 1)
    assert late.cancel()
    gate.set()
    threads.shutdown()
    assert done == []


def test_a_program_that_ends_does_not_wait_for_a_model():
    run = subprocess.run(
        [sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=30
    )
    assert (run.returncode, run.stdout) == (7, "x\n"), run.stderr
