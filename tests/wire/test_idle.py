"""Idle connections: the last used first, and none over the limit."""

from __future__ import annotations

import queue

import pytest

from streamsafe.wire.idle import IdleStack


class _Idle:
    closed = False

    def close(self) -> None:
        self.closed = True


def test_the_connection_used_last_is_taken_first_and_none_is_kept_over_the_limit() -> None:
    stack = IdleStack(2)
    stack.put(None)
    first, second, third = _Idle(), _Idle(), _Idle()
    for one in (first, second, third):
        stack.put(one)
    assert third.closed and stack.qsize() == 2
    assert [stack.get(), stack.get()] == [second, first]
    with pytest.raises(queue.Empty):
        stack.get()
