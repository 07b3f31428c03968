"""One client's step: what a plan has everybody do with their own data, with nothing of chains, daemons or files in it.

It can be stopped after any piece of it and gone on with later (see trainer.train and ewc.fisher_information).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field

import numpy as np
import torch
from torch import nn

from processor.artifacts.dataset import Dataset
from processor.artifacts.model import Model
from processor.artifacts.plan import Plan
from processor.artifacts.private_state import PrivateState
from processor.artifacts.update import Learned
from processor.errors import TrainingError
from processor.learning.device import CPU
from processor.learning.ewc import Anchor, FisherSums, fisher_information, rows_used
from processor.learning.models import buffers_of, load_parameters, parameters_of
from processor.learning.resolve import module_of, task_of
from processor.learning.tasks import Task
from processor.learning.trainer import Progress, train


@dataclass(frozen=True)
class Moment:
    """Between two pieces of a step: `step` of `steps` of the optimizer are done, and of the Fisher information `row` of
    `rows`. `loss` is that of the last step; None where that was done by another process."""

    step: int
    steps: int
    row: int
    rows: int
    loss: float | None

    def __str__(self) -> str:
        if self.row:
            return f"row {self.row} of {self.rows} for the Fisher information"
        return f"step {self.step} of {self.steps}"


Between = Callable[[Moment], None]
"""Told after every piece of a step. An exception that it raises stops the step there."""


def learn(
    plan: Plan,
    base: Model,
    dataset: Dataset,
    state: PrivateState,
    seed: int,
    device: torch.device = CPU,
    between: Between = lambda moment: None,
) -> Learned:
    """What a client learns in one round, from start to end; the same on the processor for the same values.

    `state` is what the client carries from its releases: no plan lets anything that is learned depend on it. `seed`, of
    at most trainer.SEED_BITS, is the client's own and never published.

    Raises TrainingError where the training diverges, ArtifactError for a base model that is not the plan's,
    ConfigurationError for a plan whose task or model is not known.
    """
    work = LocalStep(plan, base, dataset, state, seed, device)
    work.train(between)
    work.measure(between)
    return work.learned()


@dataclass(repr=False)
class LocalStep:
    """One client's step in its pieces: `train`, `measure`, `learned`.

    `module`, `progress` and `sums` are all that the pieces to come depend on: whoever puts back those of before (see
    learning.checkpoint) goes on from there. Raises as `learn`.
    """

    plan: Plan
    base: Model
    dataset: Dataset
    state: PrivateState
    seed: InitVar[int]
    device: torch.device = CPU
    module: nn.Module = field(init=False)
    progress: Progress = field(init=False)
    sums: FisherSums = field(init=False)
    _task: Task = field(init=False)
    _fisher: Mapping[str, np.ndarray] = field(init=False, default_factory=dict)

    def __post_init__(self, seed: int) -> None:
        self._task, self.module = task_of(self.plan), module_of(self.plan)
        load_parameters(self.module, self.base.parameters, self.base.buffers)
        self.module.to(self.device)
        self.progress, self.sums = Progress(seed), FisherSums()

    @property
    def steps(self) -> int:
        """Of the optimizer, in all."""
        return self.plan.local.steps_of(len(self.dataset))

    @property
    def rows(self) -> int:
        """Of the data, for the Fisher information; 0 where the plan asks for none."""
        return rows_used(len(self.dataset), self.plan.ewc.fisher_samples) if self.plan.measures_fisher else 0

    @property
    def moment(self) -> Moment:
        return Moment(self.progress.step, self.steps, self.sums.rows, self.rows, self.progress.loss)

    def train(self, between: Between) -> None:
        """Trains on the base model, held by its Fisher information where the plan says so."""
        train(
            self.module,
            self._task,
            self.dataset,
            optimizer=self.plan.optimizer,
            work=self.plan.local,
            anchor=_anchor(self.base) if self.plan.anchored else None,
            strength=self.plan.ewc.strength,
            progress=self.progress,
            on_step=lambda done, steps: between(self.moment),
        )

    def measure(self, between: Between) -> None:
        """Measures the Fisher information of the client's data, once it is trained and where the plan asks for it."""
        if self.plan.measures_fisher:
            self._fisher = fisher_information(
                self.module,
                self._task,
                self.dataset,
                self.plan.ewc.fisher_samples,
                done=self.sums,
                on_chunk=lambda done, rows: between(self.moment),
            )

    def learned(self) -> Learned:
        """What was learned, on the processor. Raises TrainingError where that is no finite number somewhere."""
        delta = {name: value - self.base.parameters[name] for name, value in parameters_of(self.module).items()}
        if not all(np.isfinite(value).all() for value in delta.values()):
            raise TrainingError(
                "training ended in numbers that are not finite: the plan's learning rate may be too high"
            )
        return Learned(delta, buffers_of(self.module), self._fisher)


def _anchor(base: Model) -> Anchor | None:
    """Where EWC pulls: the base model, as hard as its Fisher information says; a model without one has no pull yet."""
    if not base.fisher:
        return None
    return Anchor(
        centre={name: torch.from_numpy(value) for name, value in base.parameters.items()},
        fisher={name: torch.from_numpy(value) for name, value in base.fisher.items()},
    )
