"""The SDKs' timeouts, as clocks."""

from __future__ import annotations

from typing import Any

import pytest

from streamsafe import ConfigurationError, Timeouts
from streamsafe.compat.arguments import NOT_GIVEN
from streamsafe.compat.timeout import Timeout, timeouts_of


@pytest.mark.parametrize(
    "timeout, clocks",
    [
        (NOT_GIVEN, None),
        (Timeouts(total=5), Timeouts(total=5)),
        (20, Timeouts(connect=20, first_token=20, inactivity=20, stall=120)),
        (600.0, Timeouts(connect=600, first_token=600, inactivity=600, stall=600)),
        (Timeout(30.0, connect=5.0), Timeouts(connect=5, first_token=30, inactivity=30, stall=120)),
        (None, Timeouts(connect=None, first_token=None, inactivity=None, stall=None)),
    ],
)
def test_silence_is_bounded_as_the_sdk_bounds_it(timeout: Any, clocks: Any) -> None:
    assert timeouts_of(timeout) == clocks


def test_what_is_no_timeout_is_named() -> None:
    with pytest.raises(ConfigurationError, match="expected seconds > 0"):
        timeouts_of("soon")
