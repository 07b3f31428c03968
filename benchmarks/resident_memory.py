"""Resident memory of a process and everything that it started, by what Linux says of them."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")
KIB = 1024


def family(pid: int) -> list[int]:
    """The process and all its descendants that live now."""
    found = [pid]
    for one in found:
        found += [child for task in _tasks(one) for child in _children(task)]
    return found


def resident_mib(pid: int) -> float:
    """Resident set sizes summed over the process and its descendants, in MiB; what several share counts for each."""
    return sum(map(_rss_kib, family(pid))) / KIB


def _tasks(pid: int) -> list[Path]:
    try:
        return list((PROC / str(pid) / "task").iterdir())
    except FileNotFoundError:
        return []


def _children(task: Path) -> list[int]:
    try:
        return [int(child) for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _rss_kib(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
