"""Who lets others wait in vain rests: for longer every time, and never for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import ArtifactUnavailable, IntegrityError, StorageError
from processor.storage.rests import FIRST_REST, LONGEST_REST, SLOW, Rests


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(
    rests: Rests[str], clock: Clock, place: str, after: float = SLOW, error: type[Exception] = StorageError
) -> None:
    with pytest.raises(error), rests.watching(place):
        clock.now += after
        raise error("trouble")


@pytest.mark.parametrize("error", [StorageError, ArtifactUnavailable])
def test_who_let_us_wait_in_vain_comes_last_until_it_has_rested(error: type[Exception]) -> None:
    clock = Clock()
    rests = Rests[str](clock)
    fail(rests, clock, "first", error=error)
    assert rests.in_order(["first", "second", "third"]) == ["second", "third", "first"]
    clock.now += FIRST_REST
    assert rests.in_order(["first", "second", "third"]) == ["first", "second", "third"]


def test_what_fails_at_once_or_answers_wrongly_does_not_rest() -> None:
    clock = Clock()
    rests = Rests[str](clock)
    fail(rests, clock, "quick", after=SLOW / 2)
    fail(rests, clock, "wrong", after=10 * SLOW, error=IntegrityError)
    assert not rests.resting("quick")
    assert not rests.resting("wrong")


def test_one_success_makes_good_for_all_failures() -> None:
    clock = Clock()
    rests = Rests[str](clock)
    for _ in range(3):
        fail(rests, clock, "place")
        clock.now += LONGEST_REST
    with rests.watching("place"):
        clock.now += 10 * SLOW
    fail(rests, clock, "place")
    clock.now += FIRST_REST
    assert not rests.resting("place")


@given(st.integers(1, 40))
def test_a_rest_doubles_up_to_the_longest(failures: int) -> None:
    clock = Clock()
    rests = Rests[str](clock)
    for number in range(failures):
        fail(rests, clock, "place")
        expected = min(FIRST_REST * 2**number, LONGEST_REST)
        clock.now += expected - 0.001
        assert rests.resting("place")
        clock.now += 0.002
        assert not rests.resting("place")


def test_calls_that_failed_together_are_one_failure() -> None:
    clock = Clock()
    rests = Rests[str](clock)
    for _ in range(5):
        fail(rests, clock, "place")
    clock.now += FIRST_REST
    assert not rests.resting("place")
