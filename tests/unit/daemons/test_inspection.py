"""A worker is asked about a plan and data once, whatever becomes of the daemon, and again when one of them changes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from processor.artifacts.plan import PLAN
from processor.cid import cid_of
from processor.daemons.inspection import Inspection
from processor.errors import ConfigurationError, DatasetError, OutOfMemory, WorkerDied
from processor.protocol.jobs.folder import digest_of, job_in, put_result
from processor.protocol.jobs.kinds import Entry, Failure, InspectJob, InspectResult
from processor.protocol.jobs.worker import Died, Progress
from tests.unit.artifacts import examples

FOUND = InspectResult("", "digits", {"param/weight": Entry("float32", (10, 64))}, 264, 10, 100, None)


@dataclass
class Looking:
    """A worker that answers as it is told; None where it does not come to an end, and an error's name for that."""

    answer: InspectResult | str | None = FOUND
    asked: int = 0
    at_work: set[Path] = field(default_factory=set)
    dead: set[Path] = field(default_factory=set)

    def warm(self) -> None:
        pass

    def begin(self, folder: Path) -> None:
        self.asked += 1
        job = digest_of(job_in(folder))
        if self.answer is None:
            self.at_work.add(folder)
        elif isinstance(self.answer, str):
            put_result(folder, Failure(job, self.answer, "what went wrong", None))
        else:
            put_result(folder, replace(self.answer, job=job))

    def look(self, folder: Path) -> Progress | Died | None:
        if folder in self.dead:
            self.dead.remove(folder)
            return Died("was killed by SIGKILL", Progress())
        return Progress() if folder in self.at_work else None

    def end(self, folder: Path) -> None:
        raise AssertionError("a look is not ended")

    def dies(self) -> None:
        self.dead, self.at_work = self.at_work, set()


@dataclass
class Party:
    folder: Path
    worker: Looking = field(default_factory=Looking)

    def __post_init__(self) -> None:
        self.data.write_bytes(b"data")
        self.restart()

    def restart(self) -> None:
        self.inspection = Inspection(self.worker, self.folder / "state", self.data)

    @property
    def data(self) -> Path:
        return self.folder / "data.npz"

    def looks(self, rows: int | None = None) -> InspectResult | None:
        plan = (
            examples.PLAN
            if rows is None
            else replace(examples.PLAN, local=replace(examples.PLAN.local, batch_size=rows))
        )
        return self.inspection.of(cid_of(PLAN.encode(plan)), plan)


@pytest.fixture
def party(tmp_path: Path) -> Party:
    return Party(tmp_path)


def test_the_worker_is_asked_once_and_not_again_after_a_restart(party: Party) -> None:
    for _ in range(2):
        for _ in range(3):
            found = party.looks()
            assert found is not None and (found.samples, found.outputs) == (100, 10)
        party.restart()
    assert party.worker.asked == 1


def test_other_data_and_another_plan_are_looked_at(party: Party) -> None:
    party.looks()
    party.data.write_bytes(b"other")
    party.looks()
    assert party.worker.asked == 2
    party.looks(rows=7)
    assert party.worker.asked == 3


def test_data_of_the_same_length_under_the_time_of_before_is_looked_at(party: Party) -> None:
    before = party.data.stat()
    party.looks()
    party.data.write_bytes(b"atad")
    os.utime(party.data, ns=(before.st_atime_ns, before.st_mtime_ns))
    party.looks()
    assert party.worker.asked == 2


def test_nothing_is_known_and_nothing_begun_again_while_it_is_looked_into(party: Party) -> None:
    party.worker.answer = None
    assert [party.looks() for _ in range(3)] == [None] * 3
    assert party.worker.asked == 1


def test_data_that_cannot_be_used_is_told_each_time_and_looked_at_once(party: Party) -> None:
    party.worker.answer = replace(FOUND, samples=None, data_problem="the data has 3 features: expected 64")
    for _ in range(2):
        with pytest.raises(DatasetError, match="expected 64"):
            party.looks()
        party.restart()
    assert party.worker.asked == 1


def test_a_plan_that_cannot_be_carried_out_is_told_each_time_and_looked_at_once_in_a_run(party: Party) -> None:
    party.worker.answer = "ConfigurationError"
    for run in (1, 2):
        for _ in range(3):
            with pytest.raises(ConfigurationError, match="what went wrong"):
                party.looks()
        assert party.worker.asked == run
        party.restart()


def test_what_passes_is_asked_again(party: Party) -> None:
    party.worker.answer = "OutOfMemory"
    for _ in range(2):
        with pytest.raises(OutOfMemory):
            party.looks()
    party.worker.answer = None
    assert party.looks() is None
    party.worker.dies()
    with pytest.raises(WorkerDied, match="was killed by SIGKILL"):
        party.looks()
    party.worker.answer = FOUND
    assert party.looks() is not None
    assert party.worker.asked == 4


def test_the_device_that_is_configured_is_looked_at_as_well(party: Party) -> None:
    party.inspection.device = "cuda"
    party.looks()
    job = job_in(party.folder / "state" / "jobs" / "inspect")
    assert isinstance(job, InspectJob) and job.device == "cuda"
