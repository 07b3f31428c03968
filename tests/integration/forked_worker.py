"""Parents and daemons that the warm server forks. Each of them imports this module, so it is a small one."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from processor.protocol.jobs.worker import Progress
from processor.worker.process import WorkerProcess
from tests.warm import server
from tests.warm_worker import keep_at_hand

NEVER = 1e6


class Forked:
    """A parent that has torch already: what a WorkerProcess needs of it."""

    def __init__(self, root: Path, environment: dict[str, str], *streams: int) -> None:
        held = [Connection(os.dup(each), number == 0, number > 0) for number, each in enumerate(streams)]
        self._lock = threading.Lock()
        self._process = server().Process(target=become_parent, args=(root, environment, held))
        self._process.start()
        for each in held:
            each.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        with self._lock:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout or math.inf)
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("worker", timeout or math.inf)
            time.sleep(0.01)
        return status


def become_parent(root: Path, environment: dict[str, str], streams: list[Connection]) -> None:
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    from processor.worker.__main__ import main

    os._exit(main([str(root)]))


def become_daemon(root: Path, folder: Path) -> None:
    """A daemon that begins a training and says, by a file, that its steps have begun."""
    keep_at_hand()
    with WorkerProcess(root, structlog.get_logger()) as worker:
        worker.begin(folder)
        while not (isinstance(seen := worker.look(folder), Progress) and seen.step):
            time.sleep(0.01)
        (root / "under way").touch()
        time.sleep(NEVER)
