"""A stream read by a thread of its own."""

import os
import subprocess
import sys
import threading

import pytest

from streamsafe import AuthenticationError, Limits, RetryPolicy, StreamCancelledError, StreamSession
from streamsafe.testing import FaultServer, reply, stall, stream, wait
from streamsafe.testing.answers import openai_chat

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT, usage=(3, 9))
PATIENCE = 10.0


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


def session(server, **settings):
    settings = {"retry": RetryPolicy(base=0.001), "model": "m", "resume": "never", **settings}
    return StreamSession("openai_compatible", base_url=f"{server.url}/v1", **settings)


def test_the_result_is_the_completion(server):
    server.expect(stream(EVENTS))
    handle = session(server).submit("Hi")
    assert handle.result(PATIENCE).text == TEXT
    assert handle.done() and handle.result() is handle.stream.completion


def test_it_reads_at_once_and_is_iterable(server):
    server.expect(stream(EVENTS[:3], wait("more"), EVENTS[3:]))
    handle = session(server).submit("Hi")
    server.wait_for_request()
    assert not handle.done()
    chunks = iter(handle)
    text = ""
    while not text:
        text += next(chunks).text
    server.gate("more").open()
    assert text + "".join(chunk.text for chunk in chunks) == TEXT
    assert handle.done()


def test_a_late_iteration_gets_all_that_came_though_the_queue_is_small(server):
    events = openai_chat(TEXT, usage=(3, 9), reasoning="Hm.", tool_calls=[("look", {"a": 1})])
    server.expect(stream(events))
    handle = session(server, limits=Limits(max_queue=2)).submit("Hi")
    completion = handle.result(PATIENCE)
    chunks = list(handle)
    assert "".join(chunk.text for chunk in chunks) == completion.text == TEXT
    assert "".join(chunk.reasoning for chunk in chunks) == "Hm."
    calls = [chunk.tool_call for chunk in chunks if chunk.tool_call]
    assert (calls[0].name, calls[0].arguments) == ("look", completion.tool_calls[0].arguments)
    assert chunks[-1].usage == completion.usage


def test_a_slow_program_slows_the_server_down(server):
    words = 3000
    many = openai_chat(("w" * 3999 + " ") * words)  # more than all buffers between the two hold
    server.expect(stream(many))
    handle = session(server, limits=Limits(max_queue=4)).submit("Hi")
    chunks = iter(handle)
    next(chunks)
    # The reader stands still at a full queue, whatever time passes: the rest is on the wire.
    assert not handle.done()
    assert len(handle._queue) <= 4
    rest = sum(len(chunk.text) for chunk in chunks)
    assert rest >= 4000 * (words - 2)


def test_an_iteration_that_is_left_does_not_hold_up_the_result(server):
    server.expect(stream(openai_chat("word " * 5000)))
    handle = session(server, limits=Limits(max_queue=4)).submit("Hi")
    for _ in handle:
        break
    assert handle.result(PATIENCE).text_chars >= 5 * 5000 - 1


def test_a_failure_is_raised_by_result_and_by_the_iteration(server):
    server.expect(reply(401))
    handle = session(server).submit("Hi")
    with pytest.raises(AuthenticationError):
        handle.result(PATIENCE)
    with pytest.raises(AuthenticationError):
        list(handle)


def test_cancel_ends_the_reader_also_at_a_full_queue(server):
    server.expect(stream(EVENTS, then=stall()))
    handle = session(server, limits=Limits(max_queue=1)).submit("Hi")
    chunks = iter(handle)
    next(chunks)
    handle.cancel("enough")
    with pytest.raises(StreamCancelledError):
        handle.result(PATIENCE)
    assert handle.done()
    assert not any(handle.stream_id in thread.name for thread in threading.enumerate())


def test_waiting_has_a_limit_of_its_own_and_the_stream_goes_on(server):
    server.expect(stream(EVENTS[:2], wait("go"), EVENTS[2:]))
    handle = session(server).submit("Hi")
    with pytest.raises(TimeoutError, match="has not ended"):
        handle.result(0.05)
    server.gate("go").open()
    assert handle.result(PATIENCE).text == TEXT


def test_one_iteration_at_a_time(server):
    server.expect(stream(EVENTS[:3], wait("go"), EVENTS[3:]))
    handle = session(server).submit("Hi")
    chunks = iter(handle)
    next(chunks)
    with pytest.raises(RuntimeError, match="already"):
        next(iter(handle))
    server.gate("go").open()
    list(chunks)


def test_who_polls_is_told_that_nothing_has_come(server):
    server.expect(stream(EVENTS[:3], wait("go"), EVENTS[3:]))
    handle = session(server).submit("Hi")
    text, ticks = "", 0
    for chunk in handle.polled(0.01):
        text += chunk.text if chunk is not None else ""
        ticks += chunk is None
        if ticks == 3:
            server.gate("go").open()
    assert text == TEXT and ticks >= 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_that_the_reader_is_not_there(server):
    server.expect(stream(EVENTS[:3], wait("go"), EVENTS[3:]))
    handle = session(server).submit("Hi")
    server.wait_for_request()
    child = os.fork()
    if child == 0:
        told = 0
        for ask in (handle.result, handle.done, lambda: next(iter(handle))):
            try:
                ask()
            except RuntimeError:
                told += 1
        os._exit(told)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    server.gate("go").open()
    assert handle.result(PATIENCE).text == TEXT


LAST_WORDS = """
from streamsafe import StreamSession
class Late:
    def __del__(self):
        for ask in (session.complete, session.submit):
            try:
                ask("hi")
            except RuntimeError as error:
                print(error, flush=True)
session = StreamSession("vllm", base_url="http://127.0.0.1:9")
late = Late()
"""


def test_a_finalizer_at_the_end_of_the_program_is_told_that_it_is_too_late():
    """A thread that is started then never runs, and whoever starts it would wait for ever."""
    run = subprocess.run(
        [sys.executable, "-c", LAST_WORDS], stdout=subprocess.PIPE, timeout=60, check=True
    )
    assert run.stdout.count(b"Python is ending") == 2
