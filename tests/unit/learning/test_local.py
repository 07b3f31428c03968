"""One client's step, tried without chains, daemons or files: a pure function of plan, base, data, state and seed."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.artifacts.checkpoint import Work
from processor.artifacts.dataset import Dataset
from processor.artifacts.model import Model, ModelHeader
from processor.artifacts.plan import Argument, Factory, LocalWork, Optimizer, Plan
from processor.artifacts.private_state import FIRST_PRIVATE_STATE
from processor.artifacts.update import Learned
from processor.cid import cid_of
from processor.errors import ArtifactError, ConfigurationError, Interrupted, TrainingError
from processor.learning.checkpoint import load_checkpoint, save_checkpoint
from processor.learning.local import Between, LocalStep, Moment, learn
from processor.learning.models import build_model, parameters_of
from tests.unit.artifacts import examples

STEPS, FISHER_ROWS = 12, 40
CHUNKS = 3
NET: dict[str, Argument] = {"inputs": 4, "hidden": [5], "outputs": 3}
PLAN = replace(
    examples.PLAN,
    task=Factory("classification", {"features": 4, "classes": 3}),
    model=Factory("mlp", NET),
    optimizer=Optimizer("sgd", learning_rate=0.1, momentum=0.9),
    local=LocalWork(steps=STEPS, epochs=None, batch_size=4),
    ewc=replace(examples.PLAN.ewc, fisher_samples=FISHER_ROWS),
)
WORK = Work(1, "ab" * 32, cid_of(b"base"), cid_of(b"plan"), samples=50, steps=STEPS, rows=FISHER_ROWS)


def without_ewc(plan: Plan) -> Plan:
    return replace(plan, ewc=replace(plan.ewc, strength=0.0))


def base(fisher: float | None = 0.5) -> Model:
    parameters = parameters_of(build_model("mlp", NET, seed=0))
    sizes = {} if fisher is None else {name: np.full_like(array, fisher) for name, array in parameters.items()}
    return Model(ModelHeader(0, None, cid_of(b"plan")), parameters, {}, sizes)


def dataset(count: int = 50) -> Dataset:
    random = np.random.default_rng(0)
    return Dataset(random.normal(size=(count, 4)).astype(np.float32), random.integers(0, 3, count))


def learned(
    plan: Plan = PLAN,
    model: Model | None = None,
    seed: int = 1,
    between: Between = lambda moment: None,
) -> Learned:
    return learn(plan, base() if model is None else model, dataset(), FIRST_PRIVATE_STATE, seed, between=between)


def bits(learned: Learned) -> dict[str, bytes]:
    groups = {"delta": learned.delta, "buffer": learned.buffers, "fisher": learned.fisher}
    return {f"{kind}/{name}": array.tobytes() for kind, group in groups.items() for name, array in group.items()}


def test_the_same_values_give_the_same_bits_and_another_seed_gives_others() -> None:
    assert bits(learned()) == bits(learned())
    assert bits(learned(seed=2)) != bits(learned(seed=1))


def test_a_step_changes_neither_its_base_nor_its_data() -> None:
    model, data = base(), dataset()
    before = [array.tobytes() for array in (*model.parameters.values(), data.features, data.labels)]
    learn(PLAN, model, data, FIRST_PRIVATE_STATE, 1)
    assert [array.tobytes() for array in (*model.parameters.values(), data.features, data.labels)] == before


def test_the_delta_leads_from_the_base_to_what_was_trained() -> None:
    step = LocalStep(PLAN, base(), dataset(), FIRST_PRIVATE_STATE, seed=1)
    step.train(lambda moment: None)
    delta, trained = step.learned().delta, parameters_of(step.module)
    for name, start in base().parameters.items():
        np.testing.assert_array_equal(delta[name], trained[name] - start)


def test_a_model_without_fisher_information_has_no_pull_yet_and_measures_its_own() -> None:
    free = learned(model=base(fisher=None))
    assert bits(replace(free, fisher={})) == bits(learned(without_ewc(PLAN), base(fisher=None)))
    assert free.fisher.keys() == free.delta.keys()
    assert all(array.dtype == np.float32 and bool((array >= 0).all()) for array in free.fisher.values())


def test_a_base_with_fisher_information_pulls() -> None:
    assert bits(replace(learned(), fisher={})) != bits(learned(without_ewc(PLAN)))


def test_without_ewc_no_fisher_information_is_measured() -> None:
    moments: list[Moment] = []
    assert learned(without_ewc(PLAN), between=moments.append).fisher == {}
    assert [str(moment) for moment in moments] == [f"step {step} of {STEPS}" for step in range(1, STEPS + 1)]
    assert {moment.rows for moment in moments} == {0}


def test_every_step_and_every_chunk_is_told_with_the_loss_of_the_last_step() -> None:
    moments: list[Moment] = []
    learned(between=moments.append)
    assert [(moment.step, moment.row) for moment in moments] == [
        *((step, 0) for step in range(1, STEPS + 1)),
        *((STEPS, row) for row in (16, 32, 40)),
    ]
    assert {(moment.steps, moment.rows) for moment in moments} == {(STEPS, FISHER_ROWS)}
    losses = [moment.loss for moment in moments]
    assert len(set(losses)) == STEPS and losses[STEPS - 1 :] == [losses[-1]] * (CHUNKS + 1)
    assert str(moments[-1]) == "row 40 of 40 for the Fisher information"


def test_a_base_model_of_another_plan_is_refused() -> None:
    with pytest.raises(ArtifactError, match="does not fit the plan's model"):
        learned(replace(PLAN, model=Factory("mlp", {**NET, "hidden": [6]})))


def test_a_plan_that_names_what_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no task called 'other'"):
        learned(replace(PLAN, task=Factory("other", {})))


def test_parameters_that_are_no_numbers_any_more_are_an_error() -> None:
    step = LocalStep(PLAN, base(), dataset(), FIRST_PRIVATE_STATE, seed=1)
    with torch.no_grad():
        step.module.get_parameter("layer1.bias").fill_(float("inf"))
    with pytest.raises(TrainingError, match="numbers that are not finite"):
        step.learned()


def test_what_is_printed_of_a_step_holds_neither_data_nor_seed() -> None:
    step = LocalStep(PLAN, base(), dataset(), FIRST_PRIVATE_STATE, seed=987654321)
    assert repr(step) == object.__repr__(step)
    assert "987654321" not in repr(step.progress)


@settings(deadline=None, max_examples=12)
@given(st.data())
def test_a_step_that_is_killed_anywhere_and_gone_on_with_gives_the_same_bits(choice: st.DataObject) -> None:
    """A kill is an exception that nobody catches; what is left is what was saved, at some moment before it."""
    whole = STEPS + CHUNKS
    kills = choice.draw(st.lists(st.integers(1, whole), max_size=3))
    saves = choice.draw(st.sets(st.integers(1, whole), max_size=5))
    assert bits(through_kills(kills, saves)) == bits(learned())


class Killed(BaseException):
    pass


def through_kills(kills: list[int], saves: set[int]) -> Learned:
    """The step by a series of processes that each end after so many pieces, the last one at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        for kill in [*kills, 0]:
            step = LocalStep(PLAN, base(), dataset(), FIRST_PRIVATE_STATE, seed=1)
            if path.exists():
                step.progress, step.sums, _ = load_checkpoint(path, WORK, step.module)
            between = saving(step, path, kill, saves)
            try:
                step.train(between)
                step.measure(between)
            except Killed:
                continue
            return step.learned()
    raise AssertionError("the last process is not killed")


def saving(step: LocalStep, path: Path, kill: int, saves: set[int]) -> Between:
    pieces = itertools.count(1)

    def between(moment: Moment) -> None:
        piece = next(pieces)
        if piece == kill:
            raise Killed
        if piece in saves:
            save_checkpoint(path, WORK, step.module, step.progress, step.sums, metered_ms=piece)

    return between


def test_an_exception_between_two_pieces_comes_out_as_it_is() -> None:
    def stop(moment: Moment) -> None:
        raise Interrupted(f"stopped at {moment}")

    with pytest.raises(Interrupted, match=f"stopped at step 1 of {STEPS}"):
        learned(between=stop)
