"""Local training, readable top to bottom: batches, the optimizer's step, the pull of the anchor.

It can stop after any step and go on later. On the processor it then ends in the very same bits as without the stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import torch
import torch._dynamo  # noqa: F401  (the first use of an optimizer imports it: two seconds that nobody should be metered for)
from torch import Tensor, nn

from processor.artifacts.plan import LocalWork, Optimizer
from processor.errors import TrainingError
from processor.learning.device import home_of
from processor.learning.ewc import Anchor, proximal_step
from processor.learning.tasks import Dataset

SEED_BITS = 53
"""What an integer of JSON can have, so that a checkpoint's header holds a seed."""


@dataclass
class Progress:
    """How far a training is. Together with the module it is all that the steps to come depend on.

    `seed`, a number of at most `SEED_BITS`, is the client's own and never published: it decides the order of the
    samples and, with the number of a step, every random number that the model draws in it. `momentum` is the
    optimizer's, by parameter name.
    """

    seed: int = field(repr=False)
    step: int = 0
    momentum: dict[str, Tensor] = field(default_factory=dict, repr=False)


def train(
    module: nn.Module,
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
    features, labels = torch.from_numpy(dataset.features), torch.from_numpy(dataset.labels)
    anchor = anchor.to(device) if anchor is not None and strength > 0 else None
    descent = torch.optim.SGD(module.parameters(), lr=optimizer.learning_rate, momentum=optimizer.momentum)
    parameters = dict(module.named_parameters())
    for name, momentum in progress.momentum.items():
        descent.state[parameters[name]]["momentum_buffer"] = momentum

    module.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for batch in _batches(len(dataset), work, progress.seed, first=progress.step):
            _reseed(device, _derived(progress.seed, "step", progress.step))
            loss = nn.functional.cross_entropy(module(features[batch].to(device)), labels[batch].to(device))
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss.item()} at step {progress.step + 1} of {steps}: training diverged. "
                    f"A learning rate below the plan's {optimizer.learning_rate} may help; check the data's scale too."
                )
            descent.zero_grad()
            loss.backward()
            descent.step()
            if anchor is not None:
                proximal_step(module, anchor, strength, optimizer.learning_rate)
            progress.step += 1
            progress.momentum = {
                name: descent.state[parameter]["momentum_buffer"]
                for name, parameter in parameters.items()
                if optimizer.momentum and parameter in descent.state
            }
            if on_step is not None:
                on_step(progress.step, steps)


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
