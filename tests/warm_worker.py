"""A worker's parent that has torch already: a process that the warm server's child leaves waiting before it becomes
`koinon`, without its key and with one thread, as an interpreter that was just started is."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import NoReturn

from processor.worker import process
from processor.worker.group import Process

AT_HAND = "worker at hand"
"""What the process is called while it waits, as Linux has it: 15 characters at most."""
_PR_SET_NAME = 15
_TICK = 0.01
_LARGEST_ENVIRONMENT = 1 << 20


class Started:
    """What of `subprocess.Popen` a WorkerProcess uses, for a process that was forked here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            time.sleep(_TICK)
        return status


def keep_at_hand() -> None:
    """Leaves a process waiting, which the first worker of this one becomes; later ones are started as they always are,
    and where there is none the process ends with this one."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _wait(theirs)
    theirs.close()
    ordinary, waiting = process.start, [Started(pid)]

    def start(
        root: Path, environment: dict[str, str], standard_input: int, standard_output: int, standard_error: int
    ) -> Process:
        streams = (standard_input, standard_output, standard_error)
        if waiting and waiting[0].poll() is None:
            told = json.dumps([str(root), environment]).encode()
            socket.send_fds(ours, [len(told).to_bytes(4, "big") + told], streams)
            return waiting.pop()
        return ordinary(root, environment, *streams)

    process.start = start


def _wait(theirs: socket.socket) -> NoReturn:
    ctypes.CDLL(None).prctl(_PR_SET_NAME, AT_HAND.encode(), 0, 0, 0)
    data, streams, _, _ = socket.recv_fds(theirs, _LARGEST_ENVIRONMENT, 3)
    if len(streams) != 3:
        os._exit(0)
    while len(data) < 4 + int.from_bytes(data[:4], "big"):
        data += theirs.recv(_LARGEST_ENVIRONMENT)
    root, environment = json.loads(data[4:])
    status = 1
    try:
        os.setsid()
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.environ.clear()
        os.environ.update(environment)
        ctypes.CDLL(None).prctl(_PR_SET_NAME, b"worker", 0, 0, 0)
        from processor.worker.__main__ import main

        status = main([root])
    finally:
        os._exit(status)
