"""What the organization's daemon has its worker do: what comes of its plans, its data and its models."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processor.artifacts.dataset import Dataset, DatasetHeader, load_dataset, write_dataset
from processor.artifacts.model import load_model
from processor.artifacts.plan import PLAN, Factory, Plan
from processor.cid import cid_of
from processor.daemons.loop import trouble
from processor.daemons.workbench import Workbench
from processor.data.npz import save_npz
from processor.errors import ArtifactError, ConfigurationError, DatasetError, Interrupted, Unreadable, WorkerDied
from processor.protocol.jobs.folder import jobs_folder
from processor.protocol.jobs.worker import Died, Progress
from processor.storage import LocalStorage
from processor.storage.library import Library
from tests.in_process import InProcess
from tests.unit.artifacts import examples

ASKED: Plan = replace(
    examples.PLAN,
    task=Factory("classification", {"features": 2, "classes": 3}),
    model=Factory("mlp", {"inputs": 2, "hidden": [4], "outputs": 3}),
)
DATA = Dataset(np.array([[1, 0], [0, 1], [1, 1]], np.float32), np.array([0, 1, 2], np.int64))


@dataclass
class Counting(InProcess):
    """Counts the jobs that it does, and notes who may read what they are about."""

    begun: list[str] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)

    def begin(self, folder: Path) -> None:
        self.begun.append(folder.name)
        self.modes |= {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
        super().begin(folder)


@dataclass
class Busy:
    """A worker that is never done. Its daemon is asked to stop once it has begun."""

    stopping: threading.Event
    ended: list[str] = field(default_factory=list)
    at_work: bool = False

    def warm(self) -> None:
        pass

    def begin(self, folder: Path) -> None:
        self.at_work = True
        self.stopping.set()

    def look(self, folder: Path) -> Progress | Died | None:
        return Progress() if self.at_work else None

    def end(self, folder: Path) -> None:
        self.ended.append(folder.name)


class Mortal(InProcess):
    """A worker that the system kills at its first job."""

    def __init__(self) -> None:
        self.deaths: Iterator[Died] = iter([Died("was ended by signal 9", Progress())])

    def begin(self, folder: Path) -> None:
        self.at_work = True

    def look(self, folder: Path) -> Progress | Died | None:
        return next(self.deaths, None) if hasattr(self, "at_work") else None


def bench(folder: Path, worker: Any, data: Dataset | None = DATA) -> Workbench:
    if data is not None and not (folder / "own.npz").exists():
        save_npz(folder / "own.npz", data)
    stopping = worker.stopping if isinstance(worker, Busy) else threading.Event()
    return Workbench(worker, folder / "state", folder / "own.npz", Library(LocalStorage(folder / "store")), stopping)


# ------------------------------------------------------------------------------------------------------- preparing


def test_model_and_data_are_looked_into_once_for_all_starts_of_the_daemon(tmp_path: Path) -> None:
    worker = Counting()
    for _ in range(2):
        plan, found = bench(tmp_path, worker).prepared(ASKED, publish=False)
        assert (plan, found.samples, found.outputs) == (ASKED, 3, 3)
        assert set(found.model_layout) == {
            *("param/layer1.weight", "param/layer1.bias", "param/layer2.weight", "param/layer2.bias")
        }
    assert worker.begun == ["inspect"]


def test_data_that_has_changed_is_looked_into_again(tmp_path: Path) -> None:
    worker = Counting()
    bench(tmp_path, worker).prepared(ASKED, publish=False)
    save_npz(tmp_path / "own.npz", Dataset(DATA.features[:2], DATA.labels[:2]))
    assert bench(tmp_path, worker).prepared(ASKED, publish=False)[1].samples == 2


def test_data_that_is_not_the_tasks_is_refused_before_a_round(tmp_path: Path) -> None:
    wrong = Dataset(DATA.features, np.array([0, 1, 3], np.int64))
    for publish in (False, True):
        with pytest.raises(DatasetError, match="own.npz: labels run from 0 to 3; expected an .npz file with features"):
            bench(tmp_path, InProcess(), wrong).prepared(ASKED, publish)
    assert not list((tmp_path / "store").iterdir())


def test_data_that_is_not_there_is_refused_before_a_round(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no such file"):
        bench(tmp_path, InProcess(), None).prepared(ASKED, publish=False)


def test_a_plan_whose_model_does_not_fit_its_task_is_refused_before_a_round(tmp_path: Path) -> None:
    wrong = replace(ASKED, model=replace(ASKED.model, arguments={"inputs": 3, "hidden": [], "outputs": 3}))
    with pytest.raises(ConfigurationError, match="cannot take the 2 features"):
        bench(tmp_path, InProcess()).prepared(wrong, publish=False)


# ------------------------------------------------------------------------------------------------------ publishing


def test_published_data_is_the_own_file_and_the_plan_names_it(tmp_path: Path) -> None:
    plan, found = bench(tmp_path, InProcess()).prepared(ASKED, publish=True)
    assert (replace(plan, validation="private"), found.samples) == (ASKED, 3)
    Library(LocalStorage(tmp_path / "store")).storage.get(plan.validation, tmp_path / "fetched", 1 << 20)
    header, features, labels = load_dataset(tmp_path / "fetched")
    assert header == DatasetHeader("classification")
    assert (features == DATA.features).all() and (labels == DATA.labels).all()


def test_data_is_published_under_one_cid_at_every_start_though_somebody_cleared_the_jobs(tmp_path: Path) -> None:
    first, _ = bench(tmp_path, InProcess()).prepared(ASKED, publish=True)
    again, _ = bench(tmp_path, InProcess()).prepared(ASKED, publish=True)
    (jobs_folder(tmp_path / "state") / "inspect" / "data").unlink()
    cleared, _ = bench(tmp_path, InProcess()).prepared(ASKED, publish=True)
    assert first == again == cleared


def test_a_published_dataset_is_checked_without_the_own_file(tmp_path: Path) -> None:
    plan, _ = bench(tmp_path, InProcess()).prepared(ASKED, publish=True)
    (tmp_path / "own.npz").unlink()
    assert bench(tmp_path, InProcess(), None).prepared(plan, publish=False)[0] == plan


def test_a_published_dataset_of_another_task_is_refused_before_a_round(tmp_path: Path) -> None:
    write_dataset(tmp_path / "other", DatasetHeader("digits"), DATA.features, DATA.labels)
    place = bench(tmp_path, InProcess())
    other = replace(ASKED, validation=place.library.storage.put(tmp_path / "other"))
    with pytest.raises(ArtifactError, match="the validation data is for the task digits: expected classification"):
        place.prepared(other, publish=False)


# --------------------------------------------------------------------------------------------------------- models


def test_the_initial_model_is_made_of_the_plans_seed_and_published(tmp_path: Path) -> None:
    place = bench(tmp_path, InProcess())
    cid = place.initial_model(ASKED)
    place.library.storage.get(cid, tmp_path / "model", 1 << 20)
    header = load_model(tmp_path / "model").header
    assert (header.round, header.parent, header.plan) == (0, None, cid_of(PLAN.encode(ASKED)))
    assert place.initial_model(ASKED) == cid
    assert place.initial_model(replace(ASKED, initialization_seed=8)) != cid


@pytest.mark.parametrize("publish", [False, True])
def test_models_are_measured_in_order_on_the_plans_data(tmp_path: Path, publish: bool) -> None:
    place = bench(tmp_path, InProcess())
    plan, _ = place.prepared(ASKED, publish)
    models = []
    for seed in (1, 2):
        cid = place.initial_model(replace(ASKED, initialization_seed=seed))
        place.library.storage.get(cid, tmp_path / f"model {seed}", 1 << 20)
        models.append((cid, tmp_path / f"model {seed}"))
    both = place.measured(plan, models)
    assert place.measured(plan, models) == both
    assert {path.name for path in (jobs_folder(tmp_path / "state") / "evaluate").iterdir()} == {"plan", "result.json"}
    each = [place.measured(plan, [model]).values[0] for model in models]
    assert (both.metric, list(both.values)) == ("accuracy", each)
    assert set(each) <= {0, 1 / 3, 2 / 3, 1}


def test_a_model_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    place = bench(tmp_path, InProcess())
    larger = replace(ASKED, model=replace(ASKED.model, arguments={"inputs": 2, "hidden": [5], "outputs": 3}))
    cid = place.initial_model(larger)
    place.library.storage.get(cid, tmp_path / "model", 1 << 20)
    for _ in range(2):
        with pytest.raises(ArtifactError, match="does not fit the plan's model"):
            place.measured(ASKED, [(cid, tmp_path / "model")])
    assert not (jobs_folder(tmp_path / "state") / "evaluate" / "result.json").exists()


def test_a_file_that_was_damaged_on_its_way_is_put_into_the_job_again(tmp_path: Path) -> None:
    place = bench(tmp_path, InProcess())
    cid = place.initial_model(ASKED)
    (tmp_path / "damaged").write_bytes(b"cut")
    with pytest.raises(ArtifactError, match="is truncated"):
        place.measured(ASKED, [(cid, tmp_path / "damaged")])
    place.library.storage.get(cid, tmp_path / "whole", 1 << 20)
    assert place.measured(ASKED, [(cid, tmp_path / "whole")]).metric == "accuracy"


# --------------------------------------------------------------------------------------------------------- trouble


def test_own_data_that_is_gone_when_models_are_measured_is_trouble_that_passes(tmp_path: Path) -> None:
    place = bench(tmp_path, InProcess())
    place.prepared(ASKED, publish=False)
    (tmp_path / "own.npz").rename(tmp_path / "elsewhere")
    with pytest.raises(Unreadable, match="there is no such file.*Put back the file") as raised:
        place.measured(ASKED, [])
    assert trouble(raised.value) is not None
    (tmp_path / "elsewhere").rename(tmp_path / "own.npz")
    assert place.measured(ASKED, []).metric == "accuracy"


def test_a_daemon_that_is_to_stop_ends_the_job_that_it_waits_for(tmp_path: Path) -> None:
    for ask in (lambda place: place.measured(ASKED, []), lambda place: place.initial_model(ASKED)):
        worker = Busy(threading.Event())
        with pytest.raises(Interrupted, match="stopped at the job in"):
            ask(bench(tmp_path, worker))
        assert len(worker.ended) == 1


def test_a_worker_that_died_is_said_once_and_the_job_is_done_the_next_time(tmp_path: Path) -> None:
    mortal = bench(tmp_path, Mortal())
    with pytest.raises(WorkerDied, match="the worker was ended by signal 9"):
        mortal.prepared(ASKED, publish=False)
    assert bench(tmp_path, InProcess()).prepared(ASKED, publish=False)[1].samples == 3


def test_what_the_jobs_are_about_is_readable_by_the_owner_alone(tmp_path: Path) -> None:
    worker = Counting()
    place = bench(tmp_path, worker)
    plan, _ = place.prepared(ASKED, publish=True)
    cid = place.initial_model(ASKED)
    place.library.storage.get(cid, tmp_path / "model", 1 << 20)
    place.measured(plan, [(cid, tmp_path / "model")])
    folders, files = {"inspect", "initialize", "evaluate"}, {"job.json", "plan", "model-0", "data"}
    assert worker.modes == dict.fromkeys(folders, 0o700) | dict.fromkeys(files, 0o600)
