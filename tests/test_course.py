"""What is asked for next, and of whom: decided without a socket."""

from __future__ import annotations

import random

import pytest

from streamsafe.course import POLL_CAP, Course, Received
from streamsafe.engine.accumulator import Accumulator
from streamsafe.engine.retry import RetryPolicy
from streamsafe.engine.timing import Deadline, Timeouts
from streamsafe.errors import (
    BadRequestError,
    ConfigurationError,
    ConnectionDroppedError,
    IncompleteStreamError,
    LimitExceededError,
    ServerError,
    StreamTimeoutError,
)
from streamsafe.limits import Limits
from streamsafe.models import Call, Chunk
from streamsafe.providers.base import Profile, Target
from streamsafe.setup import Route, Setup
from streamsafe.testing import FakeClock

CALL = Call([{"role": "user", "content": "Hi"}], "m")


class Fake:
    """A provider of which only the profile and ``continued`` matter."""

    def __init__(self, name="fake", cannot=(), **profile):
        self.name = name
        self._profile = Profile(**profile)
        self._cannot = cannot

    def profile(self, model):
        return self._profile

    def continued(self, call, partial, how):
        if how in self._cannot:
            raise ConfigurationError(f"no {how} here")
        return call.replace(extra={"how": how})


def course(*providers, resume="auto", **retry):
    routes = tuple(
        Route(provider, Target("http://x.test", f"key-{provider.name}", {}), None, "m", set())
        for provider in providers or (Fake(),)
    )
    clock = FakeClock()
    setup = Setup(
        CALL, routes, Timeouts(), RetryPolicy(**retry), resume, Limits(), clock, "s",
        random=random.Random(1).random,
    )  # fmt: skip
    made = Course(setup)
    made.begins()
    return made


def received(text=""):
    gathered = Accumulator()
    if text:
        gathered.add(Chunk("text", text))
    return Received(gathered.completion(), bool(text), len(text))


def after(made, error, text="", left=None):
    """The decision, taken."""
    deadline = Deadline(left, FakeClock())
    decision = made.after(error, received(text), deadline)
    if decision.retry:
        made.go_on()
        made.begins()
    return decision


def test_nothing_delivered_is_asked_for_again_as_it_was():
    made = course()
    assert after(made, ConnectionDroppedError("cut")).retry
    assert (made.plan.call, made.plan.how, made.made) == (CALL, "", 2)


def test_failures_in_a_row_come_to_an_end_and_progress_begins_the_count_anew():
    made = course(max_retries=1)
    assert after(made, ConnectionDroppedError("cut")).retry
    made.progress()
    assert after(made, ConnectionDroppedError("cut")).retry
    assert not after(made, ConnectionDroppedError("cut")).retry


def test_the_attempts_of_an_earlier_process_are_not_the_policys():
    made = course(max_attempts=3)
    again = Course(made._setup, made=7)
    again.begins()
    assert again.made == 8
    assert [after(again, ServerError("500", status=500)).retry for _ in range(3)] == [
        True, True, False,
    ]  # fmt: skip


def test_a_plan_is_taken_only_by_going_on():
    made = course(Fake(prefill="yes"))
    made.after(ConnectionDroppedError("cut"), received("Owls"), Deadline(None, FakeClock()))
    assert made.plan.how == ""
    made.go_on()
    assert made.plan.how == "prefill"


def test_a_rung_that_is_refused_costs_no_failure_and_is_remembered_by_the_route():
    made = course(Fake(prefill="yes"), max_retries=1)
    assert after(made, ConnectionDroppedError("cut"), "Owls").retry
    assert after(made, BadRequestError("no prefill", status=400), "Owls").retry
    assert made.plan.how == "user_message"
    assert made.route.barred == {("m", "prefill")}


def test_what_the_server_has_let_go_is_forgotten_with_the_answer():
    made = course(Fake(cursor="seq"))
    gone = BadRequestError("gone", status=404)
    assert after(made, ConnectionDroppedError("cut"), "Owls").retry
    assert made.plan.how == "cursor"
    assert after(made, gone, "Owls").retry
    assert made.plan.how == "poll"
    assert made.route.barred == set()
    assert not after(made, gone, "Owls").retry  # auto knows no other way on for this model


def test_an_answer_that_is_not_done_is_asked_for_later_and_later():
    made = course(Fake(cursor="seq", cannot=["cursor"]), max_attempts=1, max_retries=0)
    made.plan = made.plan._replace(how="poll")
    error = IncompleteStreamError("in progress")
    waits = [after(made, error, "Owls").delay for _ in range(6)]
    assert waits == [1, 2, 4, 8, POLL_CAP, POLL_CAP]
    assert not after(made, error, "Owls", left=10.0).retry  # the total would be over before


def test_an_answer_that_is_not_done_is_asked_for_no_longer_than_an_hour():
    made = course(Fake(cursor="seq", cannot=["cursor"]), max_attempts=2, max_retries=0)
    made.plan = made.plan._replace(how="poll")
    waited = 0.0
    while True:
        made.begins()
        decision = after(made, IncompleteStreamError("in progress"), "Owls")
        if not decision.retry:
            break
        waited += decision.delay
    assert 3600 - POLL_CAP < waited <= 3600


def test_a_failure_that_the_server_keeps_is_not_taken_up_again():
    made = course(Fake(cursor="seq"))
    error = ServerError("no GPU", in_stream=True)
    assert after(made, error).retry
    assert made.plan.how == ""


def test_the_next_route_takes_over_where_there_is_no_way_on():
    made = course(Fake("one"), Fake("two"), Fake("three"))
    decision = after(made, BadRequestError("no", status=400))
    assert (decision.retry, decision.reason, made.route.provider.name) == (
        True, "fallback: two", "two",
    )  # fmt: skip


def test_in_mid_answer_a_route_that_cannot_go_on_is_passed_over():
    unable = Fake("two", cannot=["prefill", "user_message"], prefill="yes")
    made = course(Fake("one"), unable, Fake("three", prefill="yes"), resume="continue")
    after(made, BadRequestError("no", status=400), "Owls")
    assert (made.route.provider.name, made.plan.how) == ("three", "prefill")


@pytest.mark.parametrize(
    "error",
    [
        LimitExceededError("max_text_chars", 2, 1),
        ConfigurationError("no"),
        StreamTimeoutError("total", 1.0, 1.0),
    ],
)
def test_what_no_other_server_mends_is_asked_of_none(error):
    assert not after(course(Fake("one"), Fake("two")), error).retry


def test_without_continue_no_other_model_is_asked_in_mid_answer():
    assert not after(course(Fake("one"), Fake("two")), ConnectionDroppedError("cut"), "Owls").retry


def test_a_part_of_which_nothing_came_is_asked_for_as_it_was():
    made = course()
    made.follow({"token": "t"}, chars=4)
    made.begins()
    assert made.plan.call.extra == {"token": "t"}
    assert after(made, ConnectionDroppedError("cut"), "Owls").retry
    assert made.plan.call.extra == {"token": "t"}


def test_parts_without_an_end_meet_their_bound():
    made = course(max_attempts=1)
    with pytest.raises(LimitExceededError, match="RetryPolicy.max_attempts"):
        made.follow({"token": "t"}, chars=4)
