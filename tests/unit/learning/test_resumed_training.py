"""A training that was stopped, written to disk and gone on with ends in the same bits as one that never stopped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from processor.artifacts.checkpoint import Work
from processor.artifacts.dataset import Dataset
from processor.artifacts.plan import LocalWork, Optimizer
from processor.cid import cid_of
from processor.errors import Interrupted
from processor.learning.checkpoint import load_checkpoint, save_checkpoint
from processor.learning.ewc import Anchor, FisherSums, fisher_information, rows_used
from processor.learning.tasks import get_task
from processor.learning.trainer import SEED_BITS, Progress, train

FEATURES, CLASSES = 4, 3
BASE, PLAN_CID = cid_of(b"base"), cid_of(b"plan")
FISHER_SAMPLES, CHUNK = 20, 4
TASK = get_task("classification", {"features": FEATURES, "classes": CLASSES})


def net() -> nn.Module:
    """Draws random numbers in every step, carries buffers, and has a parameter that is never trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Linear(FEATURES, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, CLASSES)
        )
    module.register_parameter("unused", nn.Parameter(torch.ones(2)))
    return module


def data(count: int) -> Dataset:
    random = np.random.default_rng(count)
    return Dataset(random.normal(size=(count, FEATURES)).astype(np.float32), random.integers(0, CLASSES, count))


@dataclass(frozen=True)
class Whole:
    """A whole local work: training with an anchor, then the Fisher information."""

    dataset: Dataset
    local: LocalWork
    momentum: float
    seed: int

    @property
    def work(self) -> Work:
        count = len(self.dataset)
        steps, rows = self.local.steps_of(count), rows_used(count, FISHER_SAMPLES)
        return Work(1, "ab" * 32, BASE, PLAN_CID, samples=count, steps=steps, rows=rows)

    @property
    def moments(self) -> int:
        """How often it can be stopped: after every step and every chunk."""
        return self.work.steps + -(-self.work.rows // CHUNK)

    def do(
        self, module: nn.Module, progress: Progress, sums: FisherSums, between: Callable[[], None]
    ) -> dict[str, np.ndarray]:
        start = {name: parameter.detach().clone() for name, parameter in net().named_parameters()}
        train(
            module,
            TASK,
            self.dataset,
            optimizer=Optimizer("sgd", learning_rate=0.1, momentum=self.momentum),
            work=self.local,
            anchor=Anchor(start, {name: torch.full_like(value, 0.5) for name, value in start.items()}),
            strength=1.0,
            progress=progress,
            on_step=lambda done, steps: between(),
        )
        return fisher_information(
            module,
            TASK,
            self.dataset,
            FISHER_SAMPLES,
            CHUNK,
            done=sums,
            on_chunk=lambda rows, used: between(),
        )


wholes = st.builds(
    Whole,
    dataset=st.integers(2, 30).map(data),
    local=st.builds(LocalWork, steps=st.integers(1, 12), epochs=st.none(), batch_size=st.integers(2, 9)),
    momentum=st.sampled_from([0.0, 0.9]),
    seed=st.integers(0, 2**SEED_BITS - 1),
)


def outcome(module: nn.Module, fisher: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Every bit of what was learned."""
    state = {name: tensor.numpy().tobytes() for name, tensor in module.state_dict().items()}
    return state | {f"fisher of {name}": array.tobytes() for name, array in fisher.items()}


def uninterrupted(whole: Whole) -> dict[str, bytes]:
    module = net()
    return outcome(module, whole.do(module, Progress(whole.seed), FisherSums(), lambda: None))


def with_stops(whole: Whole, stops: set[int], path: Path) -> dict[str, bytes]:
    """The same work by a series of programs, each of which ends at one of the stops and leaves a file to the next."""
    passed = 0
    while True:
        module, progress, sums = net(), Progress(whole.seed), FisherSums()
        if path.exists():
            progress, sums, _ = load_checkpoint(path, whole.work, module)

        def between() -> None:
            nonlocal passed
            passed += 1
            if passed in stops:
                save_checkpoint(path, whole.work, module, progress, sums, passed)  # noqa: B023  (called in this turn only)
                raise Interrupted("stopped")

        torch.rand(3)  # another program's random numbers are elsewhere
        try:
            return outcome(module, whole.do(module, progress, sums, between))
        except Interrupted:
            continue


@settings(deadline=None, max_examples=40)
@given(wholes, st.data())
def test_a_training_that_is_stopped_anywhere_and_resumed_gives_the_same_bits(
    whole: Whole, choice: st.DataObject
) -> None:
    stops = choice.draw(st.sets(st.integers(1, whole.moments), max_size=4))
    with tempfile.TemporaryDirectory() as folder:
        assert with_stops(whole, stops, Path(folder) / "checkpoint") == uninterrupted(whole)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_training_that_is_stopped_after_every_step_gives_the_same_bits(tmp_path: Path, momentum: float) -> None:
    whole = Whole(data(13), LocalWork(steps=None, epochs=3, batch_size=5), momentum, seed=7)
    everywhere = set(range(1, whole.moments + 1))
    assert whole.moments == 8 + 4
    assert with_stops(whole, everywhere, tmp_path / "checkpoint") == uninterrupted(whole)


def test_the_random_numbers_of_a_step_differ_from_those_of_another() -> None:
    """Were they drawn again from one seed in every step, dropout would always drop the same."""
    module, drawn = nn.Sequential(nn.Dropout(0.5), nn.Linear(FEATURES, CLASSES)), []
    module[0].register_forward_hook(lambda _module, _inputs, output: drawn.append((output == 0).tolist()))
    ones = Dataset(np.ones((4, FEATURES), np.float32), np.zeros(4, np.int64))
    train(
        module,
        TASK,
        ones,
        optimizer=Optimizer("sgd", learning_rate=0.1, momentum=0.0),
        work=LocalWork(steps=5, epochs=None, batch_size=4),
        anchor=None,
        strength=0.0,
        progress=Progress(seed=3),
    )
    assert len({str(mask) for mask in drawn}) == 5


def test_what_a_training_logs_of_itself_holds_neither_seed_nor_parameters() -> None:
    assert repr(Progress(seed=123456789, step=4, momentum={"w": torch.ones(1)})) == "Progress(step=4)"
    assert repr(FisherSums(2, {"w": torch.ones(1)})) == "FisherSums(rows=2)"
