"""Where text goes as it comes: files, file objects, functions; and what becomes of it."""

import errno
import io
import os
import pathlib
import subprocess
import sys

import pytest

from streamsafe import ConfigurationError, StorageError
from streamsafe.journal.sink import FileSink, FunctionSink, PathSink, sink_of
from streamsafe.models import Chunk

RESTART = Chunk("restart")


def text(piece, **more):
    return Chunk("text", piece, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answer.txt"


@pytest.fixture
def part(tmp_path):
    return tmp_path / "answer.txt.part"


# -- a path ----------------------------------------------------------------------------------------


def test_a_part_grows_beside_the_path_and_takes_its_name_at_the_end(path, part):
    path.write_text("of yesterday")
    sink = sink_of(path)
    for piece in ("Owls ", "turn 🙂"):
        sink.write([text(piece), Chunk("reasoning", reasoning="hm")])
        assert part.read_text().endswith(piece) and path.read_text() == "of yesterday"
    sink.finish()
    assert path.read_text() == "Owls turn 🙂" and not part.exists()


def test_the_part_stays_when_the_answer_broke_off(path, part):
    sink = sink_of(str(path))
    sink.write([text("Owls")])
    sink.abandon()
    assert part.read_text() == "Owls" and not path.exists()


def test_an_answer_without_text_is_an_empty_file(path):
    sink_of(path).finish()
    assert path.read_bytes() == b""


def test_the_next_answer_begins_the_part_anew(path, part):
    part.write_text("something much longer of an earlier answer")
    sink = sink_of(path)
    sink.write([text("Owls")])
    sink.finish()
    assert path.read_text() == "Owls"


def test_a_restart_empties_the_part(path):
    sink = sink_of(path)
    sink.write([text("wrong and long")])
    sink.write([text("wrong too"), RESTART, text("right")])
    sink.write([text(" on")])
    sink.finish()
    assert path.read_text() == "right on"


def test_the_first_choice_alone_is_written_and_halves_of_pairs_become_question_marks(path):
    sink = sink_of(path)
    sink.write([text("one"), text("two", index=1), text("\ud83d")])
    sink.finish()
    assert path.read_text() == "one?"


@pytest.mark.parametrize("where", ["no/such/directory/x", "."], ids=["missing", "directory"])
def test_a_path_that_can_be_no_file_is_named_at_once(tmp_path, where):
    with pytest.raises(ConfigurationError, match="path of a file in a directory that exists"):
        sink_of(tmp_path / where)


def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigurationError, match="pass what open"):
        sink_of(pipe)


def test_a_link_stays_one_and_its_file_is_written(tmp_path, path):
    link = tmp_path / "link"
    link.symlink_to(path)
    sink = sink_of(link)
    sink.write([text("Owls")])
    sink.finish()
    assert link.is_symlink() and path.read_text() == "Owls"


def test_a_part_that_can_not_be_written_is_a_typed_error(path, part):
    part.mkdir()
    with pytest.raises(StorageError, match=f"to {part}: Is a directory; 0 bytes of it"):
        sink_of(path).write([text("Owls")])


FULL = """
import resource, signal, sys
from streamsafe import StorageError
from streamsafe.journal.sink import sink_of
from streamsafe.models import Chunk
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
sink = sink_of(sys.argv[1])
try:
    while True:
        sink.write([Chunk("text", "x" * 300)])
except StorageError as error:
    print(error)
sink.abandon()
"""


def test_a_full_disk_is_a_typed_error_that_says_what_is_kept(path, part):
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    assert f"could not be written to {part}" in said and "9,900 bytes of it are there" in said
    assert len(part.read_bytes()) >= 9900 and not path.exists()


def test_a_rename_that_fails_leaves_the_part(path, part, monkeypatch):
    sink = sink_of(path)
    sink.write([text("Owls")])

    def refuse(*_):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError, match="Permission denied; 4 bytes"):
        sink.finish()
    assert part.read_text() == "Owls"


# -- a file object, a function ---------------------------------------------------------------------


@pytest.mark.parametrize("file", [io.StringIO(), io.BytesIO()], ids=["text", "binary"])
def test_a_file_object_gets_text_or_bytes_behind_what_it_has(file):
    binary = isinstance(file, io.BytesIO)
    file.write(b"Before: " if binary else "Before: ")
    sink = sink_of(file)
    sink.write([text("wröng")])
    sink.write([RESTART, text("ri")])
    sink.write([text("ght")])
    sink.finish()
    sink.abandon()
    value = file.getvalue()
    assert (value.decode() if binary else value) == "Before: right" and not file.closed


def test_a_file_on_disk_is_flushed_at_each_network_read(path):
    for mode in ("w", "wb", "w+"):
        with open(path, mode) as file:
            sink = sink_of(file)
            sink.write([text("Owls")])
            assert path.read_text() == "Owls"


def test_what_a_files_encoding_has_no_bytes_for_becomes_a_question_mark(path):
    with open(path, "w", encoding="latin-1") as file:
        sink_of(file).write([text("ü 🙂 \ud83d")])
    assert path.read_bytes() == b"\xfc ? ?"


def test_an_unbuffered_file_that_takes_a_part_is_given_the_rest():
    class Narrow(io.RawIOBase):
        got = b""

        def writable(self):
            return True

        def write(self, data):
            taken = bytes(data[:3])
            self.got += taken
            return len(taken)

    narrow = Narrow()
    sink_of(narrow).write([text("Owls turn their heads")])
    assert narrow.got == b"Owls turn their heads"


def test_a_file_that_the_program_closed_is_a_typed_error(path):
    file = open(path, "w")
    sink = sink_of(file)
    sink.write([text("Owls")])
    file.close()
    with pytest.raises(StorageError, match="closed file.*4 characters"):
        sink.write([text("turn")])


def test_an_object_that_only_writes_will_do():
    class Writer:
        def __init__(self):
            self.got = []

        def write(self, piece):
            self.got.append(piece)

    writer = Writer()
    sink = sink_of(writer)
    sink.write([text("Owls")])
    sink.write([Chunk("reasoning", reasoning="hm")])
    assert writer.got == ["Owls"]
    with pytest.raises(StorageError, match="can't be taken back"):
        sink.write([RESTART, text("other")])


def test_a_pipe_whose_reader_has_gone_is_a_typed_error():
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as file:
        with pytest.raises(StorageError, match="Broken pipe; 0 characters"):
            sink_of(file).write([text("Owls")])


def test_a_function_gets_each_network_reads_text_and_no_empty_one():
    got = []
    sink = sink_of(got.append)
    sink.write([text("Owls "), text("turn")])
    sink.write([Chunk("usage")])
    sink.write([text(".")])
    sink.finish()
    assert got == ["Owls turn", "."]


def test_a_restart_before_a_function_was_called_takes_nothing_back():
    got = []
    sink = sink_of(got.append)
    sink.write([RESTART, text("right")])
    assert got == ["right"]
    with pytest.raises(StorageError, match="a function can't take text back"):
        sink.write([RESTART])


def test_what_is_what(path):
    assert sink_of(None) is None
    assert isinstance(sink_of(pathlib.Path(path)), PathSink)
    assert isinstance(sink_of(io.StringIO()), FileSink)
    assert isinstance(sink_of(print), FunctionSink)
    with pytest.raises(ConfigurationError, match="sink=3: expected a path"):
        sink_of(3)


# -- flat memory -----------------------------------------------------------------------------------

LONG = """
import resource, socket, sys, threading
from streamsafe import StreamSession
from streamsafe.testing.answers import openai_chat

path, megabytes = sys.argv[1], int(sys.argv[2])
events = openai_chat("x" * 8192)
first, piece, rest = events[0], events[1], b"".join(events[2:])


def serve(listener):
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n\\r\\n")
        connection.sendall(first)
        for _ in range(megabytes * 128):
            connection.sendall(piece)
        connection.sendall(rest)


with socket.create_server(("127.0.0.1", 0)) as listener:
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    with StreamSession("openai", base_url=url, api_key="k", model="m") as session:
        completion = session.complete("Hi", sink=path, keep="tail")
print(completion.text_chars, len(completion.text))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_megabytes(path, megabytes):
    said = subprocess.run(
        [sys.executable, "-c", LONG, str(path), str(megabytes)],
        stdout=subprocess.PIPE, check=True, text=True,
    ).stdout.split()  # fmt: skip
    chars, kept, peak = map(int, said)
    assert chars == path.stat().st_size == megabytes << 20 and kept < 100_000
    return peak / 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in the unit of Linux")
def test_an_answer_of_hundreds_of_megabytes_goes_to_its_sink_in_flat_memory(path):
    short, long = peak_megabytes(path, 20), peak_megabytes(path, 300)
    assert long < short + 8
