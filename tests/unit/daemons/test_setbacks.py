"""What keeps a client from a round stands for a while, or for good, and is told once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.daemons.loop import LONGEST_PAUSE
from processor.daemons.setbacks import LAST_TRY_AFTER, MOST_DEATHS, Setbacks
from processor.errors import OutOfMemory, StorageError, WorkerDied

ONE, OTHER = bytes(32), bytes(range(32))


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def setbacks(pause: float = 2.0) -> tuple[Setbacks, Ticks]:
    ticks = Ticks()
    return Setbacks(pause, ticks, chance=lambda: 1.0), ticks


def test_what_passes_is_tried_again_after_longer_and_longer_pauses() -> None:
    known, ticks = setbacks()
    for pause in (2, 4, 8, 16, 32, 60, 60):
        assert known.refusal(ONE) is None
        assert known.for_now(ONE, StorageError("nobody served it")) == "not now: nobody served it"
        ticks.now += pause - 0.5
        assert known.refusal(ONE) == "not now: nobody served it"
        ticks.now += 0.5


def test_what_does_not_pass_stands_for_good() -> None:
    known, ticks = setbacks()
    assert known.for_good(ONE, "training diverged") == "training diverged"
    ticks.now = 1e12
    known.tell()
    assert known.refusal(ONE) == "training diverged"


def test_only_what_passes_is_passing_and_only_while_it_stands() -> None:
    known, ticks = setbacks()
    assert not known.passing(ONE)
    known.for_now(ONE, StorageError("nobody served it"))
    known.for_good(OTHER, "training diverged")
    assert known.passing(ONE) and not known.passing(OTHER)
    ticks.now += 2
    assert not known.passing(ONE)


def test_a_round_knows_nothing_of_the_setbacks_of_another() -> None:
    known, _ = setbacks()
    known.for_now(ONE, StorageError("a"))
    known.for_good(OTHER, "b")
    assert (known.refusal(ONE), known.refusal(OTHER)) == ("not now: a", "b")
    assert known.refusal(b"third") is None


def test_what_passes_is_told_once_for_each_time_that_it_happened() -> None:
    known, _ = setbacks()
    known.tell()
    for error in (StorageError("a"), OutOfMemory("b")):
        known.for_now(ONE, error)
        with pytest.raises(type(error)):
            known.tell()
        known.tell()


def died(checkpoint: int) -> WorkerDied:
    return WorkerDied("the worker was killed by SIGKILL", checkpoint)


def test_a_round_in_which_the_worker_dies_three_times_without_getting_on_is_given_up() -> None:
    known, ticks = setbacks()
    for _ in range(2):
        known.died(OTHER, died(0))
        assert known.died(ONE, died(0)) == "not now: the worker was killed by SIGKILL"
        with pytest.raises(WorkerDied):
            known.tell()
        ticks.now += LONGEST_PAUSE
        assert known.refusal(ONE) is None
    given_up = "the worker was killed by SIGKILL, 3 times without getting on in between"
    assert known.died(ONE, died(0)) == given_up
    ticks.now = 1e12
    assert (known.refusal(ONE), known.refusal(OTHER)) == (given_up, None)


def test_what_the_system_refuses_a_worker_never_gives_a_round_up() -> None:
    known, ticks = setbacks()
    full = WorkerDied("the worker found no room on the disk", refused=True)
    for _ in range(2 * MOST_DEATHS):
        assert known.died(ONE, full) == "not now: the worker found no room on the disk"
        with pytest.raises(WorkerDied):
            known.tell()
        ticks.now += LONGEST_PAUSE
        assert known.refusal(ONE) is None


def test_the_last_try_waits_long_enough_for_other_programs_to_let_go_of_memory() -> None:
    known, ticks = setbacks(pause=0.1)
    known.died(ONE, died(0))
    ticks.now += 0.1
    assert known.refusal(ONE) is None
    known.died(ONE, died(0))
    ticks.now += LAST_TRY_AFTER - 0.1
    assert known.refusal(ONE) is not None
    ticks.now += 0.1
    assert known.refusal(ONE) is None


def test_what_is_nobodys_trouble_stands_for_a_while_and_is_not_told() -> None:
    known, _ = setbacks()
    known.for_now(ONE, StorageError("a"), told=False)
    known.tell()
    assert known.refusal(ONE) == "not now: a"


@given(st.lists(st.integers(0, 5), max_size=20))
def test_a_round_is_given_up_only_after_so_many_deaths_in_a_row_without_a_newer_checkpoint(steps: list[int]) -> None:
    known, ticks = setbacks()
    newest, without = 0, 0
    for step in steps:
        without = 1 if step > newest else without + 1
        newest = max(newest, step)
        known.died(ONE, died(step))
        ticks.now += LONGEST_PAUSE
        assert (known.refusal(ONE) is not None) == (without >= MOST_DEATHS)
        if without >= MOST_DEATHS:
            return


@given(st.floats(0.01, 3600), st.integers(1, 50), st.floats(0, 1))
def test_no_pause_is_longer_than_that_of_the_loop(pause: float, failures: int, chance: float) -> None:
    ticks = Ticks()
    known = Setbacks(pause, ticks, chance=lambda: chance)
    for _ in range(failures):
        known.for_now(ONE, StorageError(""))
    ticks.now = LONGEST_PAUSE
    assert known.refusal(ONE) is None
