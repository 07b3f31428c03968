"""Whoever lets others wait for nothing is left alone: for longer every time, and never for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import ArtifactUnavailable, IntegrityError, StorageError
from processor.storage.cooldown import FIRST_COOLDOWN, LONGEST_COOLDOWN, SLOW, Cooldowns


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(
    cooldowns: Cooldowns[str], clock: Clock, place: str, after: float = SLOW, error: type[Exception] = StorageError
) -> None:
    with pytest.raises(error), cooldowns.watching(place):
        clock.now += after
        raise error("trouble")


@pytest.mark.parametrize("error", [StorageError, ArtifactUnavailable])
def test_who_let_us_wait_for_nothing_comes_last_until_its_cooldown_is_over(error: type[Exception]) -> None:
    clock = Clock()
    cooldowns = Cooldowns[str](clock)
    fail(cooldowns, clock, "first", error=error)
    assert cooldowns.in_order(["first", "second", "third"]) == ["second", "third", "first"]
    clock.now += FIRST_COOLDOWN
    assert cooldowns.in_order(["first", "second", "third"]) == ["first", "second", "third"]


def test_what_fails_at_once_or_answers_wrongly_has_no_cooldown() -> None:
    clock = Clock()
    cooldowns = Cooldowns[str](clock)
    fail(cooldowns, clock, "quick", after=SLOW / 2)
    fail(cooldowns, clock, "wrong", after=10 * SLOW, error=IntegrityError)
    assert not cooldowns.cooling("quick")
    assert not cooldowns.cooling("wrong")


def test_one_success_makes_good_for_all_failures() -> None:
    clock = Clock()
    cooldowns = Cooldowns[str](clock)
    for _ in range(3):
        fail(cooldowns, clock, "place")
        clock.now += LONGEST_COOLDOWN
    with cooldowns.watching("place"):
        clock.now += 10 * SLOW
    fail(cooldowns, clock, "place")
    clock.now += FIRST_COOLDOWN
    assert not cooldowns.cooling("place")


@given(st.integers(1, 40))
def test_a_cooldown_doubles_up_to_the_longest(failures: int) -> None:
    clock = Clock()
    cooldowns = Cooldowns[str](clock)
    for number in range(failures):
        fail(cooldowns, clock, "place")
        expected = min(FIRST_COOLDOWN * 2**number, LONGEST_COOLDOWN)
        clock.now += expected - 0.001
        assert cooldowns.cooling("place")
        clock.now += 0.002
        assert not cooldowns.cooling("place")


def test_calls_that_failed_together_are_one_failure() -> None:
    clock = Clock()
    cooldowns = Cooldowns[str](clock)
    for _ in range(5):
        fail(cooldowns, clock, "place")
    clock.now += FIRST_COOLDOWN
    assert not cooldowns.cooling("place")
