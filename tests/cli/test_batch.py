"""``streamsafe batch``: files in, files out, and going on after whatever happened."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from streamsafe.cli import main
from streamsafe.journal import SQLiteJournal
from streamsafe.testing import FaultServer, reply, rst, stall, stream
from streamsafe.testing.answers import openai_chat


def answer_to(prompt):
    return f"The answer to {prompt}, whole."


def prompt_of(request):
    return request.json["messages"][-1]["content"]


class Answers(FaultServer):
    """Answers each prompt with words of its own; ``faults`` are done first, once each."""

    def __init__(self):
        super().__init__()
        self.faults = {}
        self.handle(self.choose)

    def choose(self, request):
        prompt = prompt_of(request)
        queue = self.faults.get(prompt)
        if queue:
            return queue.pop(0)
        return stream(openai_chat(answer_to(prompt), usage=(3, 6)))

    @property
    def asked(self):
        return Counter(prompt_of(request) for request in self.requests)


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with Answers() as running:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{running.url}/v1")
        yield running
        running.assert_nothing_more()


def prompts(number):
    return [f"question {n}" for n in range(number)]


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def run(capsys, *arguments):
    code = main(["batch", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_answers_stand_in_the_order_of_the_prompts(server, capsys):
    write("prompts.jsonl", prompts(20))
    code, out, err = run(capsys, "prompts.jsonl", "-o", "answers.jsonl", "-m", "m1")
    assert (code, out) == (0, "")
    answers = read("answers.jsonl")
    assert [answer["text"] for answer in answers] == [answer_to(p) for p in prompts(20)]
    assert answers[3]["index"] == 3 and answers[3]["id"] == "3"
    assert answers[3]["outcome"] == "complete" and answers[3]["usage"]["output_tokens"] == 6
    assert "20 answers · 0 errors · 60 tokens in, 120 out" in err
    assert not os.path.exists("answers.jsonl.part")
    assert {request.json["model"] for request in server.requests} == {"m1"}


def test_all_forms_of_a_line_are_read(server, capsys):
    hello = [{"role": "user", "content": "c"}]
    write("prompts.jsonl", [
        "a",
        {"prompt": "b", "id": "bee", "max_tokens": 2},
        hello,
        {"messages": [{"role": "user", "content": "d"}], "model": "m2"},
        {"custom_id": "e-1", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "m3", "messages": [{"role": "user", "content": "e"}]}},
    ])  # fmt: skip
    code, out, _ = run(capsys, "prompts.jsonl", "-m", "m", "-q", "-c", "1", "--max-tokens", "9")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [answer["text"] for answer in answers] == [answer_to(p) for p in "abcde"]
    assert [answer["id"] for answer in answers] == ["0", "bee", "2", "3", "e-1"]
    bodies = [request.json for request in server.requests]
    assert [body["model"] for body in bodies] == ["m", "m", "m", "m2", "m3"]
    assert [body["max_tokens"] for body in bodies] == [9, 2, 9, 9, 9]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prompts.txt", "a\n\nb\n"),
        ("prompts.csv", 'id,prompt,colour\n1,a,red\n2,"b",blue\n'),
        ("prompts.ndjson", '\ufeff"a"\n  \n"b"'),
    ],
)
def test_text_and_csv_are_read_too(server, capsys, name, text):
    with open(name, "w", encoding="utf-8") as file:
        file.write(text)
    code, out, _ = run(capsys, name, "-m", "m", "-q")
    texts = [json.loads(line)["text"] for line in out.splitlines()]
    assert (code, texts) == (0, [answer_to("a"), answer_to("b")])


def test_prompts_come_from_standard_input_too(server, capsys, monkeypatch):
    with open("in", "wb") as file:
        file.write(b'"a"\n"b"\n')
    with open("in") as standard:
        monkeypatch.setattr(sys, "stdin", standard)
        code, out, _ = run(capsys, "-", "-m", "m", "-q")
    assert code == 0 and len(out.splitlines()) == 2


@pytest.mark.parametrize("name", ["--output", "--journal"])
def test_the_prompts_are_not_written_over(server, capsys, name):
    write("prompts.jsonl", ["a"])
    code, _, err = run(capsys, "prompts.jsonl", name, "./prompts.jsonl", "-m", "m")
    assert code == 2 and f"{name} ./prompts.jsonl is the file with the prompts" in err
    assert read("prompts.jsonl") == ["a"] and server.requests == ()


@pytest.mark.parametrize("price", ["-1", "nan", "inf"])
def test_a_price_is_no_negative_number(server, capsys, price):
    write("prompts.jsonl", ["a"])
    code, _, err = run(capsys, "prompts.jsonl", "-m", "m", "--price-in", price)
    assert code == 2 and "expected a price of 0 or more" in err


def test_errors_have_their_line_and_the_exit_code_tells(server, capsys):
    server.faults["b"] = [reply(400, json={"error": {"message": "Too odd", "code": "odd"}})]
    with open("prompts.jsonl", "wb") as file:
        file.write(b'"a"\n"b"\n{"prompt":\n"\xff"\n{"promt": "c"}\n"d"\n')
    code, _, err = run(capsys, "prompts.jsonl", "-o", "answers.jsonl", "-m", "m")
    answers = read("answers.jsonl")
    assert code == 1 and "4 prompts have no answer; --resume asks what is left" in err
    assert [answer.get("error", {}).get("type") for answer in answers] == [
        None, "BadRequestError", "ConfigurationError", "ConfigurationError", "ConfigurationError",
        None,
    ]  # fmt: skip
    assert answers[1]["error"]["status"] == 400 and answers[1]["error"]["code"] == "odd"
    assert "line 3 is no JSON" in answers[2]["error"]["message"]


def test_what_could_not_be_asked_has_an_error_and_no_outcome(server, capsys):
    write("prompts.jsonl", [42, ""])
    assert run(capsys, "prompts.jsonl", "-o", "answers.jsonl", "-m", "m")[0] == 1
    assert [sorted(answer) for answer in read("answers.jsonl")] == [
        ["error", "id", "index", "stream_id"]
    ] * 2


def test_what_failed_is_asked_again_with_resume_and_nothing_else(server, capsys):
    server.faults["question 1"] = [reply(400)]
    write("prompts.jsonl", prompts(4))
    asking = ("prompts.jsonl", "-o", "answers.jsonl", "-m", "m")
    assert run(capsys, *asking)[0] == 1
    assert "error" in read("answers.jsonl")[1]
    code, _, err = run(capsys, *asking, "--resume")
    assert code == 0 and "4 answers (3 from the journal)" in err
    assert [answer["text"] for answer in read("answers.jsonl")] == [
        answer_to(p) for p in prompts(4)
    ]
    assert [server.asked[prompt] for prompt in prompts(4)] == [1, 2, 1, 1]


def test_an_earlier_journal_is_not_overlooked(server, capsys):
    write("prompts.jsonl", ["a"])
    asking = ("prompts.jsonl", "-o", "answers.jsonl", "-m", "m", "-q")
    assert run(capsys, *asking)[0] == 0
    code, _, err = run(capsys, *asking)
    assert code == 2 and "from an earlier run" in err and "--resume" in err
    assert run(capsys, *asking, "--resume")[0] == 0
    assert server.asked["a"] == 1


def test_a_run_with_wrong_arguments_is_no_earlier_run(server, capsys):
    write("prompts.jsonl", ["a"])
    asking = ("prompts.jsonl", "-o", "answers.jsonl", "-m", "m")
    assert run(capsys, *asking, "-c", "0")[0] == 2
    assert run(capsys, *asking)[0] == 0


def test_another_question_never_gets_an_earlier_answer(server, capsys):
    write("prompts.jsonl", ["a", {"id": "x", "prompt": "b"}])
    asking = ("prompts.jsonl", "-o", "answers.jsonl", "--journal", "j", "-q")
    assert run(capsys, *asking, "-m", "m")[0] == 0
    write("prompts.jsonl", [{"id": "x", "prompt": "b"}, "c"])
    assert run(capsys, *asking, "-m", "m", "--resume")[0] == 0
    assert [answer["text"] for answer in read("answers.jsonl")] == [answer_to("b"), answer_to("c")]
    assert server.asked == {"a": 1, "b": 1, "c": 1}
    assert run(capsys, *asking, "-m", "m2", "--resume")[0] == 0
    assert server.asked == {"a": 1, "b": 2, "c": 2}


def test_the_cost_is_told_where_prices_are(server, capsys):
    write("prompts.jsonl", prompts(10))
    _, _, err = run(
        capsys, "prompts.jsonl", "-m", "m", "--price-in", "1000", "--price-out", "10000"
    )
    assert "0.6300 to pay" in err  # 30 tokens in, 60 out


def test_a_wrong_key_stops_it(server, capsys):
    server.handle(lambda request: reply(401))
    write("prompts.jsonl", prompts(500))
    code, _, err = run(capsys, "prompts.jsonl", "-o", "answers.jsonl", "-m", "m")
    assert code == 1 and "stopped by AuthenticationError" in err and "--resume" in err
    assert len(server.requests) <= 8
    assert os.path.exists("answers.jsonl.part") and not os.path.exists("answers.jsonl")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl"),
        (["bad.csv"], "expected a column prompt"),
        (["p.jsonl", "--resume"], "--resume wants"),
        (["p.jsonl", "-c", "0"], "max_workers=0"),
        (["p.jsonl", "-p", "openia"], "openia"),
    ],
)
def test_wrong_arguments_are_told(server, capsys, arguments, said):
    write("p.jsonl", ["a"])
    with open("bad.csv", "w") as file:
        file.write("question\na\n")
    code, _, err = run(capsys, *arguments)
    assert code == 2 and said in err


# -- ends ------------------------------------------------------------------------------------------


@pytest.fixture
def start():
    """Run the command as a process of its own, which does not outlive the test."""
    processes = []

    def start(*arguments):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "streamsafe", "batch", *arguments],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=30)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_whatever_ends_it_resume_asks_only_what_is_left(server, capsys, start, blow):
    """Twelve are answered, four hang in the middle of their answers when the blow falls."""
    hanging = ["question 3", "question 7", "question 8", "question 14"]
    for prompt in hanging:
        server.faults[prompt] = [stream(openai_chat(answer_to(prompt))[:4], stall())]
    write("prompts.jsonl", prompts(16))
    asking = ("prompts.jsonl", "-o", "answers.jsonl", "-m", "m", "-c", "16")
    process = start(*asking)
    server.wait_for_request(16, timeout=30)
    for request in server.requests:
        if prompt_of(request) not in hanging:
            assert request.over.wait(10)
    wait_for_journal("answers.jsonl.journal", complete=12)
    process.send_signal(blow)
    _, err = process.communicate(timeout=30)
    assert process.returncode == (130 if blow == signal.SIGINT else -blow)
    assert "Traceback" not in err
    assert not os.path.exists("answers.jsonl")

    code, _, err = run(capsys, *asking, "--resume")
    assert code == 0 and "16 answers (12 from the journal)" in err
    assert [answer["text"] for answer in read("answers.jsonl")] == [
        answer_to(p) for p in prompts(16)
    ]
    assert all(
        server.asked[prompt] == (2 if prompt in hanging else 1) for prompt in prompts(16)
    )


def wait_for_journal(path, complete):
    """Until so many streams are complete there."""
    deadline = time.monotonic() + 20
    with SQLiteJournal(path) as journal:
        while len(journal.list("complete")) < complete:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_two_processes_do_not_work_on_one_journal(server, capsys, start):
    server.faults["a"] = [stream(openai_chat(answer_to("a"))[:4], stall())]
    write("prompts.jsonl", ["a"])
    asking = ("prompts.jsonl", "-o", "answers.jsonl", "-m", "m")
    start(*asking)
    server.wait_for_request(1, timeout=30)
    code, _, err = run(capsys, *asking, "--resume")
    assert code == 2 and "another process is at work" in err


def test_a_reset_in_the_middle_is_mended(server, capsys):
    server.faults["a"] = [stream(openai_chat(answer_to("a"))[:4], then=rst())]
    write("prompts.jsonl", ["a"])
    code, out, _ = run(capsys, "prompts.jsonl", "-m", "m", "-q")
    answer = json.loads(out)
    assert (code, answer["text"], answer["attempts"]) == (0, answer_to("a"), 2)
