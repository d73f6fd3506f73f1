"""What every journal promises, asked of each."""

import os
import pickle
import subprocess
import sys
import threading
import time

import pytest

from streamsafe.errors import ConfigurationError, IncompleteStreamError, ResumeError
from streamsafe.models import Attempt, Call, Choice, Chunk, Completion, Outcome, Usage

TOKEN = [Chunk("text", "owl ")]


def text(piece, **more):
    return Chunk("text", piece, **more)


def done(answer="", outcome=Outcome.COMPLETE):
    completion = Completion(text=answer, outcome=outcome, usage=Usage(1, 2))
    return completion.replace(choices=(Choice(0, answer),))


# -- a stream's steps ------------------------------------------------------------------------------


def test_chunks_are_counted_from_one_and_come_back_in_their_order(journal, begin):
    begin(journal)
    assert journal.append("s", [text("Owls "), text("turn ")]) == 2
    assert journal.append("s", [Chunk("reasoning", reasoning="hm"), text("heads.")]) == 4
    assert list(journal.read("s")) == [
        (1, text("Owls ")), (2, text("turn ")),
        (3, Chunk("reasoning", reasoning="hm")), (4, text("heads.")),
    ]  # fmt: skip
    assert journal.transcript("s") == "Owls turn heads."


def test_reading_begins_behind_a_number_also_inside_a_network_read(journal, begin):
    begin(journal)
    for first in "ace":
        journal.append("s", [text(first), text(chr(ord(first) + 1))])
    for after in range(7):
        found = list(journal.read("s", after=after))
        assert [number for number, _ in found] == list(range(after + 1, 7))
        assert "".join(chunk.text for _, chunk in found) == "abcdef"[after:]


def test_a_long_stream_is_read_whole(journal, begin):
    begin(journal)
    for number in range(700):
        journal.append("s", [text(f"{number} ")])
    assert [number for number, _ in journal.read("s")] == list(range(1, 701))
    assert journal.transcript("s").split() == [str(number) for number in range(700)]


def test_what_a_restart_made_void_is_passed_over(journal, begin):
    begin(journal)
    journal.append("s", [text("wrong")])
    journal.append("s", [text("wrong too"), Chunk("restart"), text("right")])
    journal.append("s", [text(" on")])
    assert list(journal.read("s")) == [(3, Chunk("restart")), (4, text("right")), (5, text(" on"))]
    assert list(journal.read("s", after=4)) == [(5, text(" on"))]
    assert journal.transcript("s") == "right on"
    assert journal.load("s").chunks == (text("right"), text(" on"))


def test_halves_of_surrogate_pairs_stay_what_they_are(journal, begin):
    begin(journal)
    journal.append("s", [text("\ud83d"), text("\x00\ude00")])
    assert [chunk.text for _, chunk in journal.read("s")] == ["\ud83d", "\x00\ude00"]


def test_the_transcript_is_that_of_the_first_choice(journal, begin):
    begin(journal)
    journal.append("s", [text("one"), text("two", index=1)])
    assert journal.transcript("s") == "one"


def test_all_that_is_needed_to_go_on_is_kept(journal, begin):
    call = Call(({"role": "user", "content": "Grüß Gott"},), "m", {"max_tokens": 9}, None, {"a": 1})
    begin(journal, call=call, provider="vllm", settings={"resume": "continue"})
    journal.append("s", [text("Owls")], state={"cursor": 1})
    error = IncompleteStreamError("it broke off")
    attempt = Attempt(1, 5.0, 200, outcome="failed", error=error, usage=Usage(1, 2))
    journal.attempt("s", attempt, state={"cursor": 1})
    saved = journal.load("s")
    assert (saved.stream_id, saved.call, saved.provider) == ("s", call, "vllm")
    assert saved.settings == {"resume": "continue"} and saved.chunks == (text("Owls"),)
    assert saved.attempts == 1 and saved.status == "streaming" and saved.completion is None
    assert saved.records[0].replace(error=None) == attempt.replace(error=None)
    assert str(saved.records[0].error) == str(error)


def test_the_cursor_is_that_after_the_last_chunks(journal, begin):
    begin(journal)
    assert journal.load("s").state == {}
    journal.append("s", TOKEN, state={"cursor": 1})
    journal.append("s", TOKEN, state={"cursor": 2})
    assert journal.load("s").state == {"cursor": 2}
    journal.append("s", [], state={"cursor": 3})
    assert journal.load("s").state == {"cursor": 3}
    journal.append("s", TOKEN, state={"cursor": 4})
    journal.append("s", TOKEN, state={"cursor": 4})
    assert journal.load("s").state == {"cursor": 4}
    journal.attempt("s", Attempt(1, 0.0), state={"cursor": 5})
    assert journal.load("s").state == {"cursor": 5}


def test_a_cursor_that_is_gone_is_not_used_again(journal, begin):
    begin(journal)
    journal.append("s", TOKEN, state={"cursor": 1})
    journal.append("s", TOKEN, state={})
    assert journal.load("s").state == {}


def test_the_verdict_is_kept_with_the_texts(journal, begin):
    begin(journal)
    journal.append("s", [text("Owls "), text("turn.")])
    journal.attempt("s", Attempt(1, 0.0, 200, outcome="complete"))
    journal.end("s", done("Owls turn."), "complete")
    saved = journal.load("s")
    assert saved.status == "complete" and saved.completion.text == "Owls turn."
    assert saved.completion.outcome is Outcome.COMPLETE and saved.completion.usage == Usage(1, 2)
    assert saved.completion.stream_id == "s" and len(saved.completion.attempts) == 1


def test_payloads_are_kept_only_if_asked_for(shelf, begin):
    for keep_raw, wanted in ((False, None), (True, {"id": 7})):
        journal = shelf.open(keep_raw=keep_raw)
        begin(journal, stream_id=str(keep_raw))
        journal.append(str(keep_raw), [text("owl", raw={"id": 7})])
        assert next(journal.read(str(keep_raw)))[1].raw == wanted


# -- one writer ------------------------------------------------------------------------------------


def test_a_name_is_given_once(shelf, journal, begin):
    begin(journal)
    for again in (journal, shelf.open()):
        with pytest.raises(ResumeError, match="has a stream 's' already"):
            begin(again)
    journal.end("s", done(), "complete")
    with pytest.raises(ResumeError, match="already"):
        begin(journal)


def test_who_did_not_begin_or_claim_a_stream_can_not_write_it(shelf, journal, begin):
    begin(journal)
    journal.append("s", TOKEN)
    other = shelf.open()
    for write in (
        lambda: other.append("s", TOKEN),
        lambda: other.attempt("s", Attempt(1, 0.0)),
        lambda: other.end("s", done(), "complete"),
        lambda: journal.append("another", TOKEN),
    ):
        with pytest.raises(ResumeError, match="not written by this"):
            write()
    other.release("s")
    assert journal.append("s", TOKEN) == 2


def test_a_stream_that_is_written_is_not_taken_over(shelf, journal, begin):
    begin(journal)
    for other in (journal, shelf.open()):
        with pytest.raises(ResumeError, match="'s' is being read at this moment"):
            other.claim("s")
    assert journal.info("s").status == "streaming" and str(os.getpid()) in journal.info("s").owner


def test_a_stream_that_was_given_up_is_gone_on_with_by_another(shelf, journal, begin):
    begin(journal)
    journal.append("s", [text("Owls "), text("turn ")], state={"cursor": 2})
    journal.release("s")
    assert journal.info("s").status == "interrupted"
    with pytest.raises(ResumeError, match="not written by this"):
        journal.append("s", TOKEN)
    other = shelf.open()
    other.claim("s")
    assert other.load("s").status == "streaming" and other.load("s").state == {"cursor": 2}
    assert other.append("s", [text("heads.")]) == 3
    other.end("s", done("Owls turn heads."), "complete")
    assert journal.transcript("s") == "Owls turn heads."


@pytest.mark.parametrize("ended", ["failed", "cancelled"])
def test_a_stream_that_did_not_become_whole_may_be_gone_on_with(journal, begin, ended):
    begin(journal)
    journal.append("s", [text("Owls")])
    journal.end("s", done("Owls", Outcome(ended)), ended, "ServerError: it broke")
    assert journal.info("s").status == ended and journal.info("s").error == "ServerError: it broke"
    journal.claim("s")
    assert journal.info("s")[:2] == ("s", "streaming") and journal.info("s").error is None
    assert journal.load("s").completion is None
    journal.append("s", [text(" turn.")])
    journal.end("s", done("Owls turn."), "complete")
    assert journal.load("s").completion.text == "Owls turn."


def test_a_complete_stream_is_not_taken_over(journal, begin):
    begin(journal)
    journal.end("s", done(), "complete")
    with pytest.raises(ResumeError, match="is complete"):
        journal.claim("s")


def test_a_stream_that_is_not_there_is_named(journal):
    for ask in (journal.claim, journal.load, journal.info, journal.transcript, journal.read):
        with pytest.raises(ResumeError, match="has no stream 'x'"):
            ask("x")
    journal.release("x")
    assert journal.list() == []


def test_of_many_who_claim_one_gets_it(shelf, journal, begin):
    begin(journal)
    journal.release("s")
    others = [shelf.open() for _ in range(6)]
    barrier, got, refused = threading.Barrier(6), [], []

    def claim(other):
        barrier.wait()
        try:
            other.claim("s")
            got.append(other)
        except ResumeError:
            refused.append(other)

    in_threads(claim, others)
    assert len(got) == 1 and len(refused) == 5
    got[0].release("s")


# -- many at once ----------------------------------------------------------------------------------


def in_threads(work, items):
    threads = [threading.Thread(target=work, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_threads_write_through_one_journal(journal, begin):
    def write(number):
        name = f"s{number}"
        begin(journal, stream_id=name)
        for step in range(30):
            journal.append(name, [text(f"{step} ")])
        journal.end(name, done(), "complete")

    in_threads(write, range(8))
    assert len(journal.list("complete")) == 8
    for number in range(8):
        assert journal.transcript(f"s{number}").split() == [str(step) for step in range(30)]


def test_journals_of_their_own_see_each_other_at_once(shelf, begin):
    one, other = shelf.open(), shelf.open()
    begin(one)
    for step in range(5):
        one.append("s", [text(str(step))])
        assert other.transcript("s") == "01234"[: step + 1]


WRITER = """
import pickle, sys
journal = pickle.loads(sys.stdin.buffer.read())
from streamsafe.models import Call, Chunk
name = sys.argv[1]
journal.begin(name, call=Call(), provider="p", settings={})
print("begun", flush=True)
for step in range(int(sys.argv[2])):
    journal.append(name, [Chunk("text", f"{step} ")])
print("written", flush=True)
if len(sys.argv) > 3:
    import signal
    signal.pause()
"""


def start_writer(journal, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdin.write(pickle.dumps(journal))
    process.stdin.close()
    return process


def test_processes_write_side_by_side(journal):
    writers = [start_writer(journal, f"s{number}", "100") for number in range(3)]
    for writer in writers:
        assert writer.stdout.read() == b"begun\nwritten\n" and writer.wait() == 0
        writer.stdout.close()
    assert len(journal.list()) == 3
    for number in range(3):
        assert len(journal.transcript(f"s{number}").split()) == 100


def test_a_process_that_is_killed_loses_nothing_and_its_stream_is_taken_over(shelf, wait_until):
    journal = shelf.open(**shelf.quick)
    writer = start_writer(journal, "s", "50", "stay")
    assert writer.stdout.readline() + writer.stdout.readline() == b"begun\nwritten\n"
    assert journal.info("s").status == "streaming"
    with pytest.raises(ResumeError, match="being read"):
        journal.claim("s")
    writer.kill()
    writer.wait()
    writer.stdout.close()
    wait_until(lambda: journal.info("s").status == "interrupted")
    journal.claim("s")
    assert len(journal.load("s").chunks) == 50
    assert journal.append("s", [text("more")]) == 51
    journal.end("s", done(), "complete")


# -- followers -------------------------------------------------------------------------------------


def test_a_follower_gets_each_chunk_as_it_is_written_and_leaves_at_the_end(shelf, begin):
    writer, reader = shelf.open(), shelf.open()
    begin(writer)
    follower = reader.read("s", follow=True)
    for step in range(4):
        writer.append("s", [text(str(step))])
        assert next(follower) == (step + 1, text(str(step)))
    writer.end("s", done(), "complete")
    assert list(follower) == []


def test_a_follower_of_the_same_journal_too(journal, begin):
    begin(journal)
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(journal.read("s", follow=True)))
    thread.start()
    for step in range(20):
        journal.append("s", [text(str(step))])
    journal.end("s", done(), "complete")
    thread.join(20)
    assert [number for number, _ in seen] == list(range(1, 21))


def test_a_follower_that_comes_late_gets_all_and_one_that_comes_again_the_rest(journal, begin):
    begin(journal)
    journal.append("s", [text("a"), text("b"), text("c")])
    journal.end("s", done("abc"), "complete")
    assert [chunk.text for _, chunk in journal.read("s", follow=True)] == ["a", "b", "c"]
    assert list(journal.read("s", 2, follow=True)) == [(3, text("c"))]
    assert list(journal.read("s", 9, follow=True)) == []


def test_a_follower_sees_a_restart(journal, begin):
    begin(journal)
    follower = journal.read("s", follow=True)
    journal.append("s", [text("wrong")])
    assert next(follower)[1].text == "wrong"
    journal.append("s", [text("void"), Chunk("restart"), text("right")])
    journal.end("s", done("right"), "complete")
    assert list(follower) == [(3, Chunk("restart")), (4, text("right"))]


def test_a_follower_leaves_after_its_patience(journal, begin):
    begin(journal)
    journal.append("s", TOKEN)
    began = time.monotonic()
    assert len(list(journal.read("s", follow=True, timeout=0.2))) == 1
    assert time.monotonic() - began >= 0.2


def test_a_follower_of_an_interrupted_stream_leaves_unless_it_is_to_wait(shelf, journal, begin):
    begin(journal)
    journal.append("s", TOKEN)
    journal.release("s")
    assert len(list(journal.read("s", follow=True))) == 1
    follower = journal.read("s", follow=True, timeout=20)
    assert next(follower)[0] == 1
    other = shelf.open()
    other.claim("s")
    other.append("s", TOKEN)
    other.end("s", done(), "complete")
    assert [number for number, _ in follower] == [2]


# -- looking around --------------------------------------------------------------------------------


def test_streams_are_listed_the_latest_first_by_their_status(journal, begin):
    for name, ended in (("a", "complete"), ("b", "failed"), ("c", ""), ("d", "cancelled")):
        begin(journal, stream_id=name)
        if ended:
            journal.end(name, done(outcome=Outcome(ended)), ended)
    begin(journal, stream_id="e")
    journal.release("e")
    assert [info.stream_id for info in journal.list()] == ["e", "d", "c", "b", "a"]
    for status, name in (
        ("complete", "a"), ("failed", "b"), ("streaming", "c"), ("cancelled", "d"),
        ("interrupted", "e"),
    ):  # fmt: skip
        assert [info.stream_id for info in journal.list(status)] == [name]
    with pytest.raises(ConfigurationError, match="status='done'"):
        journal.list("done")


def test_a_line_of_the_list_says_what_and_how_much(shelf, begin):
    now = [1000.0]
    journal = shelf.open(wall=lambda: now[0])
    begin(journal)
    now[0] = 1007.0
    journal.append("s", [text("12345678"), text("90")])
    info = journal.info("s")
    assert (info.provider, info.model, info.chunks) == ("openai", "m", 2)
    assert (info.created, info.updated) == (1000.0, 1007.0) and 10 <= info.bytes < 40
    assert journal.list() == [info]


def test_what_is_old_goes(shelf, begin):
    now = [1000.0]
    journal = shelf.open(wall=lambda: now[0])
    for name in "abc":
        begin(journal, stream_id=name)
        journal.append(name, TOKEN)
        if name != "a":
            journal.end(name, done(), "complete")
        now[0] += 100.0
    assert journal.purge(older_than=150.0) == 1
    # "a" is older, but it is being written.
    assert [info.stream_id for info in journal.list()] == ["c", "a"]
    with pytest.raises(ResumeError):
        journal.load("b")
    journal.release("a")
    assert journal.purge(older_than=150.0) == 1 and journal.purge(older_than=150.0) == 0


def test_the_latest_are_kept(journal, begin):
    for number in range(5):
        begin(journal, stream_id=str(number))
        journal.append(str(number), TOKEN)
        journal.end(str(number), done(), "complete")
    assert journal.purge(keep=2) == 3
    assert [info.stream_id for info in journal.list()] == ["4", "3"]
    assert journal.transcript("3") == "owl "


def test_the_sum_of_the_bytes_is_kept_under_its_bound(journal, begin):
    for number in range(5):
        begin(journal, stream_id=str(number))
        journal.append(str(number), [text("x" * 1000)])
        journal.end(str(number), done(), "complete")
    assert journal.purge(max_bytes=2500) == 3
    assert [info.stream_id for info in journal.list()] == ["4", "3"]
    assert journal.purge(max_bytes=0) == 2


def test_a_name_that_went_may_be_given_again(journal, begin):
    begin(journal)
    journal.append("s", TOKEN)
    journal.attempt("s", Attempt(1, 0.0))
    journal.end("s", done(), "complete")
    journal.purge(keep=0)
    begin(journal)
    assert list(journal.read("s")) == [] and journal.load("s").attempts == 0


# -- coming and going ------------------------------------------------------------------------------


def test_a_closed_journal_opens_again_at_its_next_use_and_its_streams_go_on(journal, begin):
    begin(journal)
    journal.append("s", TOKEN)
    journal.close()
    assert journal.append("s", TOKEN) == 2
    journal.close()
    journal.close()
    assert journal.transcript("s") == "owl owl "


def test_a_journal_is_pickled_without_its_streams(journal, shelf, begin):
    begin(journal)
    again = pickle.loads(pickle.dumps(journal))
    assert repr(again) == repr(journal)
    with pytest.raises(ResumeError):
        again.append("s", TOKEN)
    assert again.info("s").status == "streaming"
    again.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_writes_its_own_streams_and_not_its_parents(journal, begin):
    begin(journal)
    journal.append("s", [text("parent")])
    child = os.fork()
    if not child:
        code = 1
        try:
            assert journal.transcript("s") == "parent" and journal.info("s").status == "streaming"
            with pytest.raises(ResumeError, match="forked"):
                journal.append("s", TOKEN)
            begin(journal, stream_id="child")
            journal.append("child", [text("child")])
            journal.end("child", done("child"), "complete")
            journal.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert journal.append("s", TOKEN) == 2
    assert journal.transcript("child") == "child" and journal.info("s").status == "streaming"


# -- what must not be written ----------------------------------------------------------------------


def test_no_secret_is_given_out_again(journal, begin):
    key = "sk-planted-0123456789"
    call = Call(
        ({"role": "user", "content": f"is {key} mine?"},), "m",
        {"extra_headers": {"Authorization": "Bearer tok_planted_9876"}, "user": key},
    )  # fmt: skip
    begin(journal, call=call, settings={"api_key": "set_planted_1"}, secrets=[key])
    journal.attempt("s", Attempt(1, 0.0, error=IncompleteStreamError(f"bad key {key}")))
    journal.end("s", done(outcome=Outcome.FAILED), "failed", f"bad key {key}")
    saved = journal.load("s")
    assert "planted" not in repr(saved) and "planted" not in repr(journal.info("s"))
    assert "planted" not in str(saved.records[0].error)
    assert saved.call.messages[0]["content"] == "is *** mine?"
