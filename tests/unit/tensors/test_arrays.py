"""Arrays: what is finite, what zero is, and the blocks of long ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.tensors import BLOCK, Array, all_finite, blocks, positive_zero


@given(st.integers(0, 5 * BLOCK))
def test_blocks_follow_each_other_and_only_the_last_may_be_smaller(count: int) -> None:
    ends = list(blocks(count))
    assert [start for start, _ in ends] == [0, *(stop for _, stop in ends)][: len(ends)]
    assert sum(stop - start for start, stop in ends) == count
    assert all(stop - start == BLOCK for start, stop in ends[:-1])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_number_that_is_not_finite_is_seen(value: float) -> None:
    array: Array = np.zeros((3, 5), np.float32)
    assert all_finite(array)
    array[2, 4] = value
    assert not all_finite(array)


def test_integers_are_finite() -> None:
    assert all_finite(np.array([2**63 - 1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_minus_zero_becomes_zero_and_nothing_else_changes(dtype: type) -> None:
    array: Array = np.array([-0.0, 0.0, -1.0, 3.0]).astype(dtype)
    made = positive_zero(array)
    assert made.dtype == dtype
    assert made.tobytes() == np.array([0.0, 0.0, -1.0, 3.0]).astype(dtype).tobytes()
