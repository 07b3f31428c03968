"""How good a model is on data it was not trained on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from processor.artifacts.dataset import Dataset
from processor.learning.device import home_of
from processor.learning.tasks import Task

BATCH = 1024


@torch.no_grad()
def measure(
    module: nn.Module, task: Task, dataset: Dataset, between: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Each of the task's metrics by its name, the first one first: means over the samples, computed where the module
    is. `between` is called before every batch: an exception that it raises stops the measuring there."""
    module.eval()
    device = home_of(module)
    totals = {each.metric.name: 0.0 for each in task.measures}
    for rows in torch.arange(len(dataset)).split(BATCH):
        between()
        inputs, labels = (each.to(device) for each in task.batch(dataset, rows))
        outputs = module(inputs)
        for each in task.measures:
            totals[each.metric.name] += float(each.scores(outputs, labels).sum(dtype=torch.float64))
    return {name: total / len(dataset) for name, total in totals.items()}
