"""The sum under a norm: the same bits whichever way it is computed, without memory of its own."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.tensors import BLOCK, TensorFile, TensorWriter, blocks, folded
from tests.unit.tensors.folding import folded_in_memory


def numbers(length: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """Of very different sizes, so that another order of additions gives other bits."""
    generator = np.random.default_rng(seed)
    return generator.standard_normal(length) * 10.0 ** generator.integers(-8, 8, length)


@settings(deadline=None)
@given(st.integers(0, 3_000), st.integers(0, 2**32), st.integers(1, 64))
def test_ranges_are_folded_to_the_bits_of_the_whole(length: int, seed: int, block: int) -> None:
    values = numbers(length, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processor.tensors.norms.BLOCK", block)
        in_ranges = folded(length, lambda start, stop: values[start:stop].copy())
    assert in_ranges.hex() == folded_in_memory(values).hex()


@settings(deadline=None, max_examples=30)
@given(st.integers(BLOCK - 2, 9 * BLOCK) | st.sampled_from([BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 4 * BLOCK - 1]))
def test_a_long_array_is_folded_to_the_same_bits_in_blocks_as_they_are(length: int) -> None:
    values = numbers(length)
    assert folded(length, lambda start, stop: values[start:stop].copy()).hex() == folded_in_memory(values).hex()


@settings(deadline=None)
@given(st.integers(0, 1_000), st.integers(1, 64))
def test_every_number_is_asked_for_once_and_few_at_a_time(length: int, block: int) -> None:
    asked: Counter[int] = Counter()

    def block_at(start: int, stop: int) -> npt.NDArray[np.float64]:
        assert 0 < stop - start <= block
        asked.update(range(start, stop))
        return np.ones(stop - start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processor.tensors.norms.BLOCK", block)
        assert folded(length, block_at) == length
    assert asked == Counter(range(length))


def test_what_goes_wrong_with_a_block_goes_wrong_with_the_sum() -> None:
    def broken(start: int, stop: int) -> npt.NDArray[np.float64]:
        raise OSError("no such block")

    with pytest.raises(OSError, match="no such block"):
        folded(3, broken)


def test_the_norm_of_a_long_tensor_in_a_file_takes_the_memory_of_a_few_blocks(tmp_path: Path) -> None:
    length = 64 * BLOCK
    with TensorWriter(tmp_path / "tensors", {}, {"a": (np.float32, (length,))}) as writer:
        for start, stop in blocks(length):
            writer.append("a", np.full(stop - start, 0.5, np.float32))
    with TensorFile(tmp_path / "tensors") as file:
        tracemalloc.start()
        total = folded(length, lambda start, stop: np.square(file.read_range("a", start, stop), dtype=np.float64))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert total == length / 4
    assert peak < 12 * BLOCK * 8, f"{peak} bytes, of which the tensor alone has {length * 4}"


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=40))
def test_squares_are_folded_to_the_sum_of_squares(values: list[float]) -> None:
    squares = np.square(np.array(values, np.float64))
    exact = math.fsum(value * value for value in values)
    assert folded(len(squares), lambda start, stop: squares[start:stop].copy()) == pytest.approx(exact, rel=1e-12)


def test_numbers_are_folded_by_halving() -> None:
    # Added from left to right, each 1.5625 would be lost next to 2^54; folded, the two meet first.
    squares = np.square([2.0**27, 1.25, 0.0, 1.25])
    assert folded(4, lambda start, stop: squares[start:stop].copy()) == 2.0**54 + 4


def test_nothing_is_folded_to_zero() -> None:
    assert folded(0, lambda start, stop: np.ones(stop - start)) == 0.0
