from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from processor.artifacts.plan import LocalWork, Optimizer
from processor.errors import TrainingError
from processor.learning import trainer
from processor.learning.evaluation import accuracy
from processor.learning.ewc import Anchor
from processor.learning.models import build_model, parameters_of
from processor.learning.tasks import Dataset
from processor.learning.trainer import SEED_BITS, Progress, train

SGD = Optimizer(name="sgd", learning_rate=0.1, momentum=0.0)
TEN_STEPS = LocalWork(steps=10, epochs=None, batch_size=8)
NET = {"inputs": 4, "hidden": [16], "outputs": 3}


def corners(count: int = 30) -> Dataset:
    labels = np.arange(count) % 3
    noise = np.random.default_rng(0).normal(scale=0.1, size=(count, 4))
    return Dataset((np.eye(3, 4)[labels] + noise).astype(np.float32), labels)


def trained(
    seed: int = 1,
    work: LocalWork = TEN_STEPS,
    optimizer: Optimizer = SGD,
    anchor: Anchor | None = None,
    strength: float = 0.0,
) -> dict[str, np.ndarray]:
    module = build_model("mlp", NET, seed=0)
    train(module, corners(), optimizer=optimizer, work=work, anchor=anchor, strength=strength, progress=Progress(seed))
    return parameters_of(module)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_training_learns() -> None:
    module = build_model("mlp", NET, seed=0)
    work = LocalWork(steps=None, epochs=30, batch_size=8)
    train(module, corners(), optimizer=SGD, work=work, anchor=None, strength=0, progress=Progress(seed=0))
    assert accuracy(module, corners(3000)) == 1.0


def test_the_seed_decides_the_order_of_the_samples() -> None:
    assert same(trained(seed=1), trained(seed=1))
    assert not same(trained(seed=1), trained(seed=2))


def test_momentum_is_used() -> None:
    assert not same(trained(), trained(optimizer=Optimizer(name="sgd", learning_rate=0.1, momentum=0.9)))


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (LocalWork(steps=7, epochs=None, batch_size=8), [8] * 7),
        (LocalWork(steps=3, epochs=None, batch_size=50), [50] * 3),
        (LocalWork(steps=None, epochs=1, batch_size=8), [8, 8, 8, 6]),
        (LocalWork(steps=None, epochs=2, batch_size=20), [20, 20, 20]),
    ],
)
def test_steps_take_full_batches_and_epochs_take_every_sample(work: LocalWork, expected: list[int]) -> None:
    module, sizes, told = build_model("mlp", NET, seed=0), [], []
    module.register_forward_hook(lambda _module, _inputs, output: sizes.append(len(output)))
    train(
        module,
        corners(),
        optimizer=SGD,
        work=work,
        anchor=None,
        strength=0,
        progress=Progress(seed=0),
        on_step=lambda done, steps: told.append((done, steps)),
    )
    assert sizes == expected
    assert told == [(done, len(expected)) for done in range(1, len(expected) + 1)]


def test_every_pass_takes_each_sample_once() -> None:
    work = LocalWork(steps=None, epochs=3, batch_size=4)
    batches = list(trainer._batches(count=10, work=work, seed=5, first=0))
    passes = torch.cat(batches).split(10)
    assert [sorted(passed.tolist()) for passed in passes] == [list(range(10))] * 3
    assert len({tuple(passed.tolist()) for passed in passes}) == 3


@given(st.integers(1, 20), st.integers(1, 8), st.integers(1, 12), st.integers(0, 2**SEED_BITS - 1), st.data())
def test_the_batches_from_any_step_on_are_those_of_the_whole_training(
    count: int, steps: int, batch_size: int, seed: int, data: st.DataObject
) -> None:
    work = LocalWork(steps=steps, epochs=None, batch_size=batch_size)
    first = data.draw(st.integers(0, steps))
    whole = [batch.tolist() for batch in trainer._batches(count, work, seed, first=0)]
    assert [batch.tolist() for batch in trainer._batches(count, work, seed, first)] == whole[first:]


def test_training_leaves_the_random_numbers_of_everybody_else_alone() -> None:
    before = torch.get_rng_state()
    trained()
    assert torch.equal(torch.get_rng_state(), before)


def base_anchor(fisher: float) -> Anchor:
    centre = {name: torch.from_numpy(array) for name, array in parameters_of(build_model("mlp", NET, seed=0)).items()}
    return Anchor(centre, {name: torch.full_like(value, fisher) for name, value in centre.items()})


def test_a_stronger_anchor_keeps_the_model_nearer() -> None:
    start = parameters_of(build_model("mlp", NET, seed=0))
    anchor = base_anchor(1.0)
    moved = [
        sum(float(((after[name] - start[name]) ** 2).sum()) for name in start)
        for after in (trained(anchor=anchor, strength=strength) for strength in (0, 0.1, 1, 10, 1e12))
    ]
    assert moved == sorted(moved, reverse=True) and moved[0] > moved[1] > moved[2] > moved[3]
    assert moved[4] < 1e-20


def test_an_anchor_of_strength_zero_changes_nothing() -> None:
    assert same(trained(), trained(anchor=base_anchor(1.0), strength=0.0))


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d+ of 10: training diverged"):
        trained(optimizer=Optimizer(name="sgd", learning_rate=1e30, momentum=0.0))
