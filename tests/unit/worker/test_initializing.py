"""The first model of a federation follows from its plan alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from processor.artifacts.model import ModelHeader, load_model
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Factory, Plan
from processor.cid import cid_of, cid_of_file
from processor.errors import ConfigurationError
from processor.learning.models import parameters_of
from processor.learning.resolve import module_of
from processor.protocol.jobs import kinds
from processor.protocol.jobs.asking import put_plan
from processor.protocol.jobs.kinds import InitializeJob, InitializeResult
from processor.protocol.jobs.worker import attempt
from tests.in_process import InProcess
from tests.unit.artifacts.examples import PLAN

PLAIN = replace(PLAN, model=Factory("mlp", {"inputs": 64, "hidden": [8], "outputs": 10}))


def initialized(folder: Path, plan: Plan) -> InitializeResult:
    job = InitializeJob(cid_of(PLANS.encode(plan)))
    result = attempt(InProcess(), folder, job, lambda folder: put_plan(folder, plan))
    assert isinstance(result, InitializeResult)
    return result


def test_the_first_model_is_that_of_the_plan_s_seed(tmp_path: Path) -> None:
    found = initialized(tmp_path / "job", PLAIN)
    model, module = load_model(tmp_path / "job" / kinds.MODEL), module_of(PLAIN)
    assert found.model == cid_of_file(tmp_path / "job" / kinds.MODEL)
    assert model.header == ModelHeader(0, None, cid_of(PLANS.encode(PLAIN)))
    assert all(np.array_equal(array, model.parameters[name]) for name, array in parameters_of(module).items())
    assert model.buffers == model.fisher == {}


def test_another_seed_gives_another_model_and_the_same_one_the_same_bytes(tmp_path: Path) -> None:
    one, same = (initialized(tmp_path / name, PLAIN).model for name in ("one", "same"))
    other = initialized(tmp_path / "other", replace(PLAIN, initialization_seed=8)).model
    assert one == same != other


def test_a_plan_that_no_round_should_begin_with_makes_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the classes of the task 'digits'"):
        initialized(tmp_path / "job", replace(PLAN, model=Factory("mlp", {"inputs": 64, "hidden": [], "outputs": 9})))
    assert not (tmp_path / "job" / kinds.MODEL).exists()
