"""Local training, readable top to bottom: batches, the optimizer's step, the pull of the anchor.

It can stop after any step and go on later. On the processor it then ends in the very same bits as without the stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from processor.artifacts.dataset import Dataset
from processor.artifacts.plan import LocalWork, Optimizer
from processor.errors import TrainingError
from processor.learning.device import home_of
from processor.learning.ewc import Anchor, proximal_step
from processor.learning.tasks import Task

SEED_BITS = 53
"""What an integer of JSON can have, so that a checkpoint's header holds a seed."""


@dataclass
class Progress:
    """How far a training is. Together with the module it is all that the steps to come depend on.

    `seed`, a number of at most `SEED_BITS`, is the client's own and never published: it decides the order of the
    samples and, with the number of a step, every random number that the model draws in it. `momentum` is the
    optimizer's, by parameter name. `loss` is that of the last step, None before the first that was done here: nothing
    depends on it.
    """

    seed: int = field(repr=False)
    step: int = 0
    momentum: dict[str, Tensor] = field(default_factory=dict, repr=False)
    loss: float | None = field(default=None, repr=False, compare=False)


def train(
    module: nn.Module,
    task: Task,
    dataset: Dataset,
    *,
    optimizer: Optimizer,
    work: LocalWork,
    anchor: Anchor | None,
    strength: float,
    progress: Progress,
    on_step: Callable[[int, int], None] | None = None,
) -> None:
    """Trains `module` in place on the client's own data, where the module is, from where `progress` says it stands.

    After every step of SGD the anchor pulls with `strength` (lambda; see ewc.proximal_step). Then `progress` is brought
    up to date and `on_step(done, steps)` told: an exception that it raises stops the training between two steps.
    Raises TrainingError when the loss is no longer a finite number.
    """
    device, steps = home_of(module), work.steps_of(len(dataset))
    anchor = anchor.to(device) if anchor is not None and strength > 0 else None

    module.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for rows in _batches(len(dataset), work, progress.seed, first=progress.step):
            _reseed(device, _derived(progress.seed, "step", progress.step))
            inputs, labels = task.batch(dataset, rows)
            loss = task.loss(module(inputs.to(device)), labels.to(device))
            found = loss.item()
            if not math.isfinite(found):
                raise TrainingError(
                    f"the loss is {found} at step {progress.step + 1} of {steps}: training diverged. "
                    f"A learning rate below the plan's {optimizer.learning_rate} may help; check the data's scale too."
                )
            module.zero_grad()
            loss.backward()
            descend(module, optimizer, progress.momentum)
            if anchor is not None:
                proximal_step(module, anchor, strength, optimizer.learning_rate)
            progress.step, progress.loss = progress.step + 1, found
            if on_step is not None:
                on_step(progress.step, steps)


@torch.no_grad()
def descend(module: nn.Module, optimizer: Optimizer, momentum: dict[str, Tensor]) -> None:
    """One step of stochastic gradient descent along the gradients of the module's parameters, which it changes, as well
    as their `momentum`. The bits are those of `torch.optim.SGD`, which would import torch's compiler: a second and a
    half, and 75 MB.
    """
    moved = {name: parameter for name, parameter in module.named_parameters() if parameter.grad is not None}
    gradients = [parameter.grad for parameter in moved.values() if parameter.grad is not None]
    buffers = [momentum.get(name) for name in moved]
    sgd(
        list(moved.values()),
        gradients,
        buffers,
        has_sparse_grad=any(gradient.is_sparse for gradient in gradients),
        lr=optimizer.learning_rate,
        momentum=optimizer.momentum,
        weight_decay=0,
        dampening=0,
        nesterov=False,
        maximize=False,
    )
    if optimizer.momentum:
        momentum.update({name: buffer for name, buffer in zip(moved, buffers, strict=True) if buffer is not None})


def _batches(count: int, work: LocalWork, seed: int, first: int) -> Iterator[Tensor]:
    """The row numbers, 0..count-1, of the batches from step `first` on: one shuffled pass over the data after another.

    Batches run on from one pass into the next, so that work counted in steps is the same for small and large data. The
    order of a pass depends on the seed and its number alone: any step can be the first.
    """
    samples, order, shuffled = work.samples_of(count), np.empty(0, np.int64), -1
    for start in range(first * work.batch_size, samples, work.batch_size):
        position, end, batch = start, min(start + work.batch_size, samples), []
        while position < end:
            passed, within = divmod(position, count)
            if passed != shuffled:
                order, shuffled = np.random.default_rng(_derived(seed, "pass", passed)).permutation(count), passed
            batch.append(order[within : within + end - position])
            position += len(batch[-1])
        yield torch.from_numpy(np.concatenate(batch))


def _reseed(device: torch.device, seed: int) -> None:
    """What `torch.manual_seed` does, for one device, and without the half a millisecond that it takes."""
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    torch.default_generator.manual_seed(seed)


def _derived(seed: int, what: str, number: int) -> int:
    """A seed for one use of the private one, unrelated to those of all other uses."""
    return int.from_bytes(blake2b(f"{what} {number}".encode(), key=seed.to_bytes(8), digest_size=8).digest())
