"""Local training, readable top to bottom: batches, the optimizer's step, the pull of the anchor."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch._dynamo  # noqa: F401  (the first use of an optimizer imports it: two seconds that nobody should be metered for)
from torch import Tensor, nn

from processor.artifacts.plan import LocalWork, Optimizer
from processor.errors import TrainingError
from processor.learning.ewc import Anchor, proximal_step
from processor.learning.tasks import Dataset


def train(
    module: nn.Module,
    dataset: Dataset,
    *,
    optimizer: Optimizer,
    work: LocalWork,
    anchor: Anchor | None,
    strength: float,
    seed: int,
    on_step: Callable[[int, int], None] | None = None,
) -> None:
    """Trains `module` in place on the client's own data.

    After every step of SGD the anchor pulls with `strength` (lambda; see ewc.proximal_step). `seed` decides the order
    of the samples; it is the client's own and never published. `on_step(done, steps)` is told after every step.
    Raises TrainingError when the loss is no longer a finite number.
    """
    features, labels = torch.from_numpy(dataset.features), torch.from_numpy(dataset.labels)
    samples = work.steps * work.batch_size if work.steps is not None else (work.epochs or 0) * len(dataset)
    steps = -(-samples // work.batch_size)
    descent = torch.optim.SGD(module.parameters(), lr=optimizer.learning_rate, momentum=optimizer.momentum)

    module.train()
    for step, batch in enumerate(_batches(len(dataset), samples, work.batch_size, seed), start=1):
        loss = nn.functional.cross_entropy(module(features[batch]), labels[batch])
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {step} of {steps}: training diverged. "
                f"A learning rate below the plan's {optimizer.learning_rate} may help; check the data's scale too."
            )
        descent.zero_grad()
        loss.backward()
        descent.step()
        if anchor is not None and strength > 0:
            proximal_step(module, anchor, strength, optimizer.learning_rate)
        if on_step is not None:
            on_step(step, steps)


def _batches(count: int, samples: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """`samples` row numbers of 0..count-1 in batches: one shuffled pass over the data after another.

    Batches run on from one pass into the next, so that work counted in steps is the same for small and large data.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(0, dtype=torch.int64)
    while samples > 0:
        size = min(batch_size, samples)
        while len(order) < size:
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        yield order[:size]
        order, samples = order[size:], samples - size
