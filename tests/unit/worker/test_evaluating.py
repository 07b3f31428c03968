"""Models are measured on data of one's own or on what the plan publishes, each by its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from processor.artifacts.dataset import Dataset, DatasetHeader, write_dataset
from processor.artifacts.model import write_model
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Factory, Plan
from processor.cid import cid_of
from processor.data.npz import save_npz
from processor.errors import ArtifactError, ConfigurationError, DatasetError, Interrupted, OutOfMemory
from processor.learning.models import MODELS, buffers_of, parameters_of
from processor.protocol.jobs import kinds
from processor.protocol.jobs.asking import put_plan
from processor.protocol.jobs.folder import digest_of
from processor.protocol.jobs.kinds import EvaluateJob, EvaluateResult
from processor.protocol.jobs.worker import attempt
from processor.worker.control import Control
from processor.worker.jobs import evaluating
from tests.in_process import InProcess
from tests.unit.artifacts.examples import CID, MODEL_HEADER, PLAN

PLAIN = replace(
    PLAN,
    task=Factory("classification", {"features": 2, "classes": 2}),
    model=Factory("mlp", {"inputs": 2, "hidden": [], "outputs": 2}),
)
FEATURES = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
LABELS = np.array([0, 1, 0, 0])
"""The larger feature says the class, but for the last."""
Fill = Callable[[Path], object]


def linear(path: Path, *rows: Sequence[float]) -> Path:
    """The file of a model that answers with the products of its input with these rows."""
    weights = np.array(rows, np.float32)
    parameters = {"layer1.weight": weights, "layer1.bias": np.zeros(len(rows), np.float32)}
    write_model(path, MODEL_HEADER, parameters, {}, {})
    return path


def evaluated(
    folder: Path, plan: Plan, models: Sequence[Path], data: Path | None = None, fill: Fill = lambda folder: None
) -> EvaluateResult:
    job = EvaluateJob(
        plan=cid_of(PLANS.encode(plan)),
        models=(CID,) * len(models),
        data=None if data is None else str(data),
        fingerprint="as it is",
        threads=0,
    )

    def complete(folder: Path) -> None:
        put_plan(folder, plan)
        for number, model in enumerate(models):
            (folder / f"{kinds.MODEL}-{number}").write_bytes(model.read_bytes())
        fill(folder)

    result = attempt(InProcess(), folder / "evaluate", job, complete)
    assert isinstance(result, EvaluateResult)
    return result


def own(folder: Path, labels: np.ndarray = LABELS) -> Path:
    save_npz(folder / "validation.npz", Dataset(FEATURES, labels))
    return folder / "validation.npz"


def publishing(task: str = "classification", labels: np.ndarray = LABELS) -> tuple[Plan, Fill]:
    def fill(folder: Path) -> None:
        write_dataset(folder / kinds.DATA, DatasetHeader(task), FEATURES, labels)

    return replace(PLAIN, validation=CID), fill


def test_every_model_has_its_own_value_in_the_order_of_the_job(tmp_path: Path) -> None:
    right, wrong = linear(tmp_path / "right", (1, 0), (0, 1)), linear(tmp_path / "wrong", (0, 1), (1, 0))
    found = evaluated(tmp_path, PLAIN, [right, wrong, right], own(tmp_path))
    assert (found.metric, found.values) == ("accuracy", (0.75, 0.25, 0.75))


def test_models_are_measured_on_what_the_plan_publishes(tmp_path: Path) -> None:
    plan, fill = publishing()
    assert evaluated(tmp_path, plan, [linear(tmp_path / "right", (1, 0), (0, 1))], fill=fill).values == (0.75,)


def test_without_models_the_data_is_checked_all_the_same(tmp_path: Path) -> None:
    plan, fill = publishing()
    assert evaluated(tmp_path, plan, [], fill=fill).values == ()
    plan, fill = publishing(labels=LABELS + 1)
    with pytest.raises(ArtifactError, match=f"the validation data {CID} cannot be used: labels run from 1 to 2"):
        evaluated(tmp_path / "other", plan, [], fill=fill)


def test_data_that_is_not_the_task_s_is_refused_in_the_words_of_where_it_is_from(tmp_path: Path) -> None:
    plan, fill = publishing(task="digits")
    with pytest.raises(ArtifactError, match="the validation data is for the task digits: expected classification"):
        evaluated(tmp_path, plan, [], fill=fill)
    with pytest.raises(DatasetError, match=r"cannot use the data set .*validation\.npz: labels run from 1 to 2"):
        evaluated(tmp_path / "own", PLAIN, [], own(tmp_path, LABELS + 1))


def test_a_file_that_does_not_fit_the_plan_s_model_is_refused_by_name(tmp_path: Path) -> None:
    large = linear(tmp_path / "large", (1, 0), (0, 1), (1, 1))
    with pytest.raises(ArtifactError, match=r"layer1\.weight: expected shape \[2, 2\], got shape \[3, 2\]") as refused:
        evaluated(tmp_path, PLAIN, [large], own(tmp_path))
    assert refused.value.code == "shape"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").write_bytes(b"nothing")
    with pytest.raises(ArtifactError):
        evaluated(tmp_path, PLAIN, [tmp_path / "nothing"], own(tmp_path))


def test_a_model_that_does_not_fit_the_task_is_refused_before_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    def wide() -> nn.Module:
        module = nn.Linear(2, 3)
        built.append(module.weight.device.type)
        return module

    monkeypatch.setitem(MODELS, "wide", wide)
    with pytest.raises(ConfigurationError, match=r"expected \[1, 2\], the classes"):
        evaluated(tmp_path, replace(PLAIN, model=Factory("wide", {})), [], own(tmp_path))
    assert built == ["meta"]


def normalizing() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def test_the_model_of_a_plan_of_version_1_that_declares_nothing_can_still_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "normalizing", normalizing)
    plan, module = replace(PLAIN, model=Factory("normalizing", {})), normalizing()
    write_model(tmp_path / "model", MODEL_HEADER, parameters_of(module), buffers_of(module), {})
    assert 0 <= evaluated(tmp_path, plan, [tmp_path / "model"], own(tmp_path)).values[0] <= 1


def test_a_job_computes_with_the_threads_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    for threads in (3, 0):
        job = EvaluateJob(cid_of(PLANS.encode(PLAIN)), (), str(own(tmp_path)), "as it is", threads)
        attempt(InProcess(), tmp_path / "evaluate", job, lambda folder: put_plan(folder, PLAIN))
    assert set_to == [3]


def test_a_job_that_is_to_end_measures_no_further(tmp_path: Path) -> None:
    model, asked = linear(tmp_path / "model", (1, 0), (0, 1)), []

    def stopping() -> bool:
        asked.append("is this the end?")
        return len(asked) == 2

    job = EvaluateJob(cid_of(PLANS.encode(PLAIN)), (CID, CID), str(own(tmp_path)), "as it is", threads=0)
    put_plan(tmp_path, PLAIN)
    for number in range(2):
        (tmp_path / f"{kinds.MODEL}-{number}").write_bytes(model.read_bytes())
    with pytest.raises(Interrupted, match="1 of 2 models measured"):
        evaluating.run(tmp_path, job, digest_of(job), Control(tell=lambda progress: None, stopping=stopping))


def test_memory_that_runs_out_is_said_and_not_the_end_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(module: nn.Module, *arguments: object) -> None:
        raise MemoryError("Unable to allocate 1 TiB")

    monkeypatch.setattr(evaluating, "load_parameters", full)
    with pytest.raises(OutOfMemory, match="too little memory to measure models: Unable to allocate 1 TiB") as told:
        evaluated(tmp_path, PLAIN, [linear(tmp_path / "model", (1, 0), (0, 1))], own(tmp_path))
    assert "max_memory" not in str(told.value)  # a setting of clients
