"""The file under a SQLite journal: foreign, damaged, full, killed, unplugged."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from streamsafe import ConfigurationError, ResumeError, StorageError, StreamSession
from streamsafe.journal import SQLiteJournal
from streamsafe.journal.base import Retention
from streamsafe.journal.database import APPLICATION_ID, SCHEMA_VERSION
from streamsafe.models import Attempt, Call, Chunk, Completion, Outcome

KEY = "sk-planted-0123456789"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "j.db"


def begun(path, name="s", **settings):
    journal = SQLiteJournal(path, **settings)
    journal.begin(name, call=Call(), provider="p", settings={})
    return journal


def write(journal, count, name="s"):
    for number in range(count):
        journal.append(name, [Chunk("text", f"{number} ")])


def files(path):
    return {each.name: each.read_bytes() for each in path.parent.iterdir()}


# -- files that are no journals --------------------------------------------------------------------


def foreign(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE customers (name TEXT)")
    db.close()


def other_application(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA application_id = 7")
    db.close()


def newer(path):
    begun(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()


def torn(path):
    journal = begun(path)
    write(journal, 300)
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + b"\x7f" * (len(whole) - 2000))


@pytest.mark.parametrize(
    "make, said",
    [
        (foreign, "is somebody else's database"),
        (other_application, "is somebody else's database"),
        (newer, f"of version {SCHEMA_VERSION + 1}, and this streamsafe knows {SCHEMA_VERSION}"),
        (lambda path: path.write_text("Dear diary,\n" * 100), "can't be read as a journal"),
        (lambda path: path.write_bytes(b"x"), "is no journal"),
    ],
    ids=["foreign", "another application's", "newer", "text", "one byte"],
)
def test_what_is_no_journal_is_named_and_left_as_it_is(path, make, said):
    make(path)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=said):
        SQLiteJournal(path)
    assert path.read_bytes() == before


def test_a_damaged_journal_is_an_error_that_says_so_and_nothing_is_overwritten(path):
    torn(path)
    before = path.read_bytes()
    with pytest.raises((ConfigurationError, StorageError), match="damaged"):
        SQLiteJournal(path).transcript("s")
    assert path.read_bytes() == before


def test_rows_that_rotted_within_a_whole_file_are_an_error_that_says_so_too(path):
    journal = begun(path)
    write(journal, 300)
    journal.release("s")
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'["77 "]', b'["7\xff "]').replace(b'["200 "]', b'{"200 "]'))
    journal = SQLiteJournal(path)
    for ask in (journal.transcript, journal.load, lambda name: list(journal.read(name, 100))):
        with pytest.raises(StorageError, match="can't be read"):
            ask("s")
    session = StreamSession("vllm", base_url="http://127.0.0.1:9/v1", model="m", journal=journal)
    with pytest.raises(StorageError):
        session.resume("s")
    assert journal.info("s").status == "interrupted"
    journal.close()


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda path: path / "no" / "j.db", "does the directory exist"),
        (lambda path: path.parent, "this is a directory"),
        (lambda path: ":memory:", "in memory"),
        (lambda path: "", "path of a file"),
        (lambda path: b"j.db", "path of a file"),
    ],
    ids=["missing directory", "directory", "memory", "empty", "bytes"],
)
def test_a_path_that_can_be_no_file_is_named(path, make, said):
    with pytest.raises(ConfigurationError, match=said):
        SQLiteJournal(make(path))


def test_the_monitor_may_have_been_in_the_file_first(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE monitor_figures (name TEXT)")
    db.close()
    journal = begun(path)
    write(journal, 3)
    assert journal.transcript("s") == "0 1 2 "
    journal.close()


def test_a_journal_says_what_it_is_and_is_its_users_alone(path):
    begun(path).close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_relative_path_stays_where_it_was(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    journal = SQLiteJournal("j.db")
    journal.close()
    monkeypatch.chdir("/")
    journal.begin("s", call=Call(), provider="p", settings={})
    assert path.exists() and [info.stream_id for info in journal.list()] == ["s"]
    journal.close()


def test_a_journal_that_is_dropped_closes_its_file(path):
    begun(path)  # warnings are errors: Python warns of a connection that is left open
    again = SQLiteJournal(path)
    assert again.info("s").chunks == 0
    again.close()


# -- killed and unplugged --------------------------------------------------------------------------

KILLED = """
import os, sys
from streamsafe.journal import SQLiteJournal
from streamsafe.models import Call, Chunk
journal = SQLiteJournal(sys.argv[1])
journal.begin("s", call=Call(), provider="p", settings={})
number = 0
while True:
    journal.append("s", [Chunk("text", f"{number} "), Chunk("reasoning", reasoning="x" * 99)])
    os.write(1, b"%d\\n" % number)
    number += 1
"""


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_writer_that_is_killed_anywhere_loses_nothing_it_had_told(tmp_path, times):
    rng = random.Random(times)
    for turn in range(times):
        path = tmp_path / f"{turn}.db"
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE
        )
        told = 0
        for _ in range(rng.randrange(1, 300)):
            told = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        for line in child.stdout.read().splitlines():
            told = int(line)
        child.stdout.close()
        child.wait()
        journal = SQLiteJournal(path)
        assert journal.info("s").status == "interrupted"
        kept = [int(word) for word in journal.transcript("s").split()]
        assert kept == list(range(len(kept))) and len(kept) in (told + 1, told + 2)
        journal.claim("s")
        assert journal.append("s", [Chunk("text", "on")]) == 2 * len(kept) + 1
        journal.release("s")
        journal.close()


def test_a_file_whose_maker_was_killed_half_way_is_opened(path, tmp_path):
    """SQLite makes a file, and turns it into one with a log, under its old kind of journal."""
    journal = begun(path)
    write(journal, 3)
    journal.close()
    half = tmp_path / "half.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA cache_size = 1")  # so that the file is written before the commit
        db.execute("BEGIN IMMEDIATE")
        db.execute("PRAGMA user_version = 77")
        db.execute("UPDATE streams SET error = ?", ("x" * 100_000,))
        shutil.copy(path, half)
        shutil.copy(f"{path}-journal", f"{half}-journal")
        db.execute("ROLLBACK")
    again = SQLiteJournal(half)
    assert again.transcript("s") == "0 1 2 "
    again.close()


def test_after_a_power_cut_there_is_a_true_beginning(path, tmp_path):
    journal = begun(path)
    write(journal, 60)
    before = files(path)
    journal.close()
    log = before.pop("j.db-wal")
    rng = random.Random(7)
    lengths = []
    for length in sorted([0, 1, 31, 32, *rng.sample(range(len(log)), 60), len(log)]):
        cut = tmp_path / str(length)
        cut.mkdir()
        (cut / "j.db").write_bytes(before["j.db"])
        (cut / "j.db-wal").write_bytes(log[:length])
        again = SQLiteJournal(cut / "j.db")
        names = [info.stream_id for info in again.list()]
        words = again.transcript("s").split() if names else []
        assert words == [str(number) for number in range(len(words))]
        lengths.append(len(words))
        if names:
            assert again.info("s").status == "interrupted"
            again.claim("s")
            assert again.append("s", [Chunk("text", "on")]) == len(words) + 1
            again.release("s")
        again.close()
    assert lengths == sorted(lengths) and lengths[-1] == 60 and len(set(lengths)) > 20


def test_after_a_power_cut_that_left_rubbish_too(path, tmp_path):
    journal = begun(path)
    write(journal, 60)
    before = files(path)
    journal.close()
    log = before["j.db-wal"]
    for start in range(500, len(log), len(log) // 12):
        cut = tmp_path / str(start)
        cut.mkdir()
        (cut / "j.db").write_bytes(before["j.db"])
        (cut / "j.db-wal").write_bytes(log[:start] + bytes(2000) + log[start + 2000 :])
        again = SQLiteJournal(cut / "j.db")
        words = again.transcript("s").split() if again.list() else []
        assert words == [str(number) for number in range(len(words))] and len(words) < 60
        again.close()


def test_durable_waits_for_the_disk_at_each_network_read(path):
    for durable, level in ((False, 1), (True, 2)):
        journal = begun(path, str(durable), durable=durable)
        with journal._database as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        journal.close()


# -- full ------------------------------------------------------------------------------------------

FULL = """
import resource, signal, sys
from streamsafe import StorageError
from streamsafe.journal import SQLiteJournal
from streamsafe.models import Call, Chunk, Completion, Outcome
journal = SQLiteJournal(sys.argv[1])
journal.begin("s", call=Call(), provider="p", settings={})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
written = 0
try:
    while True:
        written = journal.append("s", [Chunk("text", "word " * 20)])
except StorageError as error:
    print(written, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert journal.append("s", [Chunk("text", "last")]) == written + 1
journal.end("s", Completion(outcome=Outcome.FAILED), "failed")
"""


def test_a_full_disk_is_a_typed_error_and_what_was_written_is_kept(path):
    pytest.importorskip("resource")
    child = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], stdout=subprocess.PIPE, check=True, text=True
    )
    written, _, said = child.stdout.partition(" ")
    assert "could not be used" in said and str(path) in said and "disk" in said
    journal = SQLiteJournal(path)
    assert journal.info("s").chunks == int(written) + 1 > 50
    assert journal.transcript("s") == "word " * 20 * int(written) + "last"
    journal.close()


def test_a_journal_that_may_not_be_written_says_so(path):
    begun(path).close()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TRIGGER no BEFORE INSERT ON groups BEGIN SELECT RAISE(FAIL, 'no'); END")
    db.close()
    journal = begun(path, "t")
    with pytest.raises(StorageError, match="j.db could not be used: no"):
        write(journal, 1, "t")
    # It can't write the end either; then the stream is not held, and may be gone on with.
    journal.release("t")
    assert journal.info("t").status == "interrupted"
    journal.close()


def test_an_end_that_could_not_be_written_leaves_an_interrupted_stream(path):
    journal = begun(path)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TRIGGER no BEFORE UPDATE ON streams BEGIN SELECT RAISE(FAIL, 'no'); END")
    with pytest.raises(StorageError):
        journal.end("s", Completion(outcome=Outcome.COMPLETE), "complete")
    assert journal.info("s").status == "interrupted"
    db.execute("DROP TRIGGER no")
    db.close()
    journal.claim("s")
    journal.release("s")
    journal.close()


def test_another_process_that_holds_the_file_too_long_is_named(path, monkeypatch):
    monkeypatch.setattr("streamsafe.journal.database.BUSY_TIMEOUT", 0.05)
    journal = begun(path)
    holding = sqlite3.connect(path, isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked.*another process holds the file"):
        write(journal, 1)
    holding.execute("ROLLBACK")
    holding.close()
    write(journal, 1)
    journal.close()


# -- many at once ----------------------------------------------------------------------------------


def test_many_processes_may_make_the_file_at_once(path):
    code = "import sys; from streamsafe.journal import SQLiteJournal; SQLiteJournal(sys.argv[1])"
    children = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(5)]
    assert [child.wait() for child in children] == [0] * 5
    assert begun(path).list("interrupted") == []


def test_a_fork_in_the_middle_of_writes_leaves_both_sides_whole(path):
    journal = begun(path)
    stop = threading.Event()

    def keep_writing():
        while not stop.is_set():
            journal.append("s", [Chunk("text", ".")])

    thread = threading.Thread(target=keep_writing)
    thread.start()
    try:
        for turn in range(5):
            child = os.fork()
            if not child:
                code = 1
                try:
                    signal.alarm(30)
                    journal.begin(f"c{turn}", call=Call(), provider="p", settings={})
                    write(journal, 20, f"c{turn}")
                    journal.end(f"c{turn}", Completion(outcome=Outcome.COMPLETE), "complete")
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()
    assert len(journal.list("complete")) == 5
    assert set(journal.transcript("s")) == {"."} and journal.info("s").status == "streaming"
    journal.close()


def test_a_stream_that_is_collected_within_anothers_write_ends_all_the_same(path):
    """The garbage collector may close a dropped stream at any point of its thread."""
    journal = begun(path)
    journal.begin("dropped", call=Call(), provider="p", settings={})
    with journal._database.writing() as connection:
        connection.execute("UPDATE streams SET error = 'x' WHERE stream_id = 's'")
        journal.attempt("dropped", Attempt(1, 0.0))
        journal.end("dropped", Completion(outcome=Outcome.CANCELLED), "cancelled")
    assert journal.info("dropped").status == "cancelled" and journal.info("s").error == "x"
    journal.close()


# -- secrets, retention ----------------------------------------------------------------------------


def test_no_planted_secret_is_in_any_of_the_files(path):
    journal = SQLiteJournal(path, keep_raw=True)
    call = Call(
        ({"role": "user", "content": f"is {KEY} mine?"},), "m",
        {"extra_headers": {"X-Api-Key": "planted-header"}, "user": KEY},
        {"input": KEY, "safety": {"accessToken": "planted-token"}},
    )  # fmt: skip
    journal.begin(
        "s", call=call, provider="p", settings={"password": "planted-word"}, secrets=[KEY]
    )
    journal.append("s", [Chunk("text", "an owl")])
    error = ConfigurationError(f"wrong key {KEY}", hint=f"renew {KEY}")
    journal.attempt(
        "s", Attempt(1, 0.0, error=error, headers={"Set-Cookie": "planted-cookie", "a": KEY})
    )
    journal.end("s", Completion(outcome=Outcome.FAILED), "failed", f"wrong key {KEY}")
    journal.claim("s", secrets=[KEY])
    journal.attempt("s", Attempt(2, 0.0, error=error))
    while_open = files(path)
    journal.close()
    for name, content in [*while_open.items(), *files(path).items()]:
        assert b"planted" not in content, name
    assert b"an owl" in while_open["j.db-wal"]


def test_retention_is_applied_as_streams_end_and_room_is_given_back(path, monkeypatch):
    monkeypatch.setattr("streamsafe.journal.sqlite.SWEEP_EVERY", 0.0)
    journal = SQLiteJournal(path, retention=Retention(keep=2))
    for number in range(6):
        name = str(number)
        journal.begin(name, call=Call(), provider="p", settings={})
        journal.append(name, [Chunk("text", "x" * 100_000)])
        journal.end(name, Completion(outcome=Outcome.COMPLETE), "complete")
    assert [info.stream_id for info in journal.list()] == ["5", "4"]
    journal.close()
    assert path.stat().st_size < 300_000


def test_an_unknown_stream_names_the_file(path):
    with pytest.raises(ResumeError, match="j.db has no stream 'x'"):
        SQLiteJournal(path).load("x")
