"""Memory that runs out, told from all else that goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from processor.errors import GpuOutOfMemory, OutOfMemory
from processor.learning.device import CPU

TRAIN = "train"
_NO_MEMORY = re.compile(r"(?i)out of memory|not enough memory|can't allocate memory|_ALLOC_FAILED")  # torch has no type


@contextmanager
def memory_errors(device: torch.device = CPU, doing: str = TRAIN) -> Iterator[None]:
    """Turns what torch and NumPy raise where memory runs out into OutOfMemory, or GpuOutOfMemory where `device` is no
    processor. `doing` completes "too little memory to"."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = (str(error).splitlines() or ["no more memory"])[0]
        if not isinstance(error, MemoryError) and not _NO_MEMORY.search(str(error)):
            raise
        if device != CPU:
            raise GpuOutOfMemory(
                f"the GPU has too little memory to {doing}: {said}. The processor may have more"
            ) from None
        advice = "; client.max_memory refuses such plans" if doing == TRAIN else ""
        raise OutOfMemory(f"there is too little memory to {doing}: {said}. Free some{advice}") from None
