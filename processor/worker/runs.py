"""What is at work, how far it is, and what died: the daemon's book of its worker."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from itertools import count

from processor.protocol.jobs.worker import Died, Progress
from processor.worker.child import ANSWERED, INTERRUPTED

LONGEST = 1.0
"""Seconds that count as silence at most between two looks: a daemon that was stopped itself has heard nothing."""


@dataclass
class _Run:
    """One attempt at a job. `group` is the process group that it is of, `silent` for how many seconds it gave no sign
    of life, `unwanted` that it was told to end, and `how` says why it was killed, if it was."""

    name: str
    group: int
    progress: Progress = field(default_factory=Progress)
    silent: float = 0.0
    unwanted: bool = False
    how: str | None = None


class Runs:
    """Runs by their number, which no two share. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._runs: dict[int, _Run] = {}
        self._dead: dict[str, Died] = {}

    def begin(self, name: str, group: int) -> int:
        """Of how a run of that name died before, nothing is known any more."""
        with self._lock:
            number = next(self._numbers)
            self._runs[number] = _Run(name, group)
            self._dead.pop(name, None)
            return number

    def number(self, name: str) -> int | None:
        """The run at work under a name."""
        with self._lock:
            return next((number for number, run in self._runs.items() if run.name == name), None)

    def look(self, name: str) -> Progress | Died | None:
        """As `Worker.look`."""
        with self._lock:
            found = next((run.progress for run in self._runs.values() if run.name == name), None)
            return found or self._dead.pop(name, None)

    def of(self, group: int) -> list[int]:
        with self._lock:
            return [number for number, run in self._runs.items() if run.group == group]

    def heard(self, number: int, progress: Progress | None = None) -> None:
        with self._lock:
            if run := self._runs.get(number):
                run.silent = 0.0
                run.progress = progress or run.progress

    def unwanted(self, number: int) -> bool:
        """It is to end, and that is no death; False where that was so already."""
        with self._lock:
            run = self._runs.get(number)
            if run is None or run.unwanted:
                return False
            run.unwanted = True
            return True

    def silent(self, group: int, seconds: float, limit: float) -> bool:
        """Counts time in which nothing was heard of the runs of a group; True where one is silent for too long."""
        with self._lock:
            for run in self._runs.values():
                if run.group == group:
                    run.silent += min(seconds, LONGEST)
                    if run.silent >= limit:
                        run.how = f"gave no sign of life for {limit:g} s and was killed"
            return any(run.how is not None for run in self._runs.values() if run.group == group)

    def over(self, number: int, how: str | None, refused: bool = False) -> Died | None:
        """A run is over. `how` it died, as `Died` has it with `refused`; None where it answered. What is returned was
        not to be expected."""
        with self._lock:
            run = self._runs.pop(number, None)
            if run is None or run.unwanted or (how is None and run.how is None):
                return None
            self._dead[run.name] = died = Died(run.how or str(how), run.progress, refused)
            return died

    def name(self, number: int) -> str | None:
        with self._lock:
            run = self._runs.get(number)
            return None if run is None else run.name


def how_it_ended(status: int, said: str) -> str | None:
    """What completes "the worker ..." for an exit status, or a signal as a negative number; None for an answer."""
    if status == ANSWERED:
        return None
    if status == INTERRUPTED:
        return "was stopped by somebody else"
    if status == -signal.SIGKILL:
        return "was killed by SIGKILL (out of memory?)"
    if status < 0:
        return f"was killed by {_name(-status)}"
    last = said.strip().rpartition("\n")[2].strip()
    return f"ended with status {status}" + (f": {last}" if last else "")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
