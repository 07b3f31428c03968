"""The sum under an L2 norm: a tree of additions that is the same on every processor and needs no memory of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from processor.tensors.arrays import BLOCK

BlockAt = Callable[[int, int], npt.NDArray[np.float64]]
"""Elements `start` to `stop` (not included) of a sequence, in an array of their own, which is overwritten."""


def folded(length: int, block_at: BlockAt) -> float:
    """The sum of `length` numbers, folded by halving: the second half is added to the first, element by element, until
    one is left. An odd one in the middle waits for the next fold. BLAS and `np.sum` choose an order of their own.

    That tree of additions is normative, and it is walked without holding the numbers: each is asked for once, at most
    `BLOCK` at a time, and about log2(length / BLOCK) blocks are in memory.
    """
    if length == 0:
        return 0.0
    lengths = [length]
    while lengths[-1] > BLOCK:
        lengths.append((lengths[-1] + 1) // 2)
    values = _after_folds(lengths, 0, lengths[-1], block_at)
    while (length := len(values)) > 1:
        half = (length + 1) // 2
        values[: length - half] += values[half:]
        values = values[:half]
    return float(values[0])


def _after_folds(lengths: Sequence[int], start: int, stop: int, block_at: BlockAt) -> npt.NDArray[np.float64]:
    """A range of what is left after as many folds as `lengths`, those before each fold and after the last, tells."""
    if len(lengths) == 1:
        return block_at(start, stop)
    *earlier, half = lengths
    values = _after_folds(earlier, start, stop, block_at)
    others = range(start + half, min(stop + half, earlier[-1]))
    if others:
        values[: len(others)] += _after_folds(earlier, others.start, others.stop, block_at)
    return values
