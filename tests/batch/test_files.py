"""Prompts read from lines, answers written to lines, and the bill."""

import json
import os

import pytest

from streamsafe import Completion, ConfigurationError, Outcome, RateLimitError, StorageError, Usage
from streamsafe.batch import Result
from streamsafe.batch.answers import AnswerFile, as_fields
from streamsafe.batch.bill import Bill
from streamsafe.batch.prompts import PromptFile, read
from streamsafe.models import ToolCall


def result(index=0, **fields):
    return Result(index, str(index), "Hi", **fields)


def answer(text="Hello", **fields):
    return Completion(text, outcome=Outcome.COMPLETE, finish_reason="stop", **fields)


# -- prompts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "data", "prompts"),
    [
        ("jsonl", b'"a"\r\n\n["b"]\n{"prompt": "c"}', ["a", ["b"], {"prompt": "c"}]),
        ("text", b"\xef\xbb\xbfa\r\n\n b \n", ["a", " b "]),
        ("csv", b"id,prompt\n1,a\n,b\n", [{"prompt": "a", "id": "1"}, {"prompt": "b"}]),
        ("csv", b'\xef\xbb\xbfprompt\n"two\nlines"\n', [{"prompt": "two\nlines"}]),
    ],
)
def test_lines_become_prompts(tmp_path, form, data, prompts):
    assert list(read(data.splitlines(True), form)) == prompts
    path = tmp_path / "prompts"
    path.write_bytes(data)
    file = PromptFile(str(path), form)
    assert (len(file), list(file), list(file)) == (len(prompts), prompts, prompts)


def test_a_line_that_can_not_be_read_is_the_error_that_says_so():
    good, bad, worse, also_good = read([b'"a"\n', b"{\n", b'"\xff"\n', b"1\n"], "jsonl")
    assert (good, also_good) == ("a", 1)
    assert isinstance(bad, ConfigurationError) and "line 2 is no JSON" in str(bad)
    assert isinstance(worse, ConfigurationError) and "line 3" in str(worse)


def test_deep_nesting_is_an_error_of_its_line():
    (bad,) = read([b"[" * 100_000], "jsonl")
    assert isinstance(bad, ConfigurationError)


def test_a_csv_file_without_prompts_is_told():
    with pytest.raises(ConfigurationError, match="names question, id: expected a column prompt"):
        list(read([b"question,id\n", b"a,1\n"], "csv"))


# -- answers ---------------------------------------------------------------------------------------


def test_a_line_holds_what_there_is_and_no_more():
    usage = Usage(3, 6, total_tokens=9, raw={"a": 1})
    fields = as_fields(result(completion=answer(usage=usage, model="m"), stream_id="batch-0"))
    assert list(fields) == [
        "index", "id", "text", "outcome", "finish_reason", "model", "usage", "attempts",
        "stream_id",
    ]  # fmt: skip
    assert fields["usage"]["output_tokens"] == 6 and "raw" not in fields["usage"]
    called = answer("", tool_calls=(ToolCall("c1", "look", "{}"),), reasoning="Hm", refusal="No")
    more = as_fields(result(completion=called))
    assert more["tool_calls"] == [{"id": "c1", "name": "look", "arguments": "{}"}]
    assert (more["reasoning"], more["refusal"]) == ("Hm", "No")


def test_an_error_stands_beside_what_had_come():
    error = RateLimitError("Slow down", status=429, code="rate")
    fields = as_fields(result(completion=Completion("Hel", outcome=Outcome.FAILED), error=error))
    assert (fields["text"], fields["outcome"]) == ("Hel", "failed")
    assert fields["error"]["type"] == "RateLimitError" and fields["error"]["status"] == 429
    assert as_fields(result(error=TypeError("odd")))["error"] == {
        "type": "TypeError", "message": "odd",
    }  # fmt: skip


def test_a_file_has_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("the old one")
    file = AnswerFile(str(path))
    for index in range(2):
        file.write(result(index, completion=answer("ä \ud800")))
        lines = (tmp_path / "answers.jsonl.part").read_bytes().splitlines()
        assert len(lines) == index + 1  # each is there at once
    assert path.read_text() == "the old one"
    file.finish()
    file.close()
    assert os.listdir(tmp_path) == ["answers.jsonl"]
    texts = [json.loads(line)["text"] for line in path.read_bytes().splitlines()]
    assert texts == ["ä \ud800"] * 2


def test_no_results_are_an_empty_file(tmp_path):
    file = AnswerFile(str(tmp_path / "answers.jsonl"))
    file.finish()
    assert (tmp_path / "answers.jsonl").read_bytes() == b""


def test_a_directory_that_is_not_there_is_told(tmp_path):
    file = AnswerFile(str(tmp_path / "no" / "answers.jsonl"))
    with pytest.raises(StorageError, match="answers.jsonl.part"):
        file.write(result(completion=answer()))


# -- the bill --------------------------------------------------------------------------------------


def test_the_bill_counts_all_attempts_and_failures_too():
    bill = Bill(1.0, 10.0)
    bill.add(result(completion=answer(usage=Usage(1, 1), usage_total=Usage(300, 600))))
    bill.add(result(completion=answer(usage=Usage(100, 100)), reused=True))
    bill.add(result(completion=Completion("He", usage_total=Usage(100, 5)), error=TypeError()))
    bill.add(result(error=TypeError()))
    assert (bill.answers, bill.errors, bill.reused) == (2, 2, 1)
    assert (bill.input_tokens, bill.output_tokens) == (500, 705)
    assert bill.cost == pytest.approx(0.00755)
    assert bill.facts(3725) == [
        "2 answers (1 from the journal)", "2 errors", "500 tokens in, 705 out", "1 h 2 min",
        "0.0076 to pay",
    ]  # fmt: skip


def test_what_is_estimated_is_about_and_without_prices_there_is_no_cost():
    bill = Bill()
    bill.add(result(completion=answer(usage=Usage(3, 6, estimated=True))))
    assert bill.facts(75.4) == ["1 answer", "0 errors", "about 3 tokens in, 6 out", "1 min 15 s"]
    assert Bill(price_out=2.0).cost == 0.0
