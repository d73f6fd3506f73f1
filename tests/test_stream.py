"""What the program holds in its hands: iterating, leaving, cancelling, in whatever thread."""

import gc
import os
import signal
import sys
import threading
import time
import weakref
from contextlib import ExitStack, contextmanager

import pytest
import requests

from streamsafe import (
    Outcome,
    RetryBudget,
    RetryPolicy,
    StreamCancelledError,
    StreamingError,
    StreamSession,
    StreamTimeoutError,
    Timeouts,
)
from streamsafe.journal import SQLiteJournal
from streamsafe.testing import FakeClock, FaultServer, ProxyServer, drip, fin, head, heartbeats
from streamsafe.testing import on_connect, raw, reply, rst, stall, stream, wait
from streamsafe.testing.answers import openai_chat

TEXT = "Rivers do not hurry, and yet they arrive."
EVENTS = openai_chat(TEXT)
PATIENCE = 5.0
ALARM = getattr(signal, "ITIMER_REAL", 0)


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


def session(server, **settings):
    settings = {"retry": RetryPolicy(base=0.001), "model": "m", "resume": "never", **settings}
    return StreamSession("openai_compatible", base_url=f"{server.url}/v1", **settings)


def stalled():
    """An answer of which three tokens come, and then nothing."""
    return stream(EVENTS[:4], then=stall())


# -- iterating -------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_iteration_starts(server):
    answer = session(server).stream("Hi")
    assert answer.status == "pending" and answer.attempts == ()
    assert answer.completion.outcome is Outcome.PENDING
    assert server.requests == ()
    server.expect(stream(EVENTS))
    assert answer.until_done().text == TEXT


def test_text_gives_the_pieces(server):
    server.expect(stream(EVENTS))
    assert "".join(session(server).stream("Hi").text()) == TEXT


def test_next_and_a_loop_share_one_answer(server):
    server.expect(stream(EVENTS))
    answer = session(server).stream("Hi")
    first = next(answer)
    rest = list(answer)
    assert first.text + "".join(chunk.text for chunk in rest) == TEXT
    assert list(answer) == []
    with pytest.raises(StopIteration):
        next(answer)


def test_an_iterator_that_was_never_begun_takes_nothing_away(server):
    server.expect(stream(EVENTS))
    answer = session(server).stream("Hi")
    iter(answer)
    assert "".join(chunk.text for chunk in answer) == TEXT


def test_a_second_reader_is_told_and_the_first_goes_on(server):
    server.expect(stream(EVENTS[:4], wait("go"), EVENTS[4:]))
    answer, texts = session(server).stream("Hi"), []
    reader = threading.Thread(target=lambda: texts.append(answer.until_done().text))
    reader.start()
    wait_until(lambda: answer.completion.text)
    for read in (list, next, iter):
        with pytest.raises(RuntimeError, match="one reader at a time"):
            read(answer)
    server.gate("go").open()
    reader.join(PATIENCE)
    assert texts == [TEXT]


def test_a_failed_stream_never_looks_like_a_clean_end(server):
    server.expect(reply(401))
    answer = session(server).stream("Hi")
    for _ in range(2):
        with pytest.raises(StreamingError):
            list(answer)
        with pytest.raises(StreamingError):
            next(answer)
        with pytest.raises(StreamingError):
            answer.until_done()


def test_the_completion_so_far_is_what_was_delivered(server):
    server.expect(stream(b"".join(EVENTS)))
    seen = ""
    answer = session(server).stream("Hi")
    for chunk in answer:
        seen += chunk.text
        assert answer.completion.text == seen
    assert answer.completion.text == TEXT


# -- leaving ---------------------------------------------------------------------------------------


def leave_by_break(answer):
    for chunk in answer:
        if chunk.text:
            break


def leave_by_with(answer):
    with answer:
        for chunk in answer:
            if chunk.text:
                return


def leave_by_an_exception(answer):
    with pytest.raises(ZeroDivisionError), answer:
        for chunk in answer:
            if chunk.text:
                1 / 0


def leave_by_ctrl_c(answer):
    with pytest.raises(KeyboardInterrupt):
        for chunk in answer:
            if chunk.text:
                raise KeyboardInterrupt


def test_who_looks_at_the_completion_all_the_time_takes_nothing_of_it(server, fast_switching):
    text = " ".join(f"w{number}" for number in range(20_000))
    server.expect(stream(b"".join(openai_chat(text))))
    answer = session(server).stream("Hi")
    over = threading.Event()

    def look():
        while not over.is_set():
            assert text.startswith(answer.completion.text)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        assert "".join(answer.text()) == text
    finally:
        over.set()
        looking.join()
    assert answer.completion.text == text


@pytest.fixture
def fast_switching():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this platform")
@pytest.mark.parametrize("where", ["headers", "body"])
def test_what_the_handler_of_a_signal_raises_is_no_fault_of_the_network(server, where):
    class OutOfTime(TimeoutError):
        """What programs raise there: an OSError, as the network's own are."""

    def handler(*_):
        raise OutOfTime("the program's alarm")

    silent = raw(wait("never"))
    server.expect(silent if where == "headers" else stream(EVENTS[:3], then=stall()))
    before = signal.signal(signal.SIGALRM, handler)
    try:
        answer = session(server).stream("Hi", on_token=lambda _: signal.setitimer(ALARM, 0.1))
        if where == "headers":
            signal.setitimer(ALARM, 0.2)
        with pytest.raises(OutOfTime) as raised:
            list(answer)
    finally:
        signal.setitimer(ALARM, 0)
        signal.signal(signal.SIGALRM, before)
    assert raised.value.__cause__ is None
    assert answer.status == "failed" and len(server.requests) == 1
    assert server.requests[0].client_gone.wait(PATIENCE)


def test_a_stream_that_ctrl_c_ended_says_so_and_raises_no_second_ctrl_c(server):
    server.expect(stream(EVENTS))
    answer = session(server).stream("Hi", on_token=ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        list(answer)
    assert answer.status == "cancelled"
    with pytest.raises(StreamCancelledError, match="KeyboardInterrupt"):
        list(answer)


def ctrl_c(text):
    raise KeyboardInterrupt


def leave_by_close(answer):
    while not next(answer).text:
        pass
    answer.close()


def leave_by_a_closed_generator(answer):
    pieces = answer.text()
    next(pieces)
    pieces.close()


LEAVINGS = [
    leave_by_break, leave_by_with, leave_by_an_exception, leave_by_ctrl_c, leave_by_close,
    leave_by_a_closed_generator,
]  # fmt: skip


@pytest.mark.parametrize("leave", LEAVINGS)
def test_leaving_closes_the_connection_at_once_and_keeps_the_partial(server, leave):
    server.expect(stalled())
    answer = session(server).stream("Hi")
    leave(answer)
    assert server.requests[0].client_gone.wait(PATIENCE)
    assert (answer.status, answer.completion.text) == ("cancelled", "Rivers")
    assert answer.completion.outcome is Outcome.CANCELLED
    with pytest.raises(StreamCancelledError, match="left"):
        list(answer)


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_stream_that_is_dropped_closes_its_connection(server):
    server.expect(stalled())
    answer = session(server).stream("Hi")
    while not next(answer).text:
        pass
    gone = weakref.ref(answer._run)
    del answer
    assert server.requests[0].client_gone.wait(PATIENCE) and gone() is None


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("end", [None, rst()], ids=["whole", "cut behind the finish"])
def test_a_stream_that_has_ended_needs_no_collector(server, end):
    server.expect(stream(EVENTS[:-1], then=end))
    answer = session(server).stream("Hi")
    answer.until_done()
    gone = weakref.ref(answer._run)
    del answer
    assert gone() is None


def test_leaving_behind_the_finish_is_a_whole_answer(server):
    server.expect(stream(EVENTS))
    answer = session(server).stream("Hi")
    for chunk in answer:
        if chunk.kind == "finish":
            break
    assert (answer.status, answer.completion.outcome) == ("complete", Outcome.COMPLETE)


def test_closing_before_the_start_sends_nothing(server):
    answer = session(server).stream("Hi")
    answer.close()
    assert answer.status == "cancelled"
    with pytest.raises(StreamCancelledError):
        next(answer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_that_drops_its_copy_harms_nothing(server, tmp_path):
    server.expect(stream(EVENTS[:4], wait("go"), EVENTS[4:]))
    journal, told, seen = SQLiteJournal(tmp_path / "journal"), tmp_path / "told", ""

    class Notes:
        def observe(self, record):
            with open(told, "a") as file:
                print(os.getpid(), type(record).__name__, file=file)

    asking = session(server, journal=journal, observers=[Notes()])
    answer = asking.stream("Hi", stream_id="a", sink=tmp_path / "sink")
    while seen != "Rivers do not":
        seen += next(answer).text
    child = os.fork()
    if child == 0:
        try:
            del answer
            gc.collect()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    server.gate("go").open()
    assert seen + "".join(chunk.text for chunk in answer) == TEXT
    assert (tmp_path / "sink").read_text() == journal.transcript("a") == TEXT
    assert journal.info("a").status == "complete"
    assert {line.split()[0] for line in told.read_text().splitlines()} == {str(os.getpid())}
    journal.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["stream", "events"])
def test_a_forked_child_takes_no_token_from_its_parent(server, kind):
    server.expect(stream(EVENTS[:4], wait("go"), EVENTS[4:]))
    asking = session(server)
    if kind == "stream":
        answer = asking.stream("Hi")
    else:
        answer = asking.events(server.url, method="POST", json={})
    seen = [next(answer)]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            list(answer)
        except StreamCancelledError as error:
            status = 0 if "forked" in str(error) else 2
        finally:
            os._exit(status)
    server.gate("go").open()
    assert os.waitpid(child, 0)[1] == 0
    seen += list(answer)
    if kind == "stream":
        assert "".join(chunk.text for chunk in seen) == TEXT
    else:
        assert len(seen) == len(EVENTS)


@contextmanager
def held_by_another_thread(*locks):
    """Locks that a fork in the body finds held, and its child for ever."""
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            let_go.wait(PATIENCE)

    holder = threading.Thread(target=hold, name="test-holder")
    holder.start()
    assert held.wait(PATIENCE)
    try:
        yield
    finally:
        let_go.set()
        holder.join()


def forked(work):
    """The status of a child that does the work; it is killed if that takes for ever."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(PATIENCE))
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["stream", "events", "handle"])
def test_a_forked_child_leaves_its_copy_whatever_lock_was_held(server, kind):
    server.expect(stream(EVENTS[:4], wait("go"), EVENTS[4:]))
    asking = session(server)
    if kind == "events":
        answer = asking.events(server.url, method="POST", json={})
        next(answer)
        locks = [answer._state._lock, answer._state._attempt.scope._lock]
    else:
        answer = asking.stream("Hi") if kind == "stream" else asking.submit("Hi")
        next(iter(answer)) if kind == "handle" else next(answer)
        run = answer._run if kind == "stream" else answer.stream._run
        locks = [run._lock, run.ledger._folding, run.ledger.attempt.scope._lock]
        locks += [answer._changed] if kind == "handle" else []
    with held_by_another_thread(*locks):
        assert forked(answer.cancel if kind == "handle" else answer.close) == 0
    server.gate("go").open()
    assert len(list(answer)) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_the_use_of_a_budget_whose_lock_was_held():
    budget = RetryBudget()
    with held_by_another_thread(budget._lock):
        assert forked(budget.take) == 0


# -- cancelling ------------------------------------------------------------------------------------


def cancel_while_reading(answer, ready):
    """Read in a thread; cancel once ``ready`` says; how long cancel() and the reader took."""
    ended = threading.Event()
    raised = []

    def read():
        try:
            list(answer)
        except BaseException as error:
            raised.append(error)
        ended.set()

    reader = threading.Thread(target=read, name="test-reader")
    reader.start()
    ready()
    began = time.monotonic()
    answer.cancel("enough")
    returned = time.monotonic() - began
    assert ended.wait(PATIENCE)
    took = time.monotonic() - began
    reader.join()
    assert [type(error) for error in raised] == [StreamCancelledError]
    assert raised[0].reason == "enough" and answer.status == "cancelled"
    return returned, took, raised[0]


PHASES = {
    "waiting for headers": stream(first=stall()),
    "headers drip": raw(drip(head(), every=0.05), stall()),
    "before content": stream(then=stall()),
    "heartbeats": stream(EVENTS[:3], heartbeats(None, 0.01)),
    "reading": stalled(),
    "reading a close-delimited body": stream(EVENTS[:4], then=stall(), framing="close"),
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("way", ["http", "tls", "proxy", "tls-proxy"])
def test_cancel_gets_the_reader_out_in_every_phase(phase, way):
    with FaultServer(tls=way.startswith("tls")) as server, ProxyServer() as proxy:
        http = requests.Session()
        http.trust_env = False
        if server.ca_file:
            http.verify = server.ca_file
        if way.endswith("proxy"):
            http.proxies = {"http": proxy.url, "https": proxy.url}
        server.expect(PHASES[phase])
        answer = session(server, http=http).stream("Hi")
        returned, took, error = cancel_while_reading(answer, lambda: server.wait_for_request())
        assert returned < 0.5 and took < 0.5
        assert TEXT.startswith(error.partial.text)
        assert server.requests[0].client_gone.wait(PATIENCE)


def test_cancel_during_the_tls_handshake():
    with FaultServer(tls=True) as server:
        server.expect(on_connect(stall()))
        http = requests.Session()
        http.verify = server.ca_file
        answer = session(server, http=http).stream("Hi")
        _, took, _ = cancel_while_reading(answer, lambda: wait_until(lambda: server.connections))
        assert took < 0.5


def test_cancel_during_the_wait_for_a_retry(server):
    server.expect(reply(429, headers={"Retry-After": "50"}))
    answer = session(server).stream("Hi")
    _, took, _ = cancel_while_reading(
        answer, lambda: wait_until(lambda: answer.status == "retrying")
    )
    assert took < 0.5


def test_cancel_between_two_chunks_of_one_read(server):
    server.expect(stream(b"".join(EVENTS)))
    answer, seen = session(server).stream("Hi"), ""
    with pytest.raises(StreamCancelledError) as raised:
        for chunk in answer:
            seen += chunk.text
            if seen:
                answer.cancel()
    assert seen == raised.value.partial.text == "Rivers"


def test_a_callback_may_close_the_stream(server):
    server.expect(stream(b"".join(EVENTS)))
    answer = session(server).stream("Hi", on_token=lambda text: answer.close())
    with pytest.raises(StreamCancelledError, match="closed while it was being read"):
        list(answer)
    assert answer.completion.text == "Rivers"


def test_a_token_of_the_programs_own_cancels(server):
    server.expect(stalled())
    token = threading.Event()
    answer = session(server).stream("Hi", cancel=token)
    with pytest.raises(StreamCancelledError, match="token"):
        for chunk in answer:
            if chunk.text:
                token.set()
    assert answer.completion.text == "Rivers do not"


def test_cancel_before_the_start_and_after_the_end(server):
    server.expect(stream(EVENTS))
    done = session(server).stream("Hi")
    done.until_done()
    done.cancel()
    assert done.status == "complete"
    never = session(server).stream("Hi")
    never.cancel("no")
    with pytest.raises(StreamCancelledError, match="no"):
        list(never)


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# -- clocks ----------------------------------------------------------------------------------------

CLOCKS = [
    ("first_token", stream(EVENTS[:1], heartbeats(None, 0.03)), Timeouts(first_token=0.4)),
    ("stall", stream(EVENTS[:4], heartbeats(None, 0.03)), Timeouts(stall=0.4)),
    ("inactivity", stalled(), Timeouts(inactivity=0.4)),
    ("total", stream(drip(b"".join(EVENTS) * 50, every=0.02)), Timeouts(total=0.4)),
    ("connect", on_connect(stall()), Timeouts(connect=0.4)),
]


@pytest.mark.parametrize(("clock", "exchange", "timeouts"), CLOCKS, ids=[c[0] for c in CLOCKS])
def test_each_clock_is_named_and_rings_on_time(clock, exchange, timeouts):
    with FaultServer(tls=clock == "connect") as server:
        http = requests.Session()
        http.verify = server.ca_file or True
        server.expect(exchange)
        answer = session(server, http=http, retry=0).stream("Hi", timeouts=timeouts)
        began = time.monotonic()
        with pytest.raises(StreamTimeoutError) as raised:
            list(answer)
        took = time.monotonic() - began
        error = raised.value
        assert (error.clock, error.limit) == (clock, 0.4)
        assert 0.4 <= error.elapsed <= 0.65 and took <= 1.0
        assert TEXT.startswith(error.partial.text)


def test_a_program_that_holds_a_chunk_trips_nothing(server):
    server.expect(stream(EVENTS[:2], wait("go"), EVENTS[2:]))
    timeouts = Timeouts(first_token=0.05, inactivity=0.05, stall=0.05, warn_after=0.05)
    # The limits' clock turns in the program's time alone: a server under load trips none either.
    clock, stalls, seen = FakeClock(), [], ""
    asking = session(server, clock=clock, retry=0)
    answer = asking.stream("Hi", timeouts=timeouts, on_stall=stalls.append)
    for place, chunk in enumerate(answer):
        if place < 2:  # before and behind the first content
            clock.advance(50)
            time.sleep(0.15)  # the watchdog looks meanwhile
        if place == 1:
            server.gate("go").open()
        seen += chunk.text
    assert seen == TEXT and stalls == []
    assert answer.completion.timings.held == 100


def test_on_stall_is_told_once_before_anything_is_cut(server):
    server.expect(stream(EVENTS[:4], wait("go"), EVENTS[4:]))
    stalls, told = [], threading.Event()

    def on_stall(seconds):
        stalls.append((seconds, threading.current_thread().name))
        told.set()
        server.gate("go").open()

    answer = session(server).stream("Hi", timeouts=Timeouts(warn_after=0.5), on_stall=on_stall)
    assert answer.until_done().text == TEXT
    assert told.is_set() and len(stalls) == 1
    assert stalls[0][0] >= 0.5 and stalls[0][1] == "streamsafe-teller"


# -- callbacks -------------------------------------------------------------------------------------


def test_callbacks_tell_the_story_on_the_reading_thread(server):
    server.expect(reply(503), stream(EVENTS))
    told, here = [], threading.get_ident()

    def note(what):
        def callback(value):
            assert threading.get_ident() == here
            told.append((what, value))

        return callback

    answer = session(server).stream(
        "Hi", on_token=note("token"), on_error=note("error"), on_retry=note("retry"),
        on_complete=note("complete"),
    )  # fmt: skip
    answer.until_done()
    assert [what for what, _ in told[:2]] == ["error", "retry"]
    assert told[0][1].will_retry and told[1][1].number == 1
    assert "".join(value for what, value in told if what == "token") == TEXT
    assert told[-1] == ("complete", answer.completion)


@pytest.mark.parametrize("name", ["on_token", "on_error", "on_retry", "on_complete"])
def test_a_callback_that_raises_ends_the_stream_with_its_exception(server, name):
    if name in ("on_token", "on_complete"):
        server.expect(stream(EVENTS))
    else:
        server.expect(reply(503))

    def callback(value):
        raise ZeroDivisionError("mine")

    answer = session(server).stream("Hi", **{name: callback})
    with pytest.raises(ZeroDivisionError, match="mine"):
        list(answer)
    assert answer.status == ("complete" if name == "on_complete" else "failed")


def test_an_on_stall_that_raises_wakes_the_reader_and_ends_the_stream(server):
    server.expect(stalled())

    def callback(seconds):
        raise ZeroDivisionError("mine")

    answer = session(server).stream("Hi", timeouts=Timeouts(warn_after=0.05), on_stall=callback)
    with pytest.raises(ZeroDivisionError, match="mine"):
        list(answer)
    assert server.requests[0].client_gone.wait(PATIENCE)


def test_an_observer_that_raises_harms_nothing(server, caplog):
    server.expect(stream(EVENTS))

    class Bad:
        def observe(self, record):
            raise ZeroDivisionError("theirs")

    assert session(server, observers=[Bad()]).complete("Hi").text == TEXT
    assert "observer" in caplog.text
    caplog.clear()


def test_records_come_in_the_order_that_is_written_down(server):
    server.expect(stream(EVENTS[:3], then=fin()), stream(EVENTS[:-1], wait("joined"), EVENTS[-1:]))
    records = []

    class Notes:
        def observe(self, record):
            records.append(record)
            if type(record).__name__ == "Resumed":
                server.gate("joined").open()

    session(server, observers=[Notes()], resume="restart").complete("Hi")
    names = [type(record).__name__ for record in records if type(record).__name__ != "Step"]
    shape = [name for place, name in enumerate(names) if not place or names[place - 1] != name]
    assert shape == [
        "Started", "AttemptStarted", "Opened", "Chunks", "AttemptEnded", "Retrying",
        "AttemptStarted", "Opened", "Chunks", "Resumed", "Chunks", "AttemptEnded", "Completed",
    ]  # fmt: skip
    assert len({record.stream_id for record in records}) == 1
    times = [record.at for record in records]
    assert times == sorted(times)


# -- many ------------------------------------------------------------------------------------------


def test_two_hundred_streams_at_once_from_one_session_share_one_watchdog(server):
    server.always(stream(EVENTS))
    asking, texts, watchdogs = session(server), [], set()
    barrier = threading.Barrier(200)

    def read():
        barrier.wait(PATIENCE * 4)
        text = ""
        for chunk in asking.stream("Hi"):
            text += chunk.text
        names = [t.ident for t in threading.enumerate() if t.name == "streamsafe-watchdog"]
        watchdogs.add(len(names))
        texts.append(text)

    threads = [threading.Thread(target=read) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert texts == [TEXT] * 200
    assert watchdogs <= {0, 1}
    asking.close()
    wait_until(lambda: not any(t.name == "streamsafe-watchdog" for t in threading.enumerate()))
