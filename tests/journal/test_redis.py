"""A Redis under a journal: away, back, robbed, shared by machines, in a cluster."""

import logging
import os
import pickle
import re
import signal
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from streamsafe import (
    ConfigurationError,
    Outcome,
    ResumeError,
    StorageError,
    StreamSession,
)
from streamsafe.journal import RedisJournal, codec, redis_scripts, redis_writer
from streamsafe.models import Attempt, Call, Chunk, Completion
from streamsafe.testing import FaultServer, stream, wait
from streamsafe.testing.answers import openai_chat

pytest.importorskip("redis")
pytestmark = pytest.mark.service

KEY = "sk-planted-0123456789"
LATE = codec.chunks_to_json([Chunk("text", "late")], False)
DONE = Completion(outcome=Outcome.COMPLETE)


@pytest.fixture
def opened():
    journals = []

    def opened(server, **settings):
        journals.append(RedisJournal(server.url, **settings))
        return journals[-1]

    yield opened
    for journal in journals:
        for stream_id in list(journal._claims):
            journal._writer.drop(journal._claims.pop(stream_id))
        journal.close()


@pytest.fixture
def soon(monkeypatch):
    """Look for a Redis that is away every few milliseconds."""
    monkeypatch.setattr(redis_writer, "AGAIN", 0.02)


def write(journal, *texts, name="s"):
    for text in texts:
        journal.append(name, [Chunk("text", text)])


@contextmanager
def asked(text, journal):
    """A stream of this text, and the gate behind its first words."""
    events = openai_chat(text)
    with FaultServer() as server:
        server.expect(stream(events[:3], wait("rest"), events[3:]))
        url = f"{server.url}/v1"
        with StreamSession("openai", base_url=url, api_key="k", model="m") as session:
            yield session.stream("Hi", journal=journal, stream_id="s"), server.gate("rest")


def connections(server):
    """Their ids, but for that of the one that asks."""
    return set(re.findall(rb"(?m)^id=(\d+)(?!.*cmd=client)", server.ask(b"CLIENT LIST")))


# -- away and back ---------------------------------------------------------------------------------


def test_a_stream_goes_on_while_redis_is_away_and_is_written_when_it_is_back(
    own_redis, opened, begin, soon, caplog
):
    journal = opened(own_redis)
    begin(journal)
    write(journal, "a", "b")
    own_redis.stop()
    began = time.monotonic()
    write(journal, *"cdefgh")
    journal.attempt("s", Attempt(1, 0.0, 200), state={"cursor": 8})
    assert time.monotonic() - began < 5
    journal.end("s", DONE, "complete")
    own_redis.start()
    journal.close()  # waits for what is late
    assert journal.transcript("s") == "abcdefgh" and journal.info("s").status == "complete"
    assert [number for number, _ in journal.read("s")] == list(range(1, 9))
    assert journal.load("s").state == {"cursor": 8} and journal.load("s").attempts == 1
    assert "Redis was away for" in journal.info("s").note
    assert "6 chunks were written late" in journal.info("s").note
    said = [record.getMessage() for record in caplog.records]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "stream s goes on without being written for now" in said[0]
    assert "stream s is written again: Redis was away" in said[1]


def test_the_program_gets_its_answer_whole_and_followers_get_it_late(
    own_redis, opened, soon, wait_until
):
    text = "Owls turn their heads."
    journal = opened(own_redis)
    with asked(text, journal) as (answer, gate):
        got = next(answer).text
        own_redis.stop()
        gate.open()
        got += "".join(answer.text())
        assert got == text and answer.completion.outcome is Outcome.COMPLETE
    own_redis.start()
    wait_until(lambda: journal.info("s").status == "complete")
    late = "".join(chunk.text for _, chunk in journal.read("s", follow=True))
    assert late == text


def test_a_redis_that_does_not_answer_is_waited_for_once(
    own_redis, opened, begin, soon, wait_until
):
    journal = opened(own_redis, timeout=0.3)
    begin(journal)
    write(journal, "a")
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        write(journal, *"bcdefghijklmnopqrstuvwxyz")
        assert time.monotonic() - began < 5  # once, and not 25 times
    finally:
        own_redis.process.send_signal(signal.SIGCONT)
    wait_until(lambda: journal.transcript("s") == "abcdefghijklmnopqrstuvwxyz")
    journal.end("s", DONE, "complete")
    assert journal.info("s").chunks == 26


def test_more_than_its_bound_is_not_kept_and_the_log_says_so(
    own_redis, opened, begin, soon, caplog
):
    journal = opened(own_redis, backlog=10_000)
    begin(journal)
    write(journal, "first")
    own_redis.stop()
    for _ in range(50):
        write(journal, "x" * 1000)
    journal.end("s", DONE, "complete")
    assert "more than 10,000 bytes wait" in caplog.records[-1].getMessage()
    assert caplog.records[-1].levelno == logging.ERROR
    own_redis.start()
    # What is there is a true beginning.
    assert journal.transcript("s") == "first" and journal.load("s").completion is None


def test_a_redis_that_lost_what_it_had_gets_no_torn_stream(redis, opened, begin, caplog):
    journal = opened(redis)
    begin(journal)
    write(journal, "first")
    redis.ask(b"FLUSHALL")
    write(journal, "second", "third")
    journal.end("s", DONE, "complete")
    assert journal.list() == []
    assert len(caplog.records) == 1 and "Redis has lost" in caplog.records[0].getMessage()


def test_without_redis_nothing_begins_and_nothing_is_found(own_redis, opened, begin):
    journal = opened(own_redis)
    own_redis.stop()
    for ask in (
        lambda: begin(journal), lambda: journal.claim("s"), lambda: journal.load("s"),
        lambda: journal.read("s"), journal.list, lambda: journal.info("s"),
    ):  # fmt: skip
        with pytest.raises(StorageError, match="is Redis up"):
            ask()


def test_an_end_that_never_gets_there_is_said_in_the_log(
    own_redis, opened, begin, soon, monkeypatch, caplog, wait_until
):
    monkeypatch.setattr(redis_writer, "PATIENCE", 0.1)
    journal = opened(own_redis)
    begin(journal)
    own_redis.stop()
    journal.end("s", DONE, "complete")
    wait_until(lambda: "0 s after its end" in caplog.text)
    own_redis.start()
    assert journal.load("s").completion is None


def test_what_is_sent_again_because_the_answer_was_lost_is_written_once(redis, opened, begin):
    journal = opened(redis)
    begin(journal)
    run = journal._store.run

    def twice(*arguments):
        run(*arguments)
        return run(*arguments)

    journal._store.run = twice
    begin(journal, stream_id="t")
    write(journal, "a", "b", name="t")
    journal.attempt("t", Attempt(1, 0.0), state={"cursor": 1})
    journal.end("t", DONE, "failed")
    journal.claim("t")
    write(journal, "c", name="t")
    journal.end("t", DONE, "complete")
    assert journal.transcript("t") == "abc" and journal.info("t").status == "complete"
    assert journal.load("t").attempts == 1 and journal.info("t").note is None


def test_closing_takes_no_connection_from_under_a_thread_that_waits_on_it(
    redis, opened, begin, wait_until
):
    writer, reader = opened(redis), opened(redis, timeout=90.0)
    begin(writer)
    others = connections(redis)
    woken = []
    thread = threading.Thread(target=lambda: woken.append(reader._store.wait("s", "0-0", 60.0)))
    thread.start()
    wait_until(lambda: b"blocked_clients:1" in redis.ask(b"INFO clients"))
    waiting = connections(redis) - others
    reader.close()
    assert len(waiting) == 1 and connections(redis) == others | waiting
    write(writer, "a")
    thread.join(20)
    assert woken == [None]
    wait_until(lambda: connections(redis) == others)  # it was closed when it had its answer
    assert reader.transcript("s") == "a"
    writer.release("s")


def test_a_client_that_its_program_breaks_is_a_redis_that_is_away(
    redis, begin, soon, wait_until, monkeypatch, caplog
):
    from redis import Redis

    client = Redis(port=redis.port)
    journal = RedisJournal(client=client, lease=0.03)
    begin(journal)
    with monkeypatch.context() as broken:
        broken.setattr(client, "evalsha", lambda *_: None.recv)  # as its reader, closed meanwhile
        wait_until(lambda: "goes on without being written" in caplog.text)
        write(journal, "a")
        assert "is not written" not in caplog.text
    wait_until(lambda: journal.transcript("s") == "a")
    assert "'NoneType' object has no attribute 'recv'" in caplog.text
    journal.end("s", DONE, "complete")
    journal.close()
    client.close()


class JobTimeout(Exception):
    """What a job queue raises from a signal's handler."""


def test_what_a_signals_handler_raises_while_redis_is_asked_ends_the_stream(
    redis, opened, monkeypatch
):
    def late(*_):
        monkeypatch.undo()
        raise JobTimeout

    journal = opened(redis)
    with asked("Owls turn their heads.", journal) as (answer, gate):
        next(answer)
        monkeypatch.setattr(journal._store._client, "evalsha", late)
        gate.open()
        with pytest.raises(JobTimeout):
            answer.until_done()
    assert answer.status == journal.info("s").status == "failed"


# -- owners ----------------------------------------------------------------------------------------


def test_a_lease_is_renewed_while_the_model_thinks(redis, opened, begin, wait_until):
    journal = opened(redis, lease=0.3)
    begin(journal)
    began = time.monotonic()
    while time.monotonic() < began + 1.0:
        assert journal.info("s").status == "streaming"
        time.sleep(0.02)
    journal.release("s")


def test_a_writer_that_was_taken_for_dead_writes_nothing_more(redis, opened, begin):
    lost, other = opened(redis), opened(redis)
    begin(lost)
    write(lost, "a")
    redis.ask(b"DEL streamsafe:{s}:lease")  # as if it had not reached Redis for so long
    other.claim("s")
    with pytest.raises(ResumeError, match="written by somebody else now"):
        write(lost, "b")
    with pytest.raises(ResumeError):
        lost.end("s", DONE, "complete")
    write(other, "c")
    other.end("s", DONE, "complete")
    assert other.transcript("s") == "ac"


def end(journal):
    journal.end("s", DONE, "complete")


def release(journal):
    journal.release("s")


@pytest.mark.parametrize(("leave", "status"), [(end, "complete"), (release, "interrupted")])
def test_a_renewal_that_comes_behind_its_end_meets_nobody_else(
    redis, opened, begin, caplog, monkeypatch, leave, status
):
    journal = opened(redis)
    begin(journal)
    writer, claim = journal._writer, journal._claims["s"]
    run = writer.run

    def overtaken(of, script, *arguments):
        if script is redis_scripts.RENEW:
            leave(journal)
        return run(of, script, *arguments)

    monkeypatch.setattr(writer, "run", overtaken)
    writer._tend([claim], renew=True)
    assert journal.info("s").status == status and claim.closed == ""
    assert caplog.records == []


@pytest.mark.parametrize(("first", "text"), [("release", ""), ("write", "late")])
def test_a_stream_that_is_released_while_it_is_caught_up_with_meets_nobody_else(
    redis, opened, begin, caplog, monkeypatch, first, text
):
    journal = opened(redis)
    begin(journal)
    writer, claim = journal._writer, journal._claims["s"]
    run = writer.run

    def crossed(of, script, *arguments):
        if script is not redis_scripts.APPEND:
            return run(of, script, *arguments)
        if first == "release":
            release(journal)
            return run(of, script, *arguments)
        code = run(of, script, *arguments)
        release(journal)
        return code

    monkeypatch.setattr(writer, "run", crossed)
    with writer._turn:  # its thread shall not come first
        claim.pending.append(redis_writer.Group(0, 1, 0.0, 9, LATE, None, 0))
        writer._tend([claim], renew=False)
    assert journal.info("s").status == "interrupted" and journal.transcript("s") == text
    assert caplog.records == []


def test_a_lease_that_ran_out_unseen_is_taken_up_again(redis, opened, begin):
    journal = opened(redis)
    begin(journal)
    redis.ask(b"DEL streamsafe:{s}:lease")
    assert journal.info("s").status == "interrupted"
    write(journal, "a")
    assert journal.info("s").status == "streaming"


# -- followers -------------------------------------------------------------------------------------


def test_a_follower_is_woken_by_redis_and_not_by_a_clock(redis, opened, begin, monkeypatch):
    monkeypatch.setattr("streamsafe.journal.redis.FOLLOW_WAIT", 60.0)
    writer, reader = opened(redis), opened(redis, timeout=90.0)
    begin(writer)
    seen = []
    thread = threading.Thread(
        target=lambda: seen.extend(chunk.text for _, chunk in reader.read("s", follow=True))
    )
    thread.start()
    for text in "abc":
        write(writer, text)
    writer.end("s", DONE, "complete")
    thread.join(20)
    assert not thread.is_alive() and seen == ["a", "b", "c"]


# -- keys ------------------------------------------------------------------------------------------


def test_streams_go_by_themselves_after_their_time(redis, opened, begin, wait_until):
    journal = opened(redis, ttl=0.2)
    begin(journal)
    write(journal, "a")
    journal.attempt("s", Attempt(1, 0.0))
    journal.end("s", DONE, "complete")
    wait_until(lambda: journal.list() == [])
    assert redis.ask(b"KEYS streamsafe:{s}*") == b"*0\r\n"
    assert redis.ask(b"ZCARD streamsafe:streams") == b":0\r\n"


def test_their_names_go_from_the_list_also_where_nobody_lists_them(
    redis, opened, begin, wait_until, monkeypatch
):
    monkeypatch.setattr("streamsafe.journal.redis.SWEEP_EVERY", 0.0)
    journal = opened(redis, ttl=0.2)
    begin(journal)
    journal.end("s", DONE, "complete")
    wait_until(lambda: redis.ask(b"EXISTS streamsafe:{s}:meta") == b":0\r\n")
    begin(journal, stream_id="t")
    assert redis.ask(b"ZCARD streamsafe:streams") == b":1\r\n"


def test_without_a_time_they_stay(redis, opened, begin):
    journal = opened(redis, ttl=None)
    begin(journal)
    write(journal, "a")
    journal.end("s", DONE, "complete")
    assert redis.ask(b"PTTL streamsafe:{s}:meta") == b":-1\r\n"


def test_journals_of_two_prefixes_do_not_see_each_other(redis, opened, begin):
    one, other = opened(redis), opened(redis, prefix="other")
    begin(one)
    assert other.list() == [] and [info.stream_id for info in one.list()] == ["s"]
    begin(other)


def test_a_cluster_will_do(cluster, begin):
    """It refuses what is not on one node by its key."""
    from redis.cluster import RedisCluster

    with RedisCluster(host="127.0.0.1", port=cluster.port) as client:
        journal = RedisJournal(client=client)
        for name in ("s", "}", "{a}b"):
            begin(journal, stream_id=name)
            write(journal, "a", "b", name=name)
            journal.attempt(name, Attempt(1, 0.0), state={"cursor": 1})
            journal.release(name)
            journal.claim(name)
            follower = journal.read(name, follow=True)
            assert next(follower)[1].text == "a"
            journal.end(name, DONE, "complete")
            assert [chunk.text for _, chunk in follower] == ["b"]
            assert journal.load(name).status == "complete"
        assert [info.stream_id for info in journal.list()] == ["{a}b", "}", "s"]
        assert journal.purge(keep=1) == 2 and len(journal.list()) == 1


def test_no_planted_secret_is_in_any_file_of_redis(own_redis, opened, begin, tmp_path):
    journal = opened(own_redis, keep_raw=True)
    call = Call(
        ({"role": "user", "content": f"is {KEY} mine?"},), "m",
        {"extra_headers": {"X-Api-Key": "planted-header"}, "user": KEY},
    )  # fmt: skip
    begin(journal, call=call, settings={"password": "planted-word"}, secrets=[KEY])
    write(journal, "an owl")
    error = ConfigurationError(f"wrong key {KEY}")
    journal.attempt("s", Attempt(1, 0.0, error=error, headers={"Set-Cookie": "planted-cookie"}))
    journal.end("s", Completion(outcome=Outcome.FAILED), "failed", f"wrong key {KEY}")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"an owl" in written and b"planted" not in written


# -- what can't be right ---------------------------------------------------------------------------


def test_a_password_is_not_shown():
    journal = RedisJournal("redis://me:planted@127.0.0.1:1/0")
    assert repr(journal) == "RedisJournal('redis://***@127.0.0.1:1/0')"
    with pytest.raises(StorageError) as raised:
        journal.list()
    assert "planted" not in str(raised.value)
    again = pickle.loads(pickle.dumps(journal))
    assert repr(again) == repr(journal)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"url": "http://x"}, "URL of a RedisJournal can't be read"),
        ({"ttl": 0}, r"ttl=0\): expected seconds"),
        ({"lease": None}, r"lease=None\): expected seconds"),
        ({"timeout": "5"}, r"timeout='5'\): expected seconds"),
        ({"prefix": "{x}"}, "braces"),
    ],
)
def test_settings_that_can_not_be_right_are_named(wrong, said):
    with pytest.raises(ConfigurationError, match=said):
        RedisJournal(**wrong)


def test_a_client_of_ones_own_stays_open_and_must_not_decode(redis, begin):
    import redis as library

    with library.Redis(port=redis.port, decode_responses=True) as decoding:
        with pytest.raises(ConfigurationError, match="decode_responses=False"):
            RedisJournal(client=decoding)
    with library.Redis(port=redis.port) as client:
        journal = RedisJournal(client=client)
        begin(journal)
        write(journal, "a")
        journal.release("s")
        journal.close()
        assert client.ping()
        with pytest.raises(TypeError, match="give it a url"):
            pickle.dumps(journal)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r'pip install "streamsafe\[redis\]"'):
        RedisJournal()


def test_names_with_braces_stay_on_one_node(redis, opened, begin):
    journal = opened(redis)
    names = ["}", "{a}b", "a}", "a%7D", "100%", "ü {}"]
    for name in names:
        begin(journal, stream_id=name)
        write(journal, name, name=name)
    for name in names:
        assert journal.transcript(name) == name
    assert os.getpid() == int(journal.info("}").owner.partition("@")[0])
