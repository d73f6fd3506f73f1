"""Arguments: what programs hand over, as JSON values."""

from __future__ import annotations

from typing import Any

import pytest

from streamsafe import ConfigurationError
from streamsafe.compat.arguments import NOT_GIVEN, body_of, omit
from streamsafe.compat.record import Record


def test_what_was_not_given_is_not_sent_and_none_is() -> None:
    class NotGiven:
        """The real SDK's own."""

    asked = {"a": NOT_GIVEN, "b": omit, "c": None, "d": NotGiven(), "e": {"f": omit, "g": 1}}
    assert body_of(asked) == {"c": None, "e": {"g": 1}}


def test_answers_iterators_and_models_of_others_can_be_sent() -> None:
    class Model:
        def model_dump(self, **options: Any) -> Any:
            assert options == {"mode": "json", "exclude_unset": True, "by_alias": True}
            return {"role": "user"}

    messages = (message for message in [Record({"role": "assistant"}), Model(), {"role": "user"}])
    roles = [message["role"] for message in body_of({"messages": messages})["messages"]]
    assert roles == ["assistant", "user", "user"]


@pytest.mark.parametrize("value", [Record, object(), b"bytes"])
def test_what_is_no_json_is_named(value: object) -> None:
    with pytest.raises(ConfigurationError, match="response_format: .* is no JSON value"):
        body_of({"response_format": value})
