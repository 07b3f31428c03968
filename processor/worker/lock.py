"""The lock of a folder of jobs: whoever works there, or did for a daemon that is gone, holds it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 6.0
"""Seconds in which the processes of a daemon that is gone write their checkpoints and end."""
_PRIVATE = 0o600


class Lock:
    """`flock` on a file, which children inherit: it is free once all of them are gone.

    The file says the process group of whoever holds it, and on which machine and since which start of it.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self._patience = patience
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        self._kill_at = time.monotonic() + patience

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def taken(self) -> bool:
        """Takes the lock; False where somebody has it, who is killed after `patience` seconds if that goes on. Raises
        OSError where the file system has no locks.

        That kills nobody else: the group in the file is that of a process that holds the lock this very moment, and
        what holds it belongs to a daemon that is gone, since one daemon at a time has the folder.
        """
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= self._kill_at:
                self._kill_at = time.monotonic() + 1.0
                self._kill()
            return False
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpgrp()}\n{_here()}\n".encode(), 0)
        return True

    def _kill(self) -> None:
        group, _, where = os.pread(self.fd, 4096, 0).decode("ascii", "replace").partition("\n")
        if not group.isdigit() or where.strip() != _here() or int(group) in (0, 1, os.getpgrp()):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)


def _here() -> str:
    """Where a process number means the same process: this machine since its start, and there this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return socket.gethostname()
