"""Elastic Weight Consolidation: what was learned before holds the parameters that it needs.

The penalty is lambda/2 * sum_i F_i (theta_i - theta*_i)^2 (Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting
in neural networks", eq. 3), with F the diagonal of the Fisher information and theta* the centre.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from processor.artifacts.dataset import Dataset
from processor.errors import ArtifactError
from processor.learning.device import home_of
from processor.learning.tasks import Task


@dataclass(frozen=True)
class Anchor:
    """Where a quadratic penalty pulls (`centre`) and how hard (`fisher` >= 0), by parameter name.

    Raises ArtifactError if the two differ in names or shapes, or a Fisher is negative: it would push away.
    """

    centre: Mapping[str, Tensor]
    fisher: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        if self.centre.keys() != self.fisher.keys():
            raise ArtifactError("an anchor's centre and Fisher information name different parameters", code="shape")
        for name, fisher in self.fisher.items():
            if fisher.shape != self.centre[name].shape:
                raise ArtifactError(f"the Fisher information of {name} differs in shape from its centre", code="shape")
            if not bool((fisher >= 0).all()):
                what = f"the Fisher information of {name} is negative or not a number somewhere"
                raise ArtifactError(what, code="negative_fisher")

    def to(self, device: torch.device) -> Anchor:
        return Anchor(
            centre={name: tensor.to(device) for name, tensor in self.centre.items()},
            fisher={name: tensor.to(device) for name, tensor in self.fisher.items()},
        )


@torch.no_grad()
def proximal_step(module: nn.Module, anchor: Anchor, strength: float, learning_rate: float) -> None:
    """Pulls the parameters to the anchor: theta <- (theta + a theta*) / (1 + a), with a = learning_rate * strength * F.

    The implicit (proximal) step on the penalty. It ends between theta and theta* whatever the strength, where the
    explicit gradient step diverges as soon as a > 2.
    """
    for name, parameter in module.named_parameters():
        pull = (learning_rate * strength * anchor.fisher[name].double()).clamp(max=torch.finfo(torch.float64).max)
        parameter.lerp_(anchor.centre[name], (pull / (1 + pull)).to(parameter.dtype))


def merge(anchors: Sequence[Anchor]) -> Anchor:
    """One anchor whose penalty is the sum of the penalties of all, up to a constant.

    A = sum F_k with centre sum F_k theta_k / A (completing the square); where A is 0 the first centre stays.
    """
    first = anchors[0]
    fisher: dict[str, Tensor] = {}
    centre: dict[str, Tensor] = {}
    for name, start in first.centre.items():
        total = sum((anchor.fisher[name].double() for anchor in anchors), torch.zeros_like(start, dtype=torch.float64))
        moment = sum((anchor.fisher[name].double() * anchor.centre[name].double() for anchor in anchors), total * 0)
        fisher[name] = total.to(start.dtype)
        centre[name] = torch.where(total > 0, moment / total, start.double()).to(start.dtype)
    return Anchor(centre, fisher)


@dataclass
class FisherSums:
    """How far an estimate of the Fisher information is: the sums over the first `rows` rows, float64, by parameter."""

    rows: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict, repr=False)


def import_ahead() -> None:
    """Imports what `fisher_information` needs at its first chunk, torch's compiler: a second and a half that nobody is
    to be metered for."""
    importlib.import_module("torch._dynamo")


def fisher_information(
    module: nn.Module,
    task: Task,
    dataset: Dataset,
    max_samples: int,
    chunk: int = 16,
    done: FisherSums | None = None,
    on_chunk: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """The exact diagonal Fisher information of the model at its parameters, a mean per sample, float32 and >= 0.

    F = mean_x sum_k w_k(x) (d s_k(x) / d theta)^2, with weights and scores of the task's likelihood: for classes, the
    probability of each and its logarithm. The expectation runs over the model's own predictions and not over the
    labels, which would give the "empirical" Fisher (Kunstner et al. 2019, "Limitations of the empirical Fisher
    approximation"). At most `max_samples` rows of the data are used, evenly spread over all; `chunk` rows at a time,
    each taking the memory of one gradient per score.

    It goes on from where `done` stands. After every chunk `done` is brought up to date and `on_chunk(rows, used)` told:
    an exception that it raises stops the estimate between two chunks.
    """
    module.eval()
    device, done, likelihood = home_of(module), FisherSums() if done is None else done, task.likelihood
    used = rows_used(len(dataset), max_samples)
    rows = torch.from_numpy(np.arange(used) * len(dataset) // used)
    parameters = {name: tensor.detach() for name, tensor in module.named_parameters()}
    buffers = {name: tensor.detach() for name, tensor in module.named_buffers()}

    def scores(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        outputs: Tensor = functional_call(module, (parameters, buffers), (row.unsqueeze(0),)).squeeze(0)
        return likelihood.scores(outputs)

    jacobian = vmap(jacrev(scores), in_dims=(None, 0))
    if not done.sums:
        done.sums = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in parameters.items()}
    squares: dict[str, Tensor] = {}
    for start in range(done.rows, used, chunk):
        part = task.batch(dataset, rows[start : start + chunk])[0].to(device)
        with torch.no_grad():
            weights = likelihood.weights(functional_call(module, (parameters, buffers), (part,)))
        for name, gradients in jacobian(parameters, part).items():
            room = squares.setdefault(name, torch.empty_like(gradients))
            squared = torch.square(gradients, out=room[: len(part)])
            done.sums[name] += torch.tensordot(weights, squared, dims=2)
        done.rows += len(part)
        if on_chunk is not None:
            on_chunk(done.rows, used)
    return {name: (sums / used).to(torch.float32).cpu().numpy() for name, sums in done.sums.items()}


def rows_used(count: int, max_samples: int) -> int:
    """How many of `count` rows an estimate of the Fisher information uses."""
    return min(max_samples, count)
