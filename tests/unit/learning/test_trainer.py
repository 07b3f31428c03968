from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from processor.artifacts.dataset import Dataset
from processor.artifacts.plan import LocalWork, Optimizer
from processor.errors import TrainingError
from processor.learning import trainer
from processor.learning.evaluation import measure
from processor.learning.ewc import Anchor
from processor.learning.models import build_model, parameters_of
from processor.learning.tasks import get_task
from processor.learning.trainer import SEED_BITS, Progress, descend, train

SGD = Optimizer(name="sgd", learning_rate=0.1, momentum=0.0)
TEN_STEPS = LocalWork(steps=10, epochs=None, batch_size=8)
TASK = get_task("classification", {"features": 4, "classes": 3})
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
    train(
        module,
        TASK,
        corners(),
        optimizer=optimizer,
        work=work,
        anchor=anchor,
        strength=strength,
        progress=Progress(seed),
    )
    return parameters_of(module)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_training_learns() -> None:
    module = build_model("mlp", NET, seed=0)
    work = LocalWork(steps=None, epochs=30, batch_size=8)
    train(module, TASK, corners(), optimizer=SGD, work=work, anchor=None, strength=0, progress=Progress(seed=0))
    assert measure(module, TASK, corners(3000)) == {"accuracy": 1.0}


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
        TASK,
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


def test_progress_says_the_loss_of_the_last_step() -> None:
    module, progress, told = build_model("mlp", NET, seed=0), Progress(seed=0), list[float]()
    work = LocalWork(steps=None, epochs=20, batch_size=30)
    train(
        module,
        TASK,
        corners(),
        optimizer=SGD,
        work=work,
        anchor=None,
        strength=0,
        progress=progress,
        on_step=lambda done, steps: told.append(progress.loss or 0.0),
    )
    with torch.no_grad():
        first = TASK.loss(build_model("mlp", NET, seed=0)(torch.from_numpy(corners().features)), labels_of(corners()))
    assert told[0] == pytest.approx(float(first), rel=1e-5)
    assert told == sorted(told, reverse=True) and told[-1] > 0


def labels_of(dataset: Dataset) -> Tensor:
    return torch.from_numpy(dataset.labels)


# ------------------------------------------------------------------------------------------------------- the optimizer


class Parts(nn.Module):
    """Parameters of several shapes and types, one of them frozen, one that gets no gradient, and one that is used
    under two names."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.matrix = nn.Parameter(torch.randn(3, 5, generator=draw))
        self.vector = nn.Parameter(torch.randn(4, generator=draw, dtype=torch.float64))
        self.scalar = nn.Parameter(torch.randn((), generator=draw))
        self.again = self.matrix
        self.frozen = nn.Parameter(torch.randn(2, generator=draw), requires_grad=False)
        self.unused = nn.Parameter(torch.randn(2, generator=draw))

    def draw_gradients(self, draw: torch.Generator) -> None:
        for parameter in (self.matrix, self.vector, self.scalar):
            parameter.grad = torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype) * 10

    @property
    def bits(self) -> dict[str, bytes]:
        return {name: parameter.detach().numpy().tobytes() for name, parameter in self.named_parameters()}


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**31),
    st.floats(1e-6, 1e3),
    st.one_of(st.just(0.0), st.floats(0, 1, exclude_max=True)),
    st.integers(1, 6),
)
def test_a_step_has_the_very_bits_of_the_optimizer_of_torch(
    seed: int, learning_rate: float, momentum: float, steps: int
) -> None:
    ours = Parts(seed)
    theirs, kept = copy.deepcopy(ours), dict[str, Tensor]()
    descent = torch.optim.SGD(theirs.parameters(), lr=learning_rate, momentum=momentum)
    for module, step in (
        (ours, lambda: descend(ours, Optimizer("sgd", learning_rate, momentum), kept)),
        (theirs, descent.step),
    ):
        draw = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            module.draw_gradients(draw)
            step()
    assert ours.bits == theirs.bits
    state = {name: descent.state[parameter] for name, parameter in theirs.named_parameters()}
    assert kept.keys() == {name for name, found in state.items() if found}
    assert all(torch.equal(kept[name], state[name]["momentum_buffer"]) for name in kept)


FRESH = """
import sys
from tests.unit.learning.test_trainer import LocalWork, Optimizer, trained
work = LocalWork(steps=20, epochs=None, batch_size=8)
trained(work=work, optimizer=Optimizer("sgd", 0.1, 0.9))
assert "torch" in sys.modules
print("torch._dynamo" in sys.modules)
"""


def test_training_never_imports_the_compiler_of_torch() -> None:
    printed = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"
