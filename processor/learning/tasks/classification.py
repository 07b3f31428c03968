"""One of several classes for a vector of numbers: the softmax over a model's outputs is their probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from processor.artifacts.dataset import Dataset
from processor.artifacts.metrics import ACCURACY, Metric
from processor.errors import DatasetError
from processor.learning.tasks.task import Likelihood, Measure


class Softmax:
    """Outputs [n, classes] are logits; the expectation runs over the model's own predictions.

    Over the labels it would give the "empirical" Fisher information (Kunstner et al. 2019, "Limitations of the
    empirical Fisher approximation").
    """

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs.log_softmax(dim=0)

    def weights(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(dim=1)


class Accuracy:
    """Whether the most probable class is the label."""

    @property
    def metric(self) -> Metric:
        return ACCURACY

    def scores(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return outputs.argmax(dim=1) == labels


@dataclass(frozen=True)
class Classification:
    """Vectors of `features` numbers, each in one of `classes` classes."""

    name: str
    features: int
    classes: int

    @property
    def feature_type(self) -> np.dtype:
        return np.dtype(np.float32)

    @property
    def label_type(self) -> np.dtype:
        return np.dtype(np.int64)

    @property
    def expected(self) -> str:
        return f"features float32 [samples, {self.features}] and labels int64 [samples] from 0 to {self.classes - 1}"

    @property
    def takes(self) -> str:
        return f"{self.features} features"

    @property
    def likelihood(self) -> Likelihood:
        return Softmax()

    @property
    def measures(self) -> Sequence[Measure]:
        return (Accuracy(),)

    def check(self, dataset: Dataset) -> None:
        features, labels = dataset.features, dataset.labels
        if features.ndim != 2 or features.shape[1] != self.features:
            raise DatasetError(f"features have shape {list(features.shape)}")
        if labels.shape != features.shape[:1]:
            raise DatasetError(f"labels have shape {list(labels.shape)} for {len(features)} rows of features")
        if not len(labels):
            raise DatasetError("it holds no samples")
        if not np.isfinite(features).all():
            raise DatasetError("features hold a number that is not finite")
        if labels.min() < 0 or labels.max() >= self.classes:
            raise DatasetError(f"labels run from {labels.min()} to {labels.max()}")

    def example(self, count: int, device: torch.device) -> Tensor:
        return torch.zeros(count, self.features, device=device)

    def batch(self, dataset: Dataset, rows: Tensor) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(dataset.features)[rows], torch.from_numpy(dataset.labels)[rows]

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, labels)

    @property
    def example_bytes(self) -> int:
        return self.features * self.feature_type.itemsize + self.label_type.itemsize

    def answer(self, count: int) -> tuple[int, ...]:
        return (count, self.classes)

    @property
    def answers(self) -> str:
        return "classes"
