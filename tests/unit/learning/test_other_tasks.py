"""Nothing but the task says what is learned: other inputs, other labels, another likelihood, another metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from processor.artifacts.dataset import Dataset
from processor.artifacts.metrics import Metric
from processor.artifacts.model import Model
from processor.artifacts.plan import Ewc, Factory, LocalWork, Optimizer, Plan
from processor.artifacts.private_state import FIRST_PRIVATE_STATE
from processor.artifacts.update import Learned
from processor.errors import ConfigurationError, DatasetError
from processor.learning.evaluation import measure
from processor.learning.ewc import fisher_information
from processor.learning.local import learn
from processor.learning.models import MODELS, buffers_of, load_parameters, parameters_of
from processor.learning.resolve import check_model, module_of
from processor.learning.tasks import TASKS, Likelihood, Measure, Task
from tests.unit.artifacts.examples import MODEL_HEADER, PLAN

GRID, PLACES = (3, 2), 2
WORDS, LENGTH, TOPICS = 11, 5, 3


class Gaussian:
    """Outputs are the means of independent normal distributions of variance 1, each with a Fisher information of 1."""

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs

    def weights(self, outputs: Tensor) -> Tensor:
        return torch.ones_like(outputs)


class Error:
    """The squared distance to what was measured."""

    metric = Metric("squared_error", higher_is_better=False, tolerance=1e-6)

    def scores(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return (outputs - labels).square().sum(dim=1)


class Regression:
    """Two numbers for a grid of them."""

    name = "regression"
    feature_type, label_type = np.dtype(np.float32), np.dtype(np.float32)
    expected, takes, answers = "a float32 grid and two float32 numbers", "grid", "two numbers"
    likelihood: Likelihood = Gaussian()
    measures: Sequence[Measure] = (Error(),)
    example_bytes = math.prod(GRID) * 4 + PLACES * 4

    def check(self, dataset: Dataset) -> None:
        if dataset.features.shape[1:] != GRID or dataset.labels.shape[1:] != (PLACES,):
            raise DatasetError("these are no grids")

    def example(self, count: int, device: torch.device) -> Tensor:
        return torch.zeros(count, *GRID, device=device)

    def batch(self, dataset: Dataset, rows: Tensor) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(dataset.features)[rows], torch.from_numpy(dataset.labels)[rows]

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.mse_loss(outputs, labels)

    def answer(self, count: int) -> tuple[int, ...]:
        return (count, PLACES)


class Bernoulli:
    """Outputs are the logits of independent yes-or-no answers; that of probability p has a Fisher information of
    p (1 - p)."""

    def scores(self, outputs: Tensor) -> Tensor:
        return outputs

    def weights(self, outputs: Tensor) -> Tensor:
        return outputs.sigmoid() * (1 - outputs.sigmoid())


class Right:
    """The share of right answers, and how sure they were."""

    metric = Metric("answers", higher_is_better=True, tolerance=0.01)

    def scores(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return ((outputs > 0) == (labels > 0)).double().mean(dim=1)


class Certainty:
    metric = Metric("certainty", higher_is_better=True, tolerance=0.01)

    def scores(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return (2 * outputs.sigmoid() - 1).abs().mean(dim=1)


class Topics:
    """Which topics a sentence has, each of which it can have or not: words are numbers, not vectors."""

    name = "topics"
    feature_type, label_type = np.dtype(np.int64), np.dtype(np.int64)
    expected, takes, answers = "int64 words and int64 topics", "words", "topics"
    likelihood: Likelihood = Bernoulli()
    measures: Sequence[Measure] = (Right(), Certainty())
    example_bytes = LENGTH * 8 + TOPICS * 8

    def check(self, dataset: Dataset) -> None:
        if dataset.features.min() < 0 or dataset.features.max() >= WORDS:
            raise DatasetError("these are no words")

    def example(self, count: int, device: torch.device) -> Tensor:
        return torch.zeros(count, LENGTH, dtype=torch.int64, device=device)

    def batch(self, dataset: Dataset, rows: Tensor) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(dataset.features)[rows], torch.from_numpy(dataset.labels)[rows]

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(outputs, labels.to(outputs.dtype))

    def answer(self, count: int) -> tuple[int, ...]:
        return (count, TOPICS)


class Reader(nn.Module):
    """A table of words, the sum of whose rows is the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, TOPICS)

    def forward(self, words: Tensor) -> Tensor:
        answer: Tensor = self.table(words).sum(dim=1)
        return answer


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(GRID), PLACES))


def flat() -> nn.Module:
    return nn.Flatten()


def grids(count: int = 60) -> Dataset:
    """Grids whose two numbers are the sums of their columns."""
    features = np.random.default_rng(1).normal(size=(count, *GRID)).astype(np.float32)
    return Dataset(features, features.sum(axis=1))


def sentences(count: int = 60) -> Dataset:
    """Sentences that have each topic whose own word, 0, 1 or 2, is in them."""
    words = np.random.default_rng(2).integers(0, WORDS, size=(count, LENGTH))
    return Dataset(words, np.stack([(words == topic).any(axis=1) for topic in range(TOPICS)], axis=1).astype(np.int64))


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: dict[str, Callable[[], Task]] = {"regression": Regression, "topics": Topics}
    for name, task in tasks.items():
        monkeypatch.setitem(TASKS, name, task)
    monkeypatch.setitem(MODELS, "linear", linear)
    monkeypatch.setitem(MODELS, "reader", Reader)


def planned(task: str, model: str) -> Plan:
    return replace(
        PLAN,
        task=Factory(task, {}),
        model=Factory(model, {}),
        optimizer=Optimizer("sgd", learning_rate=0.5, momentum=0.5),
        local=LocalWork(steps=None, epochs=40, batch_size=20),
        ewc=Ewc(strength=0.1, decay=0.5, fisher_samples=16, fisher_cap=1.0),
    )


def learned_by(plan: Plan, data: Dataset) -> tuple[Learned, nn.Module, nn.Module]:
    """What was learned, the model before and the model after."""
    before, after = module_of(plan), module_of(plan)
    base = Model(MODEL_HEADER, parameters_of(before), buffers_of(before), {})
    learned = learn(plan, base, data, FIRST_PRIVATE_STATE, seed=3)
    trained = {name: base.parameters[name] + change for name, change in learned.delta.items()}
    load_parameters(after, trained, learned.buffers)
    return learned, before, after


def test_numbers_are_learned_and_measured_by_their_error() -> None:
    plan = planned("regression", "linear")
    check_model(plan)
    _, before, after = learned_by(plan, grids())
    errors = [measure(module, Regression(), grids())["squared_error"] for module in (before, after)]
    assert errors[0] > 0.5 and errors[1] < 1e-3


def test_the_fisher_information_of_a_line_is_the_mean_square_of_its_inputs() -> None:
    data = grids(count=16)
    fisher = fisher_information(linear(), Regression(), data, max_samples=16)
    expected = np.square(data.features.reshape(16, -1).astype(np.float64)).mean(axis=0)
    assert np.allclose(fisher["1.weight"], np.stack([expected] * PLACES), rtol=1e-5)
    assert np.allclose(fisher["1.bias"], 1)


def test_topics_of_words_are_learned_and_measured_by_both_of_their_metrics() -> None:
    plan = planned("topics", "reader")
    check_model(plan)
    _, before, after = learned_by(plan, sentences())
    measured = [measure(module, Topics(), sentences()) for module in (before, after)]
    assert [list(each) for each in measured] == [["answers", "certainty"]] * 2
    assert measured[1]["answers"] > max(0.9, measured[0]["answers"])


def test_the_fisher_information_of_yes_or_no_is_their_variance_times_the_square_of_the_inputs() -> None:
    learned, _, after = learned_by(planned("topics", "reader"), sentences(count=16))
    words = torch.from_numpy(sentences(count=16).features)
    with torch.no_grad():
        yes = after(words).sigmoid().double()
    counts = nn.functional.one_hot(words, WORDS).sum(dim=1).double()
    expected = torch.einsum("nw,nt->wt", counts.square(), yes * (1 - yes)) / len(words)
    assert np.allclose(learned.fisher["table.weight"], expected.numpy(), rtol=1e-3, atol=1e-6)


def test_a_model_that_does_not_fit_is_refused_in_the_words_of_its_task() -> None:
    with pytest.raises(ConfigurationError, match="model 'linear' cannot take the words of the task 'topics'"):
        check_model(planned("topics", "linear"))
    with pytest.raises(ConfigurationError, match="model 'reader' cannot take the grid of the task 'regression'"):
        check_model(planned("regression", "reader"))
    MODELS["linear"] = flat
    with pytest.raises(ConfigurationError, match=r"expected \[1, 2\], the two numbers of the task 'regression'"):
        check_model(planned("regression", "linear"))
