from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from processor.artifacts.dataset import Dataset
from processor.learning.evaluation import measure
from processor.learning.tasks import get_task


def accuracy(module: nn.Module, dataset: Dataset) -> float:
    width = dataset.features.shape[1]
    [(name, value)] = measure(
        module, get_task("classification", {"features": width, "classes": width}), dataset
    ).items()
    assert name == "accuracy"
    return value


@pytest.mark.parametrize("count", [1, 4, 1023, 1024, 1025, 3000])
def test_accuracy_is_the_share_of_samples_that_are_right(count: int) -> None:
    classes = np.arange(count) % 4
    labels = np.where(np.arange(count) % 2 == 0, classes, (classes + 1) % 4)
    dataset = Dataset(np.eye(4, dtype=np.float32)[classes], labels)
    assert accuracy(nn.Identity(), dataset) == (count + 1) // 2 / count


def test_evaluation_uses_what_training_only_estimates() -> None:
    module = nn.Dropout(p=1.0)
    module.train()
    assert accuracy(module, Dataset(np.eye(3, dtype=np.float32), np.arange(3))) == 1.0
