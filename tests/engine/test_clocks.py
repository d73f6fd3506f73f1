"""Which clock has run out: arithmetic over stamps, no thread and no waiting."""

import pytest

from streamsafe.engine.clocks import Clocks
from streamsafe.engine.timing import FINISH_GRACE, Timeouts

LIMITS = Timeouts(connect=1, first_token=10, inactivity=3, stall=6, warn_after=2)


def clocks(timeouts=LIMITS, total_at=None, total_limit=0.0):
    return Clocks(timeouts, 0.0, total_at, total_limit)


def streaming(at=0.0):
    """Clocks of an attempt that got its first content at ``at`` and holds nothing."""
    made = clocks()
    made.enter("first", at)
    made.got(0.0, True)
    assert made.phase == "streaming"
    return made


def test_connect_ticks_while_connecting_only():
    made = clocks()
    assert made.check(5.0)[0] is None
    made.enter("connecting", 5.0)
    assert made.check(5.9)[0] is None
    ring, _ = made.check(6.0)
    assert ring == ("connect", 1, 1.0)


def test_the_first_token_clock_runs_from_sending_over_all_reads_without_content():
    made = clocks()
    made.enter("connecting", 0.0)
    made.enter("first", 1.0)
    made.got(4.0, False)
    made.wait(5.0)
    made.got(4.0, False)
    made.wait(9.0)
    assert made.check(10.9)[0] is None
    assert made.check(11.0)[0] == ("first_token", 10, 10.0)


def test_inactivity_is_the_current_silence_alone():
    made = streaming()
    for at in (0.0, 2.9, 5.8):
        made.wait(at)
        assert made.check(at + 2.8)[0] is None
        made.got(2.9, True)
    made.wait(10.0)
    assert made.check(13.0)[0] == ("inactivity", 3, 3.0)


def test_bytes_without_content_run_into_the_stall_clock():
    made = streaming()
    for at in (0.0, 2.0):
        made.wait(at)
        made.got(2.0, False)
    made.wait(4.0)
    assert made.check(5.9)[0] is None
    assert made.check(6.0)[0] == ("stall", 6, 6.0)


def test_content_sets_the_stall_clock_back():
    made = streaming()
    made.wait(0.0)
    made.got(2.5, False)
    made.wait(2.5)
    made.got(2.5, True)
    made.wait(5.0)
    assert made.check(7.9)[0] is None


@pytest.mark.parametrize("phase", ["first", "streaming"])
def test_nothing_ticks_while_the_program_holds_a_chunk(phase):
    made = streaming() if phase == "streaming" else clocks()
    if phase == "first":
        made.enter("first", 0.0)
        made.got(0.0, False)
    ring, again = made.check(10_000.0)
    assert ring is None
    # A wait may begin, or a phase with a shorter limit: looks are never further apart.
    assert again == 10_000.0 + 1


def test_the_total_ticks_always_and_goes_first():
    made = clocks(total_at=20.0, total_limit=20.0)
    made.enter("first", 0.0)
    made.got(0.0, True)
    assert made.check(19.9)[0] is None
    assert made.check(20.5)[0] == ("total", 20.0, 20.5)


def test_after_the_finish_a_silent_server_has_a_short_grace():
    made = streaming()
    made.enter("finishing", 1.0)
    made.wait(1.0)
    assert made.check(2.9)[0] is None
    assert made.check(3.0)[0][0] == "inactivity"


def test_heartbeats_after_the_finish_do_not_extend_the_grace():
    made = streaming()
    made.enter("finishing", 0.0)
    made.wait(0.0)
    made.got(1.5, False)
    made.wait(1.5)
    assert made.check(2.0)[0] is not None


def test_no_limit_never_rings():
    made = Clocks(Timeouts(None, None, None, None, None, None), 0.0, None)
    for phase in ("connecting", "first", "streaming"):
        made.enter(phase, 0.0)
        assert made.check(1e9) == (None, 1e9 + FINISH_GRACE)
    assert made.warn_at(1e9) is None


def test_the_warning_comes_after_its_silence_and_before_the_cut():
    made = streaming()
    made.wait(1.0)
    assert made.warn_at(1.5) == 3.0
    assert made.silence(1.5) == 0.5
    assert made.warn_at(4.0) == 3.0


def test_a_look_is_asked_for_when_the_soonest_clock_could_run_out():
    made = streaming()
    made.wait(1.0)
    assert made.check(2.0) == (None, 3.0)
    assert made.check(3.5) == (None, 4.0)
