"""The clock counts while the work runs, whatever is done in between, and goes on where another left off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.learning.clock import Clock

MS = 1_000_000


class Time:
    """Passes when it is told to; in nanoseconds."""

    def __init__(self) -> None:
        self.now = 12345

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def test_nothing_counts_before_the_start_and_after_the_end(time: Time) -> None:
    clock = Clock(now=time)
    time.now += 50 * MS
    clock.start()
    time.now += 7 * MS
    clock.stop()
    time.now += 50 * MS
    assert clock.ms == 7


def test_it_goes_on_from_what_was_counted_before(time: Time) -> None:
    clock = Clock(1_000, time)
    assert clock.ms == 1_000
    clock.start()
    time.now += 7 * MS
    assert clock.ms == 1_007


def test_to_start_what_runs_and_to_stop_what_stands_changes_nothing(time: Time) -> None:
    clock = Clock(now=time)
    clock.stop()
    for _ in range(2):
        clock.start()
        time.now += 5 * MS
    assert clock.ms == 10


def test_it_stands_during_a_pause_and_runs_on_after_it_whatever_is_raised(time: Time) -> None:
    clock = Clock(now=time)
    clock.start()
    with pytest.raises(OSError), clock.paused():
        time.now += 50 * MS
        assert clock.ms == 0
        raise OSError
    time.now += 3 * MS
    assert clock.ms == 3


def test_a_pause_of_a_clock_that_stands_does_not_start_it(time: Time) -> None:
    clock = Clock(now=time)
    with clock.paused(), clock.paused():
        time.now += MS
    time.now += MS
    assert clock.ms == 0


@given(st.lists(st.tuples(st.integers(0, 10 * MS), st.booleans())), st.integers(0, 10_000))
def test_the_parts_of_a_millisecond_between_pauses_are_neither_lost_nor_counted_twice(
    passes: list[tuple[int, bool]], before: int
) -> None:
    time, counted = Time(), 0
    clock = Clock(before, time)
    clock.start()
    for nanoseconds, paused in passes:
        if paused:
            with clock.paused():
                time.now += nanoseconds
        else:
            time.now += nanoseconds
            counted += nanoseconds
        assert clock.ms == before + counted // MS
