"""Numbers in words, above all where one unit gives way to the next."""

from __future__ import annotations

import pytest

from streamsafe.observe.words import seconds


@pytest.mark.parametrize(
    "value, said",
    [
        (0, "0.0 ms"), (0.0004, "0.4 ms"), (0.00994, "9.9 ms"), (0.00996, "10 ms"),
        (0.073, "73 ms"), (0.9994, "999 ms"), (0.9996, "1.00 s"), (1.24, "1.24 s"),
        (9.994, "9.99 s"), (9.996, "10.0 s"), (119.94, "119.9 s"), (119.96, "2 min 0 s"),
        (200, "3 min 20 s"), (239.7, "4 min 0 s"), (7199, "119 min 59 s"), (7199.9, "2 h 0 min"),
        (86400, "24 h 0 min"), (86399, "24 h 0 min"), (5_400_000, "1,500 h 0 min"),
    ],
)  # fmt: skip
def test_a_time_as_people_say_it(value, said):
    assert seconds(value) == said
