"""The parent of the jobs: a signal that comes at a bad moment is heeded, by what begins just then too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor.worker import wire
from processor.worker.parent import _Child, _Parent

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[_Parent]:
    control, out = os.pipe(), os.pipe()
    yield _Parent(tmp_path, control[0], out[1], 0, wire.Lines(), spawn=False)
    for each in (*control, *out):
        os.close(each)


def child(run: int, processes: list[subprocess.Popen[bytes]]) -> _Child:
    """A child of the parent that sleeps, and ends at SIGTERM."""
    process = subprocess.Popen(SLEEP, stderr=subprocess.PIPE)
    assert process.stderr is not None
    processes.append(process)
    errors = os.dup(process.stderr.fileno())
    os.set_blocking(errors, False)
    return _Child(run=run, pid=process.pid, status=process.poll, lifeline=os.dup(errors), errors=errors)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    made = list[subprocess.Popen[bytes]]()
    yield made
    for each in made:
        each.kill()
        each.communicate()


def test_a_job_that_begins_while_the_signal_to_end_comes_is_ended_too(
    parent: _Parent, processes: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forked(run: int, name: str) -> _Child:
        parent._asked_to_end(signal.SIGTERM, None)
        return child(run, processes)

    parent._children[1] = child(1, processes)
    monkeypatch.setattr(parent, "_forked", forked)
    parent._obey(wire.Begin(2, "train"))
    assert [each.wait(60) for each in processes] == [-signal.SIGTERM] * 2


def test_a_signal_to_end_that_comes_between_the_end_of_a_job_and_its_burial_harms_nobody(
    parent: _Parent, processes: list[subprocess.Popen[bytes]]
) -> None:
    parent._children[1] = child(1, processes)
    processes[0].kill()
    processes[0].wait()
    parent._asked_to_end(signal.SIGTERM, None)
