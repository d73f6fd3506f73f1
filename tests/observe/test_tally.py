from __future__ import annotations

import pytest

from streamsafe.lifecycle import Started
from streamsafe.models import Chunk, ToolCallFragment, Usage
from streamsafe.observe.tallies import Tallies
from streamsafe.observe.tally import Tally


class Keeper:
    """The smallest observer: tallies, and what the last one that ended came to."""

    def __init__(self, clock, **named):
        self.tallies = Tallies(clock, **named)
        self.last = None

    def observe(self, record):
        tally = self.tallies.fold(record)
        self.last = tally or self.last


@pytest.fixture
def keeper(clock):
    return Keeper(clock)


def view(keeper, clock):
    return keeper.last.view(clock.now())


def test_it_counts_what_a_read_brought(keeper, life, clock):
    life(keeper).begin().read("a", "b", size=50).read(beats=2, size=7).read("c", size=3)
    seen = view(keeper, clock)
    assert [seen[name] for name in ("bytes", "events", "chunks", "heartbeats")] == [60, 3, 3, 2]


def test_the_first_content_is_not_a_gap_but_the_time_to_it(keeper, life, clock):
    life(keeper).begin().read(after=1.0).read("a", after=0.5)
    seen = view(keeper, clock)
    assert seen["ttft"] == 1.5
    assert seen["gaps"]["count"] == 0


def test_a_gap_spans_the_reads_without_content_and_leaves_out_what_the_program_held(
    keeper, life, clock
):
    life(keeper).begin().read("a").read(after=0.3, held=5.0, beats=1).read("b", after=0.2)
    gaps = view(keeper, clock)["gaps"]
    assert (gaps["count"], gaps["mean"]) == (1, 0.5)


def test_a_retry_is_no_gap_of_the_server(keeper, life, clock):
    stream = life(keeper).begin().read("a").retry()
    clock.advance(30)
    stream.attempt().opened().read("b", after=2.0).read("c", after=0.25)
    gaps = view(keeper, clock)["gaps"]
    assert (gaps["count"], gaps["mean"]) == (1, 0.25)


def test_roles_usage_and_unknown_events_are_no_content(keeper, life, clock):
    usage = Usage(3, 5, total_tokens=8)
    life(keeper).begin().chunks(
        [Chunk("other"), Chunk("usage", usage=usage), Chunk("finish", finish_reason="stop")],
        after=1.0,
    )
    seen = view(keeper, clock)
    assert (seen["chunks"], seen["ttft"]) == (3, None)
    assert (seen["tokens"]["total"], seen["tokens"]["estimated"]) == (8, False)


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk("text", "12345678"),
        Chunk("reasoning", reasoning="12345678"),
        Chunk("refusal", refusal="12345678"),
        Chunk("tool_call", tool_call=ToolCallFragment(0, "id", "1234", "5678")),
    ],
)
def test_tokens_that_no_server_counted_are_estimated_from_the_length_and_flagged(
    chunk, keeper, life, clock
):
    life(keeper).begin().chunks([chunk])
    tokens = view(keeper, clock)["tokens"]
    assert (tokens["output"], tokens["estimated"]) == (2, True)


@pytest.mark.parametrize("said", [Usage(10, 1), Usage(10, 1, total_tokens=11)])
def test_what_comes_after_a_count_is_estimated_until_there_is_another(said, keeper, life, clock):
    stream = life(keeper).begin()
    stream.chunks([Chunk("text", "1234"), Chunk("usage", usage=said), Chunk("text", "12345678")])
    tokens = view(keeper, clock)["tokens"]
    assert (tokens["output"], tokens["total"], tokens["estimated"]) == (3, 13, True)
    stream.chunks([Chunk("usage", usage=Usage(10, 4, total_tokens=14))])
    tokens = view(keeper, clock)["tokens"]
    assert (tokens["output"], tokens["total"], tokens["estimated"]) == (4, 14, False)


def test_usage_of_failed_attempts_is_added_to_that_of_the_last(keeper, life, clock):
    stream = life(keeper).begin().read("12345678").retry()
    stream.attempt().opened().chunks([Chunk("usage", usage=Usage(10, 20, total_tokens=30))])
    tokens = view(keeper, clock)["tokens"]
    assert (tokens["input"], tokens["output"], tokens["estimated"]) == (10, 22, True)


def test_the_completions_own_usage_is_the_last_word(keeper, life, clock):
    stream = life(keeper).begin().read("a guess").complete(usage=Usage(10, 20, total_tokens=30))
    tokens = view(keeper, clock)["tokens"]
    assert (tokens["total"], tokens["estimated"]) == (30, False)
    assert stream.stream_id not in keeper.tallies.running


def test_a_refused_attempt_costs_no_tokens(keeper, life, clock):
    life(keeper).begin().fail()
    assert view(keeper, clock)["tokens"]["total"] == 0
    assert view(keeper, clock)["tokens"]["estimated"] is False


def test_tokens_per_second_leave_out_the_wait_for_the_first_and_what_the_program_held(
    keeper, life, clock
):
    stream = life(keeper).begin().read("a", after=9.0)
    stream.read("b", after=1.0, held=8.0).read("c", after=1.0)
    stream.complete(usage=Usage(1, 40, total_tokens=41))
    assert view(keeper, clock)["tokens_per_second"] == 20.0


def test_times_are_seconds_since_the_epoch_and_durations_of_the_streams_clock(keeper, life, clock):
    began = clock.wall()
    life(keeper).begin().read("a", after=2.0).complete()
    seen = view(keeper, clock)
    assert (seen["started"], seen["ended"], seen["duration"]) == (began, began + 2.0, 2.0)


def test_seams_are_shown_without_the_words_of_the_answer(keeper, life, clock):
    life(keeper).begin().read("abc").retry().attempt().opened().seam()
    assert view(keeper, clock)["seams"] == [
        {"at": 3, "how": "prefill", "confidence": 0.9, "attempt": 2}
    ]


def test_errors_are_kept_with_their_time_and_bounded(keeper, life, clock):
    stream = life(keeper).begin()
    for _ in range(50):
        clock.advance(1.0)
        stream.retry().attempt()
    seen = view(keeper, clock)
    assert (seen["error_count"], len(seen["errors"]), seen["retries"]) == (50, 20, 50)
    last = seen["errors"][-1]
    assert (last["type"], last["at"], last["attempt"]) == (
        "ConnectionDroppedError", clock.wall(), 50,
    )  # fmt: skip
    assert last["will_retry"] is True


def test_what_is_handed_on_adds_up_to_the_whole(life, clock):
    tally = Tally(Started("s", clock.now(), clock.wall(), "openai", None))
    taken = tally.take()
    for at in range(3):
        tally.read(_read(at))
        taken.add(tally.take())
    assert (taken["bytes"], taken["chunks"]) == (6, 3)
    assert (taken.sketches["gap"].count, taken.sketches["ttft"].count) == (2, 1)
    assert tally.gaps().count == 2


def _read(at):
    from streamsafe.lifecycle import Chunks

    return Chunks("s", 1000.0 + at, b"xx", 1, 0, [Chunk("text", "a")], 0.5, 0.0)


def test_a_stream_whose_start_was_not_seen_is_not_counted(keeper, life):
    life(keeper).attempt().opened().read("a").complete()
    assert keeper.last is None


def test_a_stream_that_is_silent_too_long_is_let_go_and_taken_up_when_it_speaks(life, clock):
    keeper = Keeper(clock, forget_after=100)
    quiet = life(keeper).begin().read("a")
    clock.advance(101)
    life(keeper).begin()
    assert quiet.stream_id not in keeper.tallies.running
    quiet.read("b")
    assert keeper.tallies.running[quiet.stream_id].chunks == 2


def test_the_memory_for_lost_streams_is_bounded(life, clock, monkeypatch):
    monkeypatch.setattr(Tallies, "MAX_LOST", 3)
    keeper = Keeper(clock, forget_after=1)
    for _ in range(10):
        life(keeper).begin()
        clock.advance(2)
    assert len(keeper.tallies.lost) <= 3


def test_a_model_s_odd_name_is_made_fit_for_labels_and_stores(keeper, life, clock):
    life(keeper, model="a\x1fb\ud800c" + "d" * 1000).begin()
    name = view(keeper, clock)["model"]
    assert name.startswith("a b cddd") and len(name) == 200
