"""Whether this machine's arithmetic is the one that every model is made with."""

from __future__ import annotations

import numpy as np

from processor.errors import MachineError

SMALLEST = np.array([2.0**-149], np.float32)
"""The smallest float32 above zero, which is subnormal."""


def check_arithmetic() -> None:
    """MachineError where the processor takes subnormal numbers for zero: the models would be others than everybody's.

    Threads take that setting over from the one that starts them.
    """
    if not (SMALLEST * np.float32(1)).view(np.uint32)[0]:
        raise MachineError(
            "this program's processor flushes subnormal numbers to zero, so its models would differ from everybody "
            "else's: do not call torch.set_flush_denormal(True), nor load libraries that are built with -ffast-math"
        )
