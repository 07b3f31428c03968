"""A plan declares the buffers of its model, each as what it is."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from processor.artifacts.buffers import Average, Buffer, Counter, Pooled
from processor.artifacts.model import write_model
from processor.artifacts.plan import Factory, Plan
from processor.errors import ConfigurationError
from processor.learning.models import MODELS, buffers_of, parameters_of
from processor.learning.tasks import Dataset
from processor.protocol.resolve import check_buffers, check_plan, module_of
from processor.protocol.validation import metric_of
from tests.unit.artifacts.examples import MODEL_HEADER, PLAN

MEAN = Average("average", -100.0, 100.0)
VARIANCE = Pooled("pooled", "1.running_mean", 0.0, 10_000.0)
COUNTER = Counter("counter", 0, 1_000_000)
NORMALIZED: dict[str, Buffer] = {
    "1.running_mean": MEAN,
    "1.running_var": VARIANCE,
    "1.num_batches_tracked": COUNTER,
}


PLAIN = replace(PLAN, model=Factory("mlp", {"inputs": 64, "hidden": [400], "outputs": 10}))


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


def test_the_model_of_a_plan_of_version_1_that_declares_nothing_can_still_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "normalizing", normalizing)
    plan = replace(PLAN, model=Factory("normalizing", {}))
    with pytest.raises(ConfigurationError, match="has buffers that the plan does not declare"):
        check_plan(plan)
    module = module_of(plan)
    write_model(tmp_path / "model", MODEL_HEADER, parameters_of(module), buffers_of(module), {})
    validation = Dataset(np.zeros((2, 64), np.float32), np.array([0, 1]))
    assert 0 <= metric_of(plan, tmp_path / "model", validation) <= 1
    check_plan(replace(plan, buffers=NORMALIZED))
