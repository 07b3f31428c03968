from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.chaos.processes import memory_of, process, running, shrink_pipes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that reads from a pipe of ours until that closes."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as cat:
        yield cat
        cat.kill()


def test_a_process_has_a_parent_and_an_age_of_its_own(sleeper: subprocess.Popen[bytes]) -> None:
    ours, theirs = process(os.getpid()), process(sleeper.pid)
    assert ours is not None and theirs is not None
    assert theirs.parent == ours.pid and theirs.started >= ours.started
    assert not theirs.stopped
    assert {ours.pid, theirs.pid} <= running().keys()
    assert running()[theirs.pid].identity == theirs.identity


def test_a_process_that_has_ended_is_not_there_though_nobody_has_asked_after_it(
    sleeper: subprocess.Popen[bytes],
) -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert process(sleeper.pid) is None
    assert sleeper.pid not in running()


def test_a_process_can_be_stopped(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED)
    stopped = process(sleeper.pid)
    assert stopped is not None and stopped.stopped


def test_a_process_at_work_gets_time() -> None:
    before, until = process(os.getpid()), time.process_time() + 0.05
    while time.process_time() < until:
        pass
    after = process(os.getpid())
    assert before is not None and after is not None
    assert after.busy > before.busy
    assert memory_of(after) > 1 << 20


def test_a_name_with_blanks_and_brackets_is_read_whole() -> None:
    script = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b') a (b', 0, 0, 0); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as odd:
        assert odd.stdout is not None
        odd.stdout.readline()
        found = process(odd.pid)
        odd.kill()
    assert found is not None and (found.name, found.parent) == (") a (b", os.getpid())


def test_a_pipe_of_another_process_can_be_made_small(sleeper: subprocess.Popen[bytes]) -> None:
    there = process(sleeper.pid)
    assert there is not None and sleeper.stdin is not None
    assert fcntl.fcntl(sleeper.stdin, fcntl.F_GETPIPE_SZ) > os.sysconf("SC_PAGE_SIZE")
    assert shrink_pipes(there) >= 1
    assert fcntl.fcntl(sleeper.stdin, fcntl.F_GETPIPE_SZ) == os.sysconf("SC_PAGE_SIZE")
