"""No token lost, none twice: every strategy, cut at every byte; journals; processes killed."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from streamsafe import (
    ConfigurationError,
    Outcome,
    ResumeError,
    RetryPolicy,
    StorageError,
    StreamingError,
    StreamSession,
)
from streamsafe.journal import SQLiteJournal
from streamsafe.testing import FaultServer, fin, pause, reply, rst, stall, stream
from streamsafe.testing.answers import openai_chat

TEXT = 'Owls  turn their heads 🙂.\n\nThey "see"\nin the dark; zwölf Eulen.'
EVENTS = openai_chat(TEXT)
BODY = b"".join(EVENTS)
QUICK = RetryPolicy(base=0.0, cap=0.0)


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running
        running.assert_nothing_more()


def session(server, preset="vllm", **settings):
    settings = {"retry": QUICK, "model": "m", "api_key": "k", **settings}
    return StreamSession(preset, base_url=f"{server.url}/v1", **settings)


def text_of(chunks):
    text = ""
    for chunk in chunks:
        text = "" if chunk.kind == "restart" else text + chunk.text
    return text


# -- servers that continue, each in its way --------------------------------------------------------


def prefix_of(request):
    """The text that the request wants continued; None if it asks from the start."""
    last = request.json["messages"][-1]
    if last["role"] == "assistant":
        return last["content"]
    before = request.json["messages"][-2:-1]
    return before[0]["content"] if before and before[0]["role"] == "assistant" else None


def exact(prefix):
    return TEXT[len(prefix) :]


def echo(prefix):
    return TEXT


def stripped_again(prefix):
    return TEXT[len(prefix.rstrip()) :]


def stripped_not_again(prefix):
    return TEXT[len(prefix) :].lstrip() if prefix != prefix.rstrip() else TEXT[len(prefix) :]


def repeats_the_last_words(prefix):
    words = prefix.split(" ")
    tail = " ".join(words[-3:])
    return tail + TEXT[len(prefix) :]


WAYS = {
    "vllm exact": ("vllm", "auto", exact),
    "llama.cpp exact": ("llamacpp", "auto", exact),
    "deepseek exact": ("deepseek", "auto", exact),
    "mistral echo": ("mistral", "auto", echo),
    "mistral without echo": ("mistral", "auto", exact),
    "asked in a message": ("openai", "continue", exact),
    "restart": ("openai", "restart", None),
}


def cut_server(server, cut, how):
    """First request: cut at the byte. Later ones: continue from the prefix they carry."""

    def answer(request):
        prefix = prefix_of(request)
        if how is None or prefix is None:
            return stream(EVENTS)
        return stream(openai_chat(how(prefix)))

    server.reset()
    server.expect(stream(BODY[:cut], then=random.Random(cut).choice([fin(), rst()])))
    server.handle(answer)


@pytest.mark.parametrize(
    ("way", "step"),
    [
        *((way, 43) for way in WAYS),
        *(
            pytest.param(way, 1 if way == "vllm exact" else 5, marks=pytest.mark.slow)
            for way in WAYS
        ),
    ],
)
def test_cut_at_every_byte_the_text_is_exact(server, way, step):
    """At every byte for one way and every fifth for the others, where it may take longer."""
    preset, mode, how = WAYS[way]
    asking = session(server, preset, resume=mode)
    for cut in range(0, len(BODY), step):
        cut_server(server, cut, how)
        answer = asking.stream("Tell me")
        chunks = list(answer)
        assert text_of(chunks) == answer.completion.text == TEXT, cut
        assert answer.completion.outcome is Outcome.COMPLETE
        assert all(chunk.kind != "restart" for chunk in chunks)


def test_the_request_that_goes_on_is_the_providers_own(server):
    server.expect(stream(EVENTS[:5], then=rst()), stream(openai_chat(" on.")))
    session(server, "vllm").complete("Hi", max_tokens=100)
    body = server.requests[1].json
    assert body["messages"][-1] == {"role": "assistant", "content": "Owls  turn their heads"}
    assert body["continue_final_message"] is True and body["add_generation_prompt"] is False
    assert body["max_tokens"] < 100


def test_asked_in_a_message_the_repeated_words_are_dropped(server):
    server.expect(stream(EVENTS[:6], then=rst()))
    server.handle(lambda r: stream(openai_chat(repeats_the_last_words(prefix_of(r)))))
    answer = session(server, "openai", resume="continue").stream("Hi")
    assert answer.until_done().text == TEXT
    seam = answer.completion.seams[0]
    assert seam.how == "user_message" and seam.dropped
    assert server.requests[1].json["messages"][-1]["role"] == "user"


def test_auto_does_not_ask_a_model_that_is_not_known_to_continue(server):
    server.expect(stream(EVENTS[:5], then=rst()))
    with pytest.raises(StreamingError) as raised:
        session(server, "openai", resume="auto").complete("Hi")
    assert raised.value.partial.text == "Owls  turn their heads"
    assert not raised.value.will_retry


def test_a_prefill_that_is_refused_switches_once_and_is_remembered(server):
    refusal = {"error": {"message": "does not support assistant message prefill"}}
    server.expect(
        stream(EVENTS[:5], then=rst()), reply(400, json=refusal),
        stream(openai_chat(TEXT[len("Owls  turn their heads") :])),
        stream(EVENTS[:5], then=rst()),
        stream(openai_chat(TEXT[len("Owls  turn their heads") :])),
    )  # fmt: skip
    asking = session(server, "vllm", retry=RetryPolicy(max_retries=1, base=0.0))
    for _ in range(2):
        completion = asking.complete("Hi")
        assert completion.text == TEXT
        assert completion.seams[0].how == "user_message"


def test_a_tool_call_that_was_cut_is_taken_back_and_asked_for_again(server):
    whole = openai_chat("Let me look.", tool_calls=[("look", {"city": "Zürich"})])
    rest = openai_chat("", tool_calls=[("look", {"city": "Zürich"})], usage=None)
    server.expect(stream(whole[:-3], then=rst()), stream(rest))
    answer = session(server, "vllm").stream("Hi")
    chunks = list(answer)
    assert [chunk.kind for chunk in chunks].count("restart") == 1
    assert text_of(chunks) == answer.completion.text == "Let me look."
    assert [call.parsed() for call in answer.completion.tool_calls] == [{"city": "Zürich"}]
    # What is given again behind the restart was not written, nor paid, a second time.
    first, second = (attempt.usage for attempt in answer.attempts)
    assert first.estimated and second.estimated and second.output_tokens < first.output_tokens


def test_what_each_attempt_cost_is_on_the_record(server):
    server.expect(stream(EVENTS[:5], then=rst()), stream(openai_chat("!", usage=(20, 3))))
    completion = session(server, "vllm").complete("Hi")
    first, second = completion.attempts
    assert first.usage.estimated and first.usage.output_tokens > 0
    assert second.usage == completion.usage and not second.usage.estimated
    assert completion.usage_total.output_tokens == first.usage.output_tokens + 3
    assert completion.usage_total.estimated


# -- journal ---------------------------------------------------------------------------------------


def test_chunks_are_in_the_journal_before_they_are_shown(server, tmp_path):
    server.expect(stream(EVENTS))
    journal = SQLiteJournal(tmp_path / "j.db")
    shown = ""
    for chunk in session(server, journal=journal).stream("Hi", stream_id="s"):
        shown += chunk.text
        assert journal.transcript("s").startswith(shown)
    assert journal.transcript("s") == TEXT
    assert [info.status for info in journal.list()] == ["complete"]
    numbers = [number for number, _ in journal.read("s")]
    assert numbers == list(range(1, len(numbers) + 1))
    later = "".join(chunk.text for number, chunk in journal.read("s", after=2))
    assert later == TEXT[len("Owls") :]
    journal.close()


def test_a_stream_that_was_left_is_gone_on_with_from_what_was_written(server, tmp_path):
    server.expect(stream(EVENTS[:5], then=stall()))
    server.handle(lambda r: stream(openai_chat(exact(prefix_of(r)))))
    journal = SQLiteJournal(tmp_path / "j.db")
    asking = session(server, journal=journal)
    for chunk in asking.stream("Hi", stream_id="s"):
        if "heads" in chunk.text:
            break
    again = asking.resume("s")
    assert again.completion.text == "Owls  turn their heads"
    rest = text_of(again)
    assert "Owls  turn their heads" + rest == again.completion.text == TEXT
    assert journal.transcript("s") == TEXT
    assert list(asking.resume("s")) == [] and asking.resume("s").completion.text == TEXT
    journal.close()


def test_an_unknown_id_and_a_missing_journal_are_named(server, tmp_path):
    with pytest.raises(ResumeError, match="no stream 'x'"):
        session(server).resume("x", journal=SQLiteJournal(tmp_path / "j.db"))
    with pytest.raises(ConfigurationError, match="journal"):
        session(server).resume("x")


def test_a_stream_that_is_being_read_is_not_taken_over(server, tmp_path):
    server.expect(stream(EVENTS[:5], then=stall()))
    journal = SQLiteJournal(tmp_path / "j.db")
    asking = session(server, journal=journal)
    answer = asking.stream("Hi", stream_id="s")
    next(answer)
    with pytest.raises(ResumeError, match="being read"):
        asking.resume("s")
    answer.close()
    journal.close()


def test_two_streams_of_one_name_are_refused(server, tmp_path):
    server.expect(stream(EVENTS))
    journal = SQLiteJournal(tmp_path / "j.db")
    asking = session(server, journal=journal)
    asking.complete("Hi", stream_id="s")
    with pytest.raises(ResumeError, match="already"):
        asking.complete("Hi", stream_id="s")
    journal.close()


def test_keys_are_never_written(server, tmp_path):
    server.expect(stream(EVENTS[:3], then=rst()), stream(EVENTS))
    journal = SQLiteJournal(tmp_path / "j.db")
    asking = session(server, "openai", journal=journal, api_key="sk-planted", resume="restart")
    asking.complete("Hi", extra_headers={"Authorization": "Bearer sk-planted"})
    journal.close()
    for path in tmp_path.iterdir():
        assert b"sk-planted" not in path.read_bytes()


#: Forks a reader for each line of its input: 200 interpreters would take minutes to start.
FORKER = textwrap.dedent(
    """
    import os, sys
    import streamsafe.wire.connections, streamsafe.wire.http  # which else each would import anew
    from streamsafe import StreamSession
    from streamsafe.journal import SQLiteJournal

    def read(url, path, fifo):
        out = open(fifo, "wb", buffering=0)
        session = StreamSession("vllm", base_url=url, model="m", journal=SQLiteJournal(path))
        for chunk in session.stream("Hi", stream_id="s"):
            # One write(2) a token: what stands here was shown.
            if chunk.text:
                out.write(chunk.text.encode())

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            read(*line.split())
            os._exit(0)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("gone", flush=True)
    """
)


@pytest.fixture
def forker():
    child = subprocess.Popen(
        [sys.executable, "-c", FORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield child
    child.stdin.close()
    child.stdout.close()
    child.wait()


def kill_and_go_on(server, forker, path, at):
    """Kill a reader once it has shown ``at`` bytes; what it showed, and what came after."""
    paced = [step for event in EVENTS for step in (event, pause(0.001))]
    server.expect(stream(paced))
    os.mkfifo(path + ".shown")
    print(f"{server.url}/v1", path, path + ".shown", file=forker.stdin, flush=True)
    pid = int(forker.stdout.readline())
    shown = b""
    with open(path + ".shown", "rb", buffering=0) as pipe:
        while len(shown) < at:
            piece = pipe.read(at - len(shown))
            if not piece:
                break
            shown += piece
        with contextlib.suppress(ProcessLookupError):  # it may have come to its end
            os.kill(pid, signal.SIGKILL)
        shown += pipe.read()
    assert forker.stdout.readline() == "gone\n"
    server.handle(lambda r: stream(openai_chat(exact(prefix_of(r)))))
    journal = SQLiteJournal(path)
    again = session(server, journal=journal).resume("s")
    held = again.completion.text
    rest = text_of(again)
    journal.close()
    return shown.decode(), held, rest


@pytest.mark.timeout(600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the readers are forked")
@pytest.mark.parametrize("times", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_process_loses_nothing_that_was_shown(times, forker, tmp_path):
    rng = random.Random(times)
    with FaultServer() as server:
        for number in range(times):
            path = str(tmp_path / f"{number}.db")
            shown, held, rest = kill_and_go_on(server, forker, path, rng.randrange(1, len(TEXT)))
            assert held.startswith(shown)
            assert held + rest == TEXT


# -- sinks -----------------------------------------------------------------------------------------


def test_a_path_gets_its_name_when_the_answer_is_whole(server, tmp_path):
    server.expect(stream(EVENTS[:5], then=stall()), stream(EVENTS))
    path = tmp_path / "answer.txt"
    asking = session(server)
    for chunk in asking.stream("Hi", sink=path):
        if "heads" in chunk.text:
            assert (tmp_path / "answer.txt.part").read_text() == "Owls  turn their heads"
            break
    assert not path.exists() and (tmp_path / "answer.txt.part").exists()
    asking.complete("Hi", sink=path)
    assert path.read_text() == TEXT and not (tmp_path / "answer.txt.part").exists()


def test_a_function_and_a_file_object_get_the_text_as_it_comes(server, tmp_path):
    server.always(stream(EVENTS))
    pieces = []
    session(server).complete("Hi", sink=pieces.append)
    assert "".join(pieces) == TEXT
    with open(tmp_path / "a", "w+b") as binary, open(tmp_path / "b", "w+") as text:
        session(server).complete("Hi", sink=binary)
        session(server).complete("Hi", sink=text)
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == TEXT


def test_a_restart_takes_back_what_was_written(server, tmp_path):
    server.expect(stream(EVENTS[:5], then=rst()), stream(openai_chat("Different.")))
    path = tmp_path / "answer.txt"
    session(server, "openai", resume="restart").complete("Hi", sink=path)
    assert path.read_text() == "Different."


def test_the_tail_alone_stays_in_memory_if_asked_for(server, tmp_path):
    long = "word " * 6_000
    server.expect(stream(openai_chat(long)))
    completion = session(server).complete("Hi", sink=tmp_path / "a", keep="tail")
    assert completion.text_chars == len(long)
    assert len(completion.text) < 24_000 and long.endswith(completion.text)
    assert (tmp_path / "a").read_text() == long


@pytest.mark.parametrize("kept", ["sink", "journal"])
@pytest.mark.parametrize("preset, mode", [("vllm", "auto"), ("openai", "restart")])
def test_an_answer_of_which_memory_has_the_tail_alone_is_mended_from_all_of_it(
    server, tmp_path, kept, preset, mode
):
    long = "word " * 6_000
    events = openai_chat(long)

    def answer(request):
        prefix = prefix_of(request)
        return stream(events if prefix is None else openai_chat(long[len(prefix) :]))

    server.expect(stream(events[:4_500], then=fin()))
    server.handle(answer)
    journal = SQLiteJournal(tmp_path / "j.db")
    where = {"sink": tmp_path / "a"} if kept == "sink" else {"journal": journal}
    answer = session(server, preset, resume=mode).stream("Hi", keep="tail", **where)
    told = [chunk for chunk in answer if chunk.kind == "restart"]
    assert told == [] and answer.completion.text_chars == len(long)
    assert len(server.requests) == 2 and len(answer.completion.seams) == 1
    if kept == "sink":
        assert (tmp_path / "a").read_text() == long
    journal.close()


def test_what_no_model_has_room_for_is_not_read_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr("streamsafe.keeper.RECALLED", 15_000)
    server.expect(stream(openai_chat("word " * 6_000)[:4_500], then=fin()))
    with pytest.raises(StreamingError) as raised:
        session(server).complete("Hi", keep="tail", sink=tmp_path / "a")
    assert raised.value.partial.text_chars == (tmp_path / "a.part").stat().st_size > 15_000


def test_where_the_beginning_is_nowhere_no_exact_continuation_is_claimed(server):
    long = "word " * 6_000
    events, pieces = openai_chat(long), []
    server.expect(stream(events[:4_500], then=fin()), stream(events))
    with pytest.raises(StreamingError) as raised:
        session(server).complete("Hi", keep="tail", sink=pieces.append)
    assert raised.value.partial.text_chars == len("".join(pieces)) > len(raised.value.partial.text)
    again = session(server, "openai", resume="restart").stream("Hi", keep="tail")
    server.reset()
    server.expect(stream(events[:4_500], then=fin()), stream(events))
    text = text_of(again)
    assert text == long and again.completion.text_chars == len(long)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this platform")
def test_a_full_disk_is_a_typed_error_that_says_what_is_kept(server):
    server.expect(stream(EVENTS))
    full = open("/dev/full", "wb", buffering=0)
    with full, pytest.raises(StorageError, match="No space"):
        session(server).complete("Hi", sink=full)


def test_an_answer_that_gets_no_name_is_not_complete(server, tmp_path):
    """Who is told that an answer is whole finds it whole under its name."""
    server.expect(stream(EVENTS))
    path, told = tmp_path / "answer.txt", []
    answer = session(server).stream("Hi", sink=path, on_complete=told.append)
    with pytest.raises(StorageError) as raised:
        for _ in answer:
            if not path.exists():
                path.mkdir()  # what no file can replace
    assert raised.value.partial.text == TEXT and answer.status == "failed" and told == []
    assert (tmp_path / "answer.txt.part").read_text() == TEXT


def test_a_sink_of_the_wrong_kind_is_named(server):
    with pytest.raises(ConfigurationError, match="sink=3"):
        session(server).stream("Hi", sink=3)
    with pytest.raises(ConfigurationError, match="keep="):
        session(server).stream("Hi", keep="some")


# -- what the server keeps, and what the API itself has go on --------------------------------------


SAMPLES = Path(__file__).parent / "samples"
PART1, PART2 = (
    (SAMPLES / f"openai_responses_background_part{part}.sse").read_bytes() for part in (1, 2)
)
BEGUN = PART1[: PART1.index(b"event: response.output_text.delta")]
KITES = "Seven kites 🪁 over the harbour, each tugging a different colour of wind."


def document(status, text=""):
    """A response as GET /responses/{id} gives it."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"type": "message", "id": "msg_1", "role": "assistant", "content": content}
    return reply(
        200,
        json={
            "id": "resp_0a1b2c3dsample", "object": "response", "status": status, "error": None,
            "model": "gpt-5.5", "output": [item] if text else [],
            "usage": {"input_tokens": 25, "output_tokens": 24} if text else None,
        },
    )  # fmt: skip


def paths_of(server):
    return [(request.method, request.path) for request in server.requests]


def test_a_background_response_is_taken_up_behind_its_last_event(server):
    server.expect(stream(PART1, then=rst()), stream(PART2))
    completion = session(server, "openai_responses").complete("Hi", background=True)
    assert completion.text == KITES
    assert completion.seams[0].how == "cursor"
    assert paths_of(server) == [
        ("POST", "/v1/responses"),
        ("GET", "/v1/responses/resp_0a1b2c3dsample?stream=true&starting_after=11"),
    ]


def test_cut_at_every_byte_a_background_response_is_exact(server):
    whole = PART1 + PART2
    events = [event + b"\n\n" for event in whole.split(b"\n\n") if event]
    numbers = [json.loads(event.partition(b"data: ")[2])["sequence_number"] for event in events]

    def behind(request):
        last = request.path.partition("starting_after=")[2]
        if not last:
            return stream(events)
        return stream([e for e, number in zip(events, numbers) if number > int(last)])

    asking = session(server, "openai_responses")
    for cut in range(0, len(whole), 47):
        server.reset()
        server.expect(stream(whole[:cut], then=random.Random(cut).choice([fin(), rst()])))
        server.handle(behind)
        answer = asking.stream("Hi", background=True)
        assert text_of(answer) == answer.completion.text == KITES, cut
        assert answer.completion.outcome is Outcome.COMPLETE


def test_where_the_window_is_over_the_response_is_polled_until_it_is_done(server, monkeypatch):
    monkeypatch.setattr("streamsafe.course.POLL_BASE", 0.01)
    gone = reply(404, json={"error": {"message": "no longer streamable", "code": "not_found"}})
    server.expect(
        stream(PART1, then=rst()), gone, *[document("in_progress")] * 5,
        document("completed", KITES),
    )  # fmt: skip
    retry = RetryPolicy(max_retries=1, base=0.0)
    answer = session(server, "openai_responses", retry=retry).stream("Hi", background=True)
    assert text_of(answer) == answer.completion.text == KITES
    assert answer.completion.finish_reason == "stop"
    assert answer.completion.seams[0].how == "poll"
    assert set(paths_of(server)[2:]) == {("GET", "/v1/responses/resp_0a1b2c3dsample")}


def test_nothing_delivered_is_no_reason_for_a_second_generation(server):
    server.expect(stream(BEGUN, then=rst()), stream(PART1[len(BEGUN) :], PART2))
    assert session(server, "openai_responses").complete("Hi", background=True).text == KITES
    assert [method for method, _ in paths_of(server)] == ["POST", "GET"]


def test_a_response_that_failed_is_not_taken_up_again(server):
    failed = {"status": "failed", "error": {"code": "server_error", "message": "no GPU"}}
    event = {"type": "response.failed", "sequence_number": 2, "response": failed}
    server.expect(
        stream(BEGUN, f"event: response.failed\ndata: {json.dumps(event)}\n\n".encode()),
        stream(PART1, PART2),
    )
    completion = session(server, "openai_responses").complete("Hi", background=True)
    assert completion.text == KITES
    assert [method for method, _ in paths_of(server)] == ["POST", "POST"]


def test_an_answer_that_gemini_cuts_by_protocol_is_followed(server):
    first = (SAMPLES / "gemini_continuation.sse").read_bytes()
    last = (SAMPLES / "gemini_basic.sse").read_bytes()
    server.expect(stream(first), stream(last))
    asking = StreamSession("gemini", base_url=server.url, api_key="k", model="m", retry=QUICK)
    completion = asking.complete("Hi")
    assert completion.text.startswith("Part one ends here and")
    assert len(completion.text) > len("Part one ends here and")
    assert completion.outcome is Outcome.COMPLETE and completion.finish_reason == "stop"
    one, other = (request.json for request in server.requests)
    assert other == {**one, "continuationToken": "AQIDc2FtcGxl"}
    assert completion.usage_total.output_tokens > completion.usage.output_tokens


def test_a_pause_of_anthropics_server_tools_is_followed(server):
    def message(*texts, stop):
        events = [{"type": "message_start", "message": {"id": "m1", "model": "m", "usage": {}}}]
        for index, text in enumerate(texts):
            block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": text}
            events += [
                {"type": "content_block_start", "index": index, "content_block": block},
                {"type": "content_block_delta", "index": index, "delta": delta},
                {"type": "content_block_stop", "index": index},
            ]
        events.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {}})
        events.append({"type": "message_stop"})
        return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]

    server.expect(
        stream(message("I look. ", stop="pause_turn")), stream(message("Found.", stop="end_turn"))
    )
    asking = StreamSession("anthropic", base_url=server.url, api_key="k", model="m", retry=QUICK)
    completion = asking.complete("Hi", max_tokens=9)
    assert completion.text == "I look. Found." and completion.finish_reason == "stop"
    assert server.requests[1].json["messages"][1:] == [
        {"role": "assistant", "content": [{"type": "text", "text": "I look. "}]}
    ]


def gemini(text, **candidate):
    content = {"parts": [{"text": text}], "role": "model"}
    payload = {"candidates": [{"content": content, "index": 0, **candidate}]}
    return f"data: {json.dumps(payload)}\n\n".encode()


TO_BE_CONTINUED = {"finishReason": "CONTINUATION", "continuationToken": "t1"}


@pytest.mark.parametrize("fault", [reply(503), stream(then=rst())], ids=["503", "reset"])
def test_the_next_part_is_asked_for_again_if_nothing_came_of_it(server, fault):
    server.expect(
        stream(gemini("One, ", **TO_BE_CONTINUED)), fault,
        stream(gemini("two.", finishReason="STOP")),
    )  # fmt: skip
    asking = StreamSession(
        "gemini", base_url=server.url, api_key="k", model="gemini-9", retry=QUICK, resume="auto"
    )
    assert asking.complete("Hi").text == "One, two."
    assert [request.json.get("continuationToken") for request in server.requests] == [
        None, "t1", "t1",
    ]  # fmt: skip


def test_an_answer_of_several_parts_is_compared_over_all_of_them(server):
    parts = [gemini("One, ", **TO_BE_CONTINUED)], [gemini("two, "), gemini("three.")]
    end = gemini("", finishReason="STOP")
    server.expect(
        stream(parts[0]), stream(parts[1][:1], then=rst()), stream(parts[0]),
        stream(parts[1], end),
    )  # fmt: skip
    asking = StreamSession(
        "gemini", base_url=server.url, api_key="k", model="m", retry=QUICK, resume="restart"
    )
    answer = asking.stream("Hi")
    chunks = list(answer)
    assert "".join(chunk.text for chunk in chunks) == answer.completion.text == "One, two, three."
    assert all(chunk.kind != "restart" for chunk in chunks)


# -- fallbacks in mid-answer -----------------------------------------------------------------------


def test_another_model_goes_on_in_mid_answer_where_that_was_asked_for(server):
    with FaultServer() as other:
        server.expect(stream(EVENTS[:5], then=rst()), reply(401))
        other.handle(lambda r: stream(openai_chat(exact(prefix_of(r)), model="m2")))
        second = session(other, "vllm", model="m2")
        first = session(server, "openai", resume="continue")
        answer = first.stream("Hi", fallbacks=[second])
        assert text_of(answer) == answer.completion.text == TEXT
        assert (answer.completion.provider, answer.completion.model) == ("vllm", "m2")
        assert [(a.provider, a.outcome) for a in answer.attempts] == [
            ("openai", "failed"), ("openai", "failed"), ("vllm", "complete"),
        ]  # fmt: skip
        assert answer.completion.seams[-1].attempt == 3


def test_structured_output_is_asked_for_again_and_never_gone_on_with(server):
    whole = openai_chat('{"owl": "eagle owl"}')
    server.expect(stream(whole[:3], then=rst()), stream(whole))
    asked = {"type": "json_object"}
    answer = session(server, "vllm").stream("Hi", response_format=asked)
    assert text_of(answer) == answer.completion.text == '{"owl": "eagle owl"}'
    assert [len(request.json["messages"]) for request in server.requests] == [1, 1]
