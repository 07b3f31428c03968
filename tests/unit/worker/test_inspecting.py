"""A look at a plan and at data for it: the model, the task, the buffers each declared as what it is, the samples."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from processor.artifacts.buffers import Average, Buffer, Counter, Pooled
from processor.artifacts.dataset import Dataset, DatasetHeader, load_dataset
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Factory, Plan
from processor.cid import cid_of
from processor.data.npz import save_npz
from processor.errors import ConfigurationError
from processor.learning.models import MODELS
from processor.protocol.jobs.asking import inspect_job, put_plan
from processor.protocol.jobs.kinds import DATA, Device, InspectResult
from processor.protocol.jobs.worker import attempt
from processor.worker.jobs.inspecting import check_buffers, check_plan, inspect
from tests.in_process import InProcess
from tests.unit.artifacts.examples import PLAN

MEAN = Average("average", -100.0, 100.0)
VARIANCE = Pooled("pooled", "1.running_mean", 0.0, 10_000.0)
COUNTER = Counter("counter", 0, 1_000_000)
NORMALIZED: dict[str, Buffer] = {
    "1.running_mean": MEAN,
    "1.running_var": VARIANCE,
    "1.num_batches_tracked": COUNTER,
}


PLAIN = replace(PLAN, model=Factory("mlp", {"inputs": 64, "hidden": [400], "outputs": 10}))


LABELS = np.array([0])


def normalizing() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))


def declaring(**changes: Buffer | None) -> Plan:
    """The example's plan with the buffers of `normalizing`, some of them changed (`_` for a dot) or left out."""
    buffers = {**NORMALIZED, **{name.replace("_", ".", 1): buffer for name, buffer in changes.items()}}
    return replace(PLAN, buffers={name: buffer for name, buffer in buffers.items() if buffer is not None})


def refusal(plan: Plan) -> str:
    with pytest.raises(ConfigurationError) as refused:
        check_buffers(plan, normalizing())
    return str(refused.value)


def test_a_model_without_buffers_needs_no_declaration() -> None:
    check_plan(PLAIN)
    check_buffers(PLAIN, nn.Linear(1, 1))


def test_buffers_that_are_declared_as_what_they_are_are_accepted() -> None:
    check_buffers(declaring(), normalizing())


def test_every_buffer_must_be_declared_and_the_refusal_has_the_tables_to_paste() -> None:
    said = refusal(PLAN)
    assert "has buffers that the plan does not declare" in said
    assert tomllib.loads(said.partition("\n\n")[2])["plan"]["buffers"] == {
        "1.running_mean": {"kind": "average", "least": -100.0, "most": 100.0},
        "1.running_var": {"kind": "pooled", "mean": "1.running_mean", "least": 0.0, "most": 10_000.0},
        "1.num_batches_tracked": {"kind": "counter", "least": 0, "most": 1_000_000},
    }


def test_only_what_is_missing_is_asked_for() -> None:
    said = refusal(declaring(**{"1_num_batches_tracked": None}))
    assert '[plan.buffers."1.num_batches_tracked"]' in said and "running_mean" not in said


def test_a_buffer_that_the_model_does_not_have_is_refused_with_those_that_it_has() -> None:
    said = refusal(declaring(**{"2_running_mean": MEAN}))
    assert "declares a buffer '2.running_mean' that its model 'mlp' does not have" in said
    assert "'1.running_mean', '1.running_var', '1.num_batches_tracked'" in said


def test_a_buffer_of_a_model_that_has_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="does not have: it has none"):
        check_plan(replace(PLAIN, buffers=NORMALIZED))


@pytest.mark.parametrize(
    ("name", "buffer", "found"),
    [
        ("1_num_batches_tracked", Average("average", 0.0, 1.0), "int64"),
        ("1_num_batches_tracked", Pooled("pooled", "1.running_mean", 0.0, 1.0), "int64"),
        ("1_running_var", Counter("counter", 0, 1), "float32"),
    ],
)
def test_integers_are_counters_and_floats_are_not(name: str, buffer: Buffer, found: str) -> None:
    assert f"as {buffer.kind}, and it is of {found}" in refusal(declaring(**{name: buffer}))


def test_variances_are_pooled_around_the_means_of_the_same_features() -> None:
    module = normalizing()
    module.register_buffer("other", torch.zeros(3))
    plan = declaring(other=MEAN, **{"1_running_var": replace(VARIANCE, mean="other")})
    with pytest.raises(ConfigurationError, match=r"pools the model's buffer '1\.running_var' around 'other'"):
        check_buffers(plan, module)


def test_a_plan_that_declares_the_buffers_of_its_model_can_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "normalizing", normalizing)
    plan = replace(PLAN, model=Factory("normalizing", {}))
    with pytest.raises(ConfigurationError, match="has buffers that the plan does not declare"):
        check_plan(plan)
    check_plan(replace(plan, buffers=NORMALIZED))


def inspected(
    folder: Path, plan: Plan, data: Path | None = None, publish: bool = False, device: Device = "cpu"
) -> InspectResult:
    job = inspect_job(cid_of(PLANS.encode(plan)), data, publish, device)
    result = attempt(InProcess(), folder / "inspect", job, lambda folder: put_plan(folder, plan))
    assert isinstance(result, InspectResult)
    return result


def digits(path: Path, count: int = 3, width: int = 64) -> Path:
    save_npz(path, Dataset(np.ones((count, width), np.float32), np.arange(count) % 10))
    return path


def test_a_job_says_what_the_model_is_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "normalizing", normalizing)
    found = inspected(tmp_path, replace(PLAN, model=Factory("normalizing", {}), buffers=NORMALIZED))
    float32, int64 = np.dtype(np.float32), np.dtype(np.int64)
    assert found.model_layout == {
        "param/0.weight": (float32, (8, 64)),
        "param/0.bias": (float32, (8,)),
        "param/1.weight": (float32, (8,)),
        "param/1.bias": (float32, (8,)),
        "param/2.weight": (float32, (10, 8)),
        "param/2.bias": (float32, (10,)),
        "buffer/1.running_mean": (float32, (8,)),
        "buffer/1.running_var": (float32, (8,)),
        "buffer/1.num_batches_tracked": (int64, ()),
    }


def test_a_job_says_what_an_example_takes_and_how_much_the_model_answers(tmp_path: Path) -> None:
    found = inspected(tmp_path, PLAIN)
    assert (found.task, found.example_bytes, found.outputs) == ("digits", 64 * 4 + 8, 10)
    assert (found.samples, found.data_problem) == (None, None)


def test_a_job_counts_the_samples_of_the_data(tmp_path: Path) -> None:
    found = inspected(tmp_path, PLAIN, digits(tmp_path / "mine.npz"))
    assert (found.samples, found.data_problem) == (3, None)
    assert not (tmp_path / "inspect" / DATA).exists()


def test_data_that_cannot_be_used_is_no_failure_but_said(tmp_path: Path) -> None:
    found = inspected(tmp_path, PLAIN, digits(tmp_path / "mine.npz", width=63), publish=True)
    assert found.samples is None and found.data_problem is not None
    assert "mine.npz: features have shape [3, 63]; expected an .npz file with features float32" in found.data_problem
    assert not (tmp_path / "inspect" / DATA).exists()


def test_what_is_wrong_with_data_is_said_in_one_answer_however_long_it_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", allow_pickle=True, **{"x" * 10_000: LABELS})
    assert "it holds xxx" in (inspected(tmp_path, PLAIN, tmp_path / "mine.npz").data_problem or "")


def test_data_that_is_to_be_published_is_a_dataset_of_the_task(tmp_path: Path) -> None:
    inspected(tmp_path, PLAIN, digits(tmp_path / "mine.npz"), publish=True)
    header, features, labels = load_dataset(tmp_path / "inspect" / DATA)
    assert header == DatasetHeader("digits") and len(features) == 3 and labels.tolist() == [0, 1, 2]


def test_a_plan_that_no_round_should_begin_with_is_refused_by_the_job(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot take the 64 features of the task 'digits'"):
        inspected(tmp_path, replace(PLAN, model=Factory("mlp", {"inputs": 63, "hidden": [], "outputs": 10})))
    with pytest.raises(ConfigurationError, match="does not have: it has none"):
        inspected(tmp_path, replace(PLAIN, buffers=NORMALIZED))


def test_commands_look_themselves_and_have_the_data_too(tmp_path: Path) -> None:
    facts = inspect(PLAIN, digits(tmp_path / "mine.npz"))
    assert facts.data is not None and len(facts.data) == 3 and facts.data_problem is None
    assert facts.layout == inspected(tmp_path, PLAIN).model_layout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_configured_and_not_there_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the device is cuda, but torch finds no GPU"):
        inspected(tmp_path, PLAIN, device="cuda")


def test_a_pipe_is_no_data_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.npz")
    found = inspected(tmp_path, PLAIN, tmp_path / "data.npz")
    assert found.data_problem is not None and "it is a pipe; expected an .npz file" in found.data_problem
