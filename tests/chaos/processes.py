"""What runs on this machine, as Linux says it in /proc (proc(5))."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

_HERTZ = os.sysconf("SC_CLK_TCK")
_ENDED, _STOPPED = b"ZX", b"Tt"


@dataclass(frozen=True)
class Process:
    """A process at one moment: the program's name, its parent's number, the tick of the system's clock at which it
    started, the seconds of processor time that it has had, and whether it is stopped."""

    pid: int
    name: str
    parent: int
    started: int
    busy: float
    stopped: bool

    @property
    def identity(self) -> tuple[int, int]:
        """What no other process has, also where its number is given away again."""
        return self.pid, self.started


def running() -> dict[int, Process]:
    """Every process by its number, without those that have ended and that nobody has asked after yet."""
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
    return {each.pid: each for each in found if each is not None}


def process(pid: int) -> Process | None:
    """None for one that has ended."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            said = os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, ProcessLookupError):
        return None
    head, _, rest = said.rpartition(b") ")
    fields = rest.split()
    if fields[0] in _ENDED:
        return None
    return Process(
        pid=pid,
        name=head.partition(b" (")[2].decode(errors="replace"),
        parent=int(fields[1]),
        started=int(fields[19]),
        busy=(int(fields[11]) + int(fields[12])) / _HERTZ,
        stopped=fields[0] in _STOPPED,
    )


def memory_of(process: Process) -> int:
    """Bytes of its address space; 0 where it has ended."""
    try:
        pages = Path(f"/proc/{process.pid}/statm").read_text().split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def shrink_pipes(process: Process) -> int:
    """Lets every pipe of a process hold a page and no more, unless more is in it now; says how many do then."""
    shrunk = 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for path in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if stat.S_ISFIFO(path.stat().st_mode):
                    shrunk += _shrink(path)
    return shrunk


def _shrink(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
