from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from processor.aggregation.ahead import MOST, ahead


def test_what_calls_give_comes_in_their_order_however_long_each_takes() -> None:
    def slow(number: int) -> int:
        time.sleep(0.01 * (number % 3))
        return number

    assert list(ahead(partial(slow, number) for number in range(12))) == list(range(12))


def test_only_a_few_calls_are_begun_before_their_results_are_taken() -> None:
    begun: list[int] = []

    def calls() -> Iterator[Callable[[], int]]:
        for number in range(1000):
            begun.append(number)
            yield partial(int, number)

    with closing(ahead(calls())) as made:
        assert next(made) == 0
        assert len(begun) <= MOST + 2


def test_an_error_in_a_call_is_raised_where_its_result_is_taken() -> None:
    made = ahead([partial(int, 1), partial(int, "x"), partial(int, 3)])
    assert next(made) == 1
    with pytest.raises(ValueError, match="invalid literal"):
        next(made)


def test_whoever_stops_early_waits_for_what_was_begun() -> None:
    running = threading.Semaphore(0)
    ended: list[int] = []

    def call(number: int) -> int:
        running.release()
        time.sleep(0.05)
        ended.append(number)
        return number

    with closing(ahead(partial(call, number) for number in range(100))) as made:
        next(made)
    count = len(ended)
    time.sleep(0.1)
    assert len(ended) == count < 100
