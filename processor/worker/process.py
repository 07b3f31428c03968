"""The worker, as a daemon has it: processes that are there while there is work. Nothing here imports torch."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from structlog.typing import FilteringBoundLogger

from processor.errors import OutOfMemory
from processor.keystore import private_directory
from processor.protocol.jobs.worker import Died, Progress
from processor.words import reason
from processor.worker.child import GRACE
from processor.worker.environment import allowed
from processor.worker.group import MARGIN, Group, Process
from processor.worker.runs import Runs

MAIN = Path(__file__).with_name("__main__.py")
FROZEN = 30.0


def start(
    root: Path, environment: dict[str, str], standard_input: int, standard_output: int, standard_error: int
) -> Process:
    """Starts a parent for the jobs in `root`, in a session of its own: a terminal's signals do not reach it."""
    return subprocess.Popen(
        [sys.executable, "-P", str(MAIN), str(root)],
        stdin=standard_input,
        stdout=standard_output,
        stderr=standard_error,
        env=environment,
        cwd=root,
        start_new_session=True,
    )


class WorkerProcess:
    """Does jobs in processes of their own, each a child of one parent, which is there `keep` seconds after a job.

    `root` is the folder with the folders of the jobs. `news` is set whenever a job is over. A job that gives no sign of
    life for `frozen` seconds is killed. For the main thread of a daemon; leaving the `with` block ends everything.
    """

    def __init__(
        self,
        root: Path,
        log: FilteringBoundLogger,
        *,
        keep: float = 60.0,
        news: threading.Event | None = None,
        frozen: float = FROZEN,
    ) -> None:
        self._root = root.absolute()
        self._log = log
        self._keep = keep
        self._news = news or threading.Event()
        self._frozen = frozen
        self._runs = Runs()
        self._groups: list[Group] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def warm(self) -> None:
        """There will be a job soon. What could not even start is not started for that a second time; where nothing can
        be started at all, `begin` says so."""
        latest = self._groups[-1] if self._groups else None
        if latest is None or latest.started and not latest.keep_up():
            with suppress(OutOfMemory, OSError):
                self._hire()

    def begin(self, folder: Path) -> None:
        """Begins the job in a folder; nothing new where that is at work. Raises OutOfMemory where no process can be
        had for now, ValueError for a folder that is none of this worker's."""
        name = self._name(folder)
        if self._runs.number(name) is None and not (self._groups and self._groups[-1].begin(name)):
            self._hire().begin(name)

    def look(self, folder: Path) -> Progress | Died | None:
        """How far the job is, until its process is gone; or, once, that it died; None where it is not at work."""
        return self._runs.look(self._name(folder))

    def end(self, folder: Path) -> None:
        """Ends the job, with a checkpoint where it is a training; nothing where it is not at work."""
        number = self._runs.number(self._name(folder))
        if number is not None:
            for group in self._groups:
                group.let_end(number)

    def close(self) -> None:
        """Ends everything, with checkpoints, and waits for that; after `GRACE` seconds it is killed."""
        for group in self._groups:
            group.end()
        for group in self._groups:
            if not group.join(GRACE + MARGIN):
                group.kill()
                group.join(MARGIN)
        self._groups.clear()

    def _hire(self) -> Group:
        private_directory(self._root)
        ends: list[int] = []
        try:
            for _ in range(3):
                ends += os.pipe()
            process = start(self._root, allowed(os.environ), ends[0], ends[3], ends[5])
        except BaseException as error:
            for each in ends:
                os.close(each)
            raise _said(error) from error
        for each in (ends[0], ends[3], ends[5]):
            os.close(each)
        ours = (ends[1], ends[2], ends[4])
        for each in ours:
            os.set_blocking(each, False)
        try:
            group = Group(
                process,
                *ours,
                root=self._root,
                runs=self._runs,
                keep=self._keep,
                frozen=self._frozen,
                log=self._log,
                changed=self._news.set,
            )
        except BaseException as error:  # it has no thread: the parent ends, since nobody holds its pipe
            for each in ours:
                os.close(each)
            raise _said(error) from error
        self._groups = [each for each in self._groups if each.alive]
        self._groups.append(group)
        return group

    def _name(self, folder: Path) -> str:
        if folder.absolute().parent != self._root:
            raise ValueError(f"{folder} is no job of this worker: expected a folder in {self._root}")
        return folder.name


def _said(error: BaseException) -> BaseException:
    """Lack of memory, processes or threads passes, and is said as what it is."""
    short = isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN)
    if short or isinstance(error, RuntimeError):  # which `threading` raises where there is no thread to be had
        said = reason(error) if isinstance(error, OSError) else str(error)
        return OutOfMemory(f"no worker can be started: {said}. Free some memory, or end other programs")
    return error
