"""A worker that does a job at once, in the process that asks: for tests that drive daemons by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from processor.protocol.jobs.worker import Died, Progress
from processor.worker.control import Control
from processor.worker.perform import perform


@dataclass
class InProcess:
    """Does what a worker does, but for having a process of its own. `tell` and `stopping` are its jobs' `Control`."""

    tell: Callable[[Progress], None] = lambda progress: None
    stopping: Callable[[], bool] = lambda: False

    def warm(self) -> None:
        pass

    def begin(self, folder: Path) -> None:
        perform(folder, Control(self.tell, self.stopping))

    def look(self, folder: Path) -> Progress | Died | None:
        return None

    def end(self, folder: Path) -> None:
        pass
