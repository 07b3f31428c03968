"""What `folded` sums, told plainly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def folded_in_memory(values: npt.NDArray[np.float64]) -> float:
    """The tree of additions, told plainly, with all numbers in memory."""
    values = values.copy()
    length = len(values)
    while length > 1:
        half = (length + 1) // 2
        values[: length - half] += values[half:length]
        length = half
    return float(values[0]) if length else 0.0
