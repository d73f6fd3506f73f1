"""How a question is put to each route, and what nobody is to see of them."""

from __future__ import annotations

import pytest

from streamsafe.engine.retry import RetryPolicy
from streamsafe.engine.timing import Timeouts
from streamsafe.limits import Limits
from streamsafe.models import Call
from streamsafe.providers.base import Target
from streamsafe.setup import Route, Setup, present
from streamsafe.testing import FakeClock


def route(name, defaults=None):
    return Route(None, Target("http://x.test", f"key-{name}", {}), None, name, set(), defaults)


def setup(call, *routes, given):
    return Setup(
        call, routes, Timeouts(), RetryPolicy(), "auto", Limits(), FakeClock(), "s", given=given
    )


def test_a_route_with_defaults_is_asked_with_those_in_place_of_the_others():
    call = Call([{"role": "user", "content": "Hi"}], "one", {"top_p": 0.1, "temperature": 0})
    one, two = route("one"), route("two", {"seed": 1, "temperature": 2, "stop": "x"})
    made = setup(call, one, two, given={"temperature": 0, "stop": None})
    assert made.asked(one).parameters == {"top_p": 0.1, "temperature": 0}
    assert made.asked(two).parameters == {"seed": 1, "temperature": 0}
    assert [made.asked(each).model for each in (one, two)] == ["one", "two"]


def test_a_body_is_passed_on_without_defaults():
    call = Call((), "one", {}, {"input": "Hi"})
    two = route("two", {"seed": 1})
    assert setup(call, two, given={}).asked(two).parameters == {}


def test_the_keys_of_all_routes_are_secret():
    made = setup(Call(), route("one"), route("two"), given={})
    assert made.secrets == ["key-one", "key-two"]


@pytest.mark.parametrize(
    ("parameters", "there"), [({"seed": None}, []), ({"stream_options": None}, ["stream_options"])]
)
def test_none_is_left_out_but_for_what_is_sent_unasked(parameters, there):
    assert list(present(parameters)) == there
