"""Errors carry what the caller needs, survive pickling, and never show a key."""

import copy
import pickle

import pytest

from streamsafe import errors
from streamsafe.errors import (
    APIError,
    ConfigurationError,
    LimitExceededError,
    RateLimitError,
    StreamCancelledError,
    StreamingError,
    StreamTimeoutError,
)
from streamsafe.models import Attempt, Completion

TREE = [kind for kind in vars(errors).values() if isinstance(kind, type)]
ALL = [kind for kind in TREE if issubclass(kind, StreamingError)]


def test_the_tree_of_the_docstring_is_the_tree_of_the_classes():
    for kind in ALL:
        assert kind.__name__ in errors.__doc__


def test_errors_are_also_what_python_programs_catch():
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(StreamTimeoutError, TimeoutError)


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("slow", status=429, code="x", retry_after=3.0, headers={"a": "b"}),
        StreamTimeoutError("stall", 1, 1.2),
        LimitExceededError("max_text_chars", 5, 4),
        StreamCancelledError("why"),
        ConfigurationError("what"),
    ],
)
def test_errors_can_be_pickled_with_all_that_is_on_them(error):
    error.partial = Completion(text="so far")
    error.attempts = (Attempt(1, 0.0, status=429, error=RateLimitError("inner")),)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    assert again.partial.text == "so far" and again.attempts[0].status == 429
    assert vars(again).keys() == vars(error).keys()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_an_error_whose_attempts_hold_it_again_can_be_pickled_and_copied(again):
    error = RateLimitError("slow", status=429)
    error.attempts = (Attempt(1, 0.0, status=429, error=error),)
    error.partial = Completion(text="so far", attempts=error.attempts)
    same = again(error)
    assert (same.status, same.partial.text, len(same.attempts)) == (429, "so far", 1)
    assert again(error.partial).attempts[0].error.status == 429


def test_the_hint_stands_behind_the_message():
    error = StreamingError("what was wrong", hint="what to do")
    assert error.message == "what was wrong"
    assert str(error) == "what was wrong [what to do]"


def test_secrets_are_masked_wherever_they_stand():
    body = {"a": ["sk-1", {"b": "x sk-1 y"}], "n": 3}
    error = APIError("key sk-1", body=body, headers={"h": "sk-1"}, code="sk-1")
    error.mask(("sk-1", ""))
    assert "sk-1" not in f"{error} {vars(error)}"
    assert error.body == {"a": ["***", {"b": "x *** y"}], "n": 3}


def test_a_placeholder_for_a_key_is_masked_where_it_stands_alone():
    error = APIError("the key k is unknown: check it", headers={"x-echo": "Bearer k"})
    error.mask(("k",))
    assert error.message == "the key *** is unknown: check it"
    assert error.headers == {"x-echo": "Bearer ***"}


def test_the_total_is_not_tried_again_and_other_clocks_are():
    assert not StreamTimeoutError("total", 1, 1).retryable
    assert StreamTimeoutError("inactivity", 1, 1).retryable
    assert "inactivity" in str(StreamTimeoutError("inactivity", 0.5, 0.51))


def test_a_limit_names_itself_the_value_and_the_setting():
    error = LimitExceededError("max_event_bytes", 2000, 1000, "an event")
    assert str(error).startswith("an event is over Limits.max_event_bytes: 2,000 met, 1,000")
    assert (error.limit, error.value, error.setting) == ("max_event_bytes", 2000, 1000)
