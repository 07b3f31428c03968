"""Calls on threads that nobody has to wait for."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import wait
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.storage.background import begin


@given(st.lists(st.integers(), max_size=20), st.integers(1, 8))
def test_every_call_comes_to_what_it_returns(numbers: list[int], at_a_time: int) -> None:
    futures = begin([partial(str, number) for number in numbers], at_a_time)
    assert [future.result() for future in futures] == [str(number) for number in numbers]


def test_an_error_is_for_whoever_asks() -> None:
    failing, working = begin([partial(int, "no number"), partial(int, "1")], 1)
    with pytest.raises(ValueError, match="no number"):
        failing.result()
    assert working.result() == 1


def test_no_more_run_together_than_are_allowed_and_what_has_not_begun_is_cancelled() -> None:
    released = threading.Event()
    begun = [threading.Event() for _ in range(4)]

    def call(number: int) -> int:
        begun[number].set()
        released.wait()
        return number

    futures = begin([partial(call, number) for number in range(4)], 2)
    assert begun[0].wait(30)
    assert begun[1].wait(30)
    assert [future.cancel() for future in futures] == [False, False, True, True]
    released.set()
    wait(futures)
    assert [future.result() for future in futures[:2]] == [0, 1]
    assert not begun[2].is_set()
    assert not begun[3].is_set()


def test_what_still_runs_does_not_hold_up_the_end_of_the_process() -> None:
    program = "import threading; from processor.storage.background import begin; begin([threading.Event().wait], 1)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
