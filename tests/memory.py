"""The most memory that this process has had: since it was made to forget what was before, where the system can."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
FORGETS = os.access(_CLEAR, os.W_OK)
"""Whether an earlier peak can be forgotten: on Linux alone, and there not in every container."""


def fresh_peak() -> int:
    """Bytes at the peak from now on, which are those that there are."""
    if FORGETS:
        _CLEAR.write_text("5")
    return peak()


def peak() -> int:
    """Bytes at the peak."""
    if FORGETS:
        lines = Path("/proc/self/status").read_text().splitlines()
        (held,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(held.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
