"""Whoever does jobs, as daemons see it, and how they ask."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from processor.errors import Interrupted, WorkerDied
from processor.protocol.jobs.folder import Fill, outcome, prepare
from processor.protocol.jobs.kinds import Job, Result

TICK = 0.05
"""Seconds between two looks at a job that is waited for."""


@dataclass(frozen=True)
class Progress:
    """How far a training is; `loss` is None before the first step. `metered_ms` counts from its first batch on, times
    before a restart included. `checkpoint` is how much the last checkpoint holds: its steps, and then the rows that
    were measured after them."""

    step: int = 0
    steps: int = 0
    loss: float | None = None
    metered_ms: int = 0
    checkpoint: int = 0


@dataclass(frozen=True)
class Died:
    """A job ended without an answer: `how` completes "the worker ...", `progress` is the last that was heard of it.
    `refused` says that the system refused it something that it may allow later, such as room on a disk."""

    how: str
    progress: Progress
    refused: bool = False

    @property
    def error(self) -> WorkerDied:
        return WorkerDied(f"the worker {self.how}", self.progress.checkpoint, refused=self.refused)


class Worker(Protocol):
    """Does jobs, each in its folder below one that all share.

    None of the calls waits for anything. An answer is a file in the job's folder: it counts whatever `look` says.
    """

    def warm(self) -> None:
        """There will be a job soon: what takes long to start is started now."""
        ...

    def begin(self, folder: Path) -> None:
        """Begins the job in a folder; nothing new where that is at work."""
        ...

    def look(self, folder: Path) -> Progress | Died | None:
        """How far the job is; or, once, that it died; None where it is not at work."""
        ...

    def end(self, folder: Path) -> None:
        """Ends the job, with a checkpoint where it is a training; nothing where it is not at work."""
        ...


def attempt(worker: Worker, folder: Path, job: Job, fill: Fill) -> Result | None:
    """What came of a job; None while it is at work. It is begun where it was not, in a folder that `fill` completes.

    Raises what the worker answers with, WorkerDied where it ended without an answer, and what `fill` raises.
    """
    if (found := outcome(folder, job)) is not None:
        return found
    seen = worker.look(folder)
    if isinstance(seen, Progress):
        return None
    if (found := outcome(folder, job)) is not None:  # its last act, before it ended
        return found
    if isinstance(seen, Died):
        raise seen.error
    prepare(folder, job, fill)
    worker.begin(folder)
    return outcome(folder, job)


def completed(worker: Worker, folder: Path, job: Job, fill: Fill, stopping: threading.Event | None = None) -> Result:
    """What came of a job, waited for. Raises as `attempt`; Interrupted, with the job ended, once `stopping` is set."""
    while (found := attempt(worker, folder, job, fill)) is None:
        if stopping is not None and stopping.is_set():
            worker.end(folder)
            raise Interrupted(f"stopped at the job in {folder.name}")
        time.sleep(TICK)
    return found
