"""What has come of a stream is added up without a socket."""

from __future__ import annotations

import random

import pytest

from streamsafe.course import Course
from streamsafe.engine.retry import RetryPolicy
from streamsafe.engine.timing import Timeouts
from streamsafe.errors import LimitExceededError
from streamsafe.journal.base import Saved
from streamsafe.ledger import Ledger
from streamsafe.limits import Limits
from streamsafe.models import Attempt, Call, Chunk, Outcome, Seam, Usage
from streamsafe.providers import presets
from streamsafe.providers.base import Decoder, Target
from streamsafe.setup import Route, Setup
from streamsafe.testing import FakeClock

CALL = Call([{"role": "user", "content": "12345678"}], "m")


class Try:
    """An attempt of which only what it cost matters."""

    def __init__(self, status=200, state=None):
        self.status = status
        self.held = 0.0
        self.decoder = Decoder()
        self.decoder.state = state or {}

    def record(self, outcome, error, **facts):
        return Attempt(1, 0.0, self.status, outcome=outcome, error=error, **facts)


@pytest.fixture
def ledger():
    provider = presets.provider("openai")
    route = Route(provider, Target("http://x.test", "key", {}), None, "m", set())
    setup = Setup(
        CALL, (route,), Timeouts(), RetryPolicy(), "auto", Limits(), FakeClock(), "s",
        random=random.Random(1).random,
    )  # fmt: skip
    return Ledger(setup, Course(setup))


def writes(ledger, text, attempt=None):
    ledger.begins(attempt or Try())
    ledger.answer.add(Chunk("text", text))


def test_an_attempt_without_figures_costs_what_it_wrote_itself(ledger):
    writes(ledger, "four" * 10)
    first = ledger.ended("failed", None)
    writes(ledger, "four")
    assert first.usage == Usage(2, 10, total_tokens=12, estimated=True)
    assert ledger.completion(Outcome.PENDING).usage == Usage(2, 1, total_tokens=3, estimated=True)
    assert ledger.completion(Outcome.PENDING).usage_total.total_tokens == 15
    ledger.ended("complete", None)
    assert ledger.completion(Outcome.COMPLETE).usage_total.total_tokens == 15


def test_a_request_that_was_refused_costs_nothing(ledger):
    ledger.begins(Try(status=429))
    assert ledger.ended("failed", None).usage is None


def test_what_an_earlier_process_paid_is_paid(ledger):
    records = (Attempt(1, 0.0, usage=Usage(1, 2, total_tokens=3)), Attempt(2, 0.0))
    chunks = (Chunk("text", "Once"),)
    ledger.restore(Saved("s", "interrupted", CALL, "openai", {}, chunks, 2, {"a": 1}, records))
    completion = ledger.completion(Outcome.PENDING)
    assert (completion.text, completion.attempts) == ("Once", records)
    assert (completion.usage_total, completion.provider_state) == (records[0].usage, {"a": 1})


def test_the_state_is_that_of_the_attempt_under_way(ledger):
    ledger.restore(Saved("s", "interrupted", CALL, "openai", {}, (), 0, {"a": 1}))
    ledger.begins(Try(state={"b": 2}))
    assert ledger.state == {"b": 2}


def test_an_answer_that_ended_in_a_failure_says_so_until_the_next_attempt(ledger):
    writes(ledger, "Once")
    ledger.attempt.decoder.failed_reason = "abort"
    partial = ledger.completion(Outcome.FAILED)
    assert (partial.finish_reason, partial.raw_finish_reason) == ("error", "abort")
    ledger.begins(Try())
    assert ledger.completion(Outcome.PENDING).finish_reason is None


def test_an_attempt_that_is_refused_takes_no_names_back(ledger):
    answered = Try()
    answered.decoder.id, answered.decoder.model = "x1", "m-2026"
    writes(ledger, "Once", answered)
    ledger.ended("failed", None)
    ledger.begins(Try(status=503))
    ledger.ended("failed", None)
    ledger.begins(Try(status=None))
    partial = ledger.completion(Outcome.FAILED)
    assert (partial.text, partial.id, partial.model) == ("Once", "x1", "m-2026")


def test_a_seam_is_noted_once(ledger):
    seam = Seam(4, "prefill")
    assert [ledger.joins(None), ledger.joins(seam), ledger.joins(seam)] == [False, True, False]
    assert ledger.completion(Outcome.PENDING).seams == (seam,)


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [("stop", Outcome.COMPLETE), ("length", Outcome.TRUNCATED), ("refusal", Outcome.FILTERED)],
)
def test_the_verdict_is_that_of_the_finish(ledger, reason, verdict):
    ledger.answer.add(Chunk("finish", finish_reason=reason))
    assert ledger.verdict() is verdict


def test_a_text_that_is_too_long_is_said_to_be(ledger):
    writes(ledger, "12345")
    ledger.check_length(5)
    with pytest.raises(LimitExceededError, match="max_text_chars"):
        ledger.check_length(4)
