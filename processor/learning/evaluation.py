"""How good a model is on data it was not trained on."""

from __future__ import annotations

import torch
from torch import nn

from processor.learning.device import home_of
from processor.learning.tasks import Dataset

BATCH = 1024


@torch.no_grad()
def accuracy(module: nn.Module, dataset: Dataset) -> float:
    """The share, 0..1, of samples whose most probable class is their label; computed where the module is."""
    module.eval()
    device, correct = home_of(module), 0
    for features, labels in zip(
        torch.from_numpy(dataset.features).split(BATCH), torch.from_numpy(dataset.labels).split(BATCH), strict=True
    ):
        correct += int((module(features.to(device)).argmax(dim=1) == labels.to(device)).sum())
    return correct / len(dataset)
