"""A worker whose trainings go as a test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from processor.cid import cid_of
from processor.protocol.jobs.folder import digest_of, job_in, put_result
from processor.protocol.jobs.kinds import STATE_AFTER, UPDATE, Failure, TrainResult
from processor.protocol.jobs.worker import Died, Progress
from tests.in_process import InProcess


@dataclass
class Scripted:
    """Trainings are at work until the test has them end; every other job is done at once. `begun` and `ended` are the
    names of the folders that the daemon began and ended, in order."""

    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    warmed: int = 0
    _at_work: dict[Path, Progress] = field(default_factory=dict)
    _dead: dict[Path, Died] = field(default_factory=dict)

    def warm(self) -> None:
        self.warmed += 1

    def begin(self, folder: Path) -> None:
        self.begun.append(folder.name)
        if folder.name.startswith("train-"):
            self._at_work[folder] = Progress()
        else:
            InProcess().begin(folder)

    def look(self, folder: Path) -> Progress | Died | None:
        return self._at_work.get(folder) or self._dead.pop(folder, None)

    def end(self, folder: Path) -> None:
        if self._at_work.pop(folder, None) is not None:
            self.ended.append(folder.name)

    # ------------------------------------------------------------------------------------------------ what a test says

    @property
    def folder(self) -> Path:
        """The folder of the training that is at work."""
        [folder] = self._at_work
        return folder

    def gets_on(self, progress: Progress) -> None:
        self._at_work[self.folder] = progress

    def finishes(self) -> None:
        """The training is done, by this process."""
        InProcess().begin(self._ended())

    def seals(self, metered_ms: int, update: bytes = b"a sealed update", state: bytes = b"a private state") -> Path:
        """The training is done without a model: these are its files, in the folder that is returned."""
        folder = self._ended()
        (folder / UPDATE).write_bytes(update)
        (folder / STATE_AFTER).write_bytes(state)
        job = digest_of(job_in(folder))
        put_result(folder, TrainResult(job, cid_of(update), 10, metered_ms, cid_of(state), None))
        return folder

    def fails(self, error: str, said: str) -> None:
        """The worker answers with an error, which is named."""
        folder = self._ended()
        put_result(folder, Failure(digest_of(job_in(folder)), error, said, None))

    def dies(self, checkpoint: int = 0) -> None:
        self._dead[self._ended()] = Died("was killed by SIGKILL", Progress(checkpoint=checkpoint))

    def _ended(self) -> Path:
        folder, _ = self._at_work.popitem()
        return folder
