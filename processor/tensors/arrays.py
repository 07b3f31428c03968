"""Arrays and their names, and the blocks in which long ones are worked on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]
Shape = tuple[int, ...]
Layout = Mapping[str, tuple[npt.DTypeLike, Shape]]

BLOCK = 1 << 16
"""Elements that are worked on at a time: few enough to stay in a processor's cache, enough to make calls cheap."""


def blocks(count: int) -> Iterator[tuple[int, int]]:
    """Start and stop of the blocks of `count` elements, in their order; the last may be a smaller one."""
    for start in range(0, count, BLOCK):
        yield start, min(start + BLOCK, count)


def all_finite(array: Array) -> bool:
    """Whether no element is NaN or infinite."""
    return bool(np.isfinite(array).all())


def positive_zero(array: Array) -> Array:
    """The array with every -0 made +0, so that equal values have equal bytes."""
    return np.asarray(array + array.dtype.type(0))
