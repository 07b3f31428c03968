"""The lock of a folder of jobs: held by all processes of a worker, and by nobody for ever."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processor.worker.lock import Lock

HOLDS = "import fcntl, os, sys, time; fcntl.flock(0, fcntl.LOCK_EX); print(flush=True); time.sleep(600)"

Holder = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(path: Path) -> Iterator[Holder]:
    """Starts a process that holds the lock, which says of it what it is given, with its group in braces."""
    started = list[subprocess.Popen[bytes]]()

    def start(says: str) -> subprocess.Popen[bytes]:
        with path.open("w+") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", HOLDS], stdin=file, stdout=subprocess.PIPE, start_new_session=True
            )
            started.append(process)
            assert process.stdout is not None
            process.stdout.readline()
            file.write(says.format(process.pid))
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def here(path: Path) -> str:
    """What the second line says on this machine."""
    with Lock(path) as lock:
        assert lock.taken()
        return path.read_text().split("\n")[1]


def taken_in_time(lock: Lock, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (taken := lock.taken()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return taken


def test_whoever_takes_it_says_which_group_that_is_to_its_owner_alone(path: Path) -> None:
    with Lock(path) as lock:
        assert lock.taken()
    assert path.read_text().split("\n")[0] == str(os.getpgrp())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_free_once_whoever_holds_it_has_ended(path: Path, holder: Holder) -> None:
    process = holder("")
    with Lock(path) as lock:
        assert not lock.taken()
        process.kill()
        assert taken_in_time(lock)


def test_a_file_system_without_locks_is_said_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with Lock(path) as lock, pytest.raises(OSError, match="No locks available"):
        lock.taken()


def test_a_group_that_does_not_let_go_is_killed(path: Path, holder: Holder) -> None:
    process = holder("{}\n" + here(path) + "\n")
    with Lock(path, patience=0.05) as lock:
        assert taken_in_time(lock)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("says", ["{}\nanother machine\n", "", "no number\n", "1\n", "-1\n"])
def test_whoever_the_lock_does_not_name_is_not_killed(path: Path, holder: Holder, says: str) -> None:
    process = holder(says)
    with Lock(path, patience=0.0) as lock:
        assert not lock.taken()
        assert not lock.taken()
    assert process.poll() is None
