"""What a task says, so that nobody else assumes it: training, Fisher information, measuring and a plan's checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from processor.artifacts.dataset import Dataset
from processor.artifacts.metrics import Metric


class Likelihood(Protocol):
    """The distribution of the answer that a model's outputs stand for; the Fisher information is that of it.

    Its diagonal is written as F = mean_x sum_k w_k(x) (d s_k(x) / d theta)^2. Any distribution has this form with an
    answer for each k, s_k its log-probability and w_k its probability. One of independent parameters has a shorter
    one, with the parameters for s and the Fisher information of each for w.
    """

    def scores(self, outputs: Tensor) -> Tensor:
        """s [k] of one example's outputs, without the dimension of a batch; differentiable."""
        ...

    def weights(self, outputs: Tensor) -> Tensor:
        """w [n, k] >= 0 of the outputs of n examples."""
        ...


class Measure(Protocol):
    """A metric as the mean of what each example of a dataset scores."""

    @property
    def metric(self) -> Metric: ...

    def scores(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """What each of n examples scores: [n]."""
        ...


class Task(Protocol):
    """What is learned. The first of `measures` is what models are compared by, and what ends the rounds."""

    @property
    def name(self) -> str: ...

    @property
    def feature_type(self) -> np.dtype: ...

    @property
    def label_type(self) -> np.dtype: ...

    @property
    def expected(self) -> str:
        """What a dataset of the task holds, in words that complete "expected"."""
        ...

    @property
    def takes(self) -> str:
        """What an input is, in words that complete "the model cannot take the"."""
        ...

    @property
    def likelihood(self) -> Likelihood: ...

    @property
    def measures(self) -> Sequence[Measure]: ...

    def check(self, dataset: Dataset) -> None:
        """Raises DatasetError for data that is not the task's; `expected` is left for the reader to add."""
        ...

    def example(self, count: int, device: torch.device) -> Tensor:
        """A batch of so many inputs, as `batch` makes them, with any values; on the device `meta` with none."""
        ...

    def batch(self, dataset: Dataset, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs and labels of these rows (int64 [n]) of a dataset, on the processor."""
        ...

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """What training minimizes: a mean over the batch, differentiable, without dimensions."""
        ...

    @property
    def example_bytes(self) -> int:
        """Bytes of one example with its label in memory."""
        ...

    def answer(self, count: int) -> tuple[int, ...]:
        """The shape of a model's outputs for so many examples."""
        ...

    @property
    def answers(self) -> str:
        """What a model's outputs are, in words that complete "expected [1, 10], the"."""
        ...
