"""How much memory a process takes at most above what it has now, by what Linux says of it."""

from __future__ import annotations

from pathlib import Path

PROCESS = Path("/proc/self")


class Peak:
    """Counts from the moment when it is made."""

    def __init__(self) -> None:
        (PROCESS / "clear_refs").write_text("5")  # the peak is what is resident now
        self._base = _kib("VmRSS")

    def extra_mib(self) -> float:
        """MiB."""
        return (_kib("VmHWM") - self._base) / 1024


def _kib(name: str) -> int:
    lines = (PROCESS / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
