"""The tasks that a plan can name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from processor.artifacts.dataset import Dataset
from processor.artifacts.metrics import metric_of
from processor.errors import ConfigurationError, DatasetError
from processor.learning.tasks import TASKS, Task, get_task

ARGUMENTS: dict[str, dict[str, object]] = {"digits": {}, "classification": {"features": 5, "classes": 3}}


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no task called 'letters'; known: classification, digits"):
        get_task("letters", {})


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("digits", {"classes": 3}, "unexpected keyword argument 'classes'; it takes no arguments"),
        ("classification", {"features": 3}, "missing a required argument: 'classes'; it takes features, classes"),
        ("classification", {"features": 3, "classes": 0}, "classes must be an integer from 1 to 10000, not 0"),
        ("classification", {"features": True, "classes": 2}, "features must be an integer from 1 to 1000000, not True"),
        ("classification", {"features": 2.0, "classes": 2}, "not 2.0"),
    ],
)
def test_wrong_arguments_of_a_task_are_refused(name: str, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        get_task(name, arguments)


@pytest.fixture(params=sorted(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return get_task(request.param, ARGUMENTS[request.param])


def test_what_a_task_s_models_are_compared_by_is_known_without_torch(task: Task) -> None:
    assert task.measures[0].metric == metric_of(task.name)


def test_an_example_is_like_a_batch_of_data_and_has_its_size(task: Task) -> None:
    example = task.example(3, torch.device("cpu"))
    dataset = Dataset(example.numpy(), np.zeros(3, task.label_type))
    task.check(dataset)
    inputs, labels = task.batch(dataset, torch.tensor([2, 0]))
    assert inputs.shape[1:] == example.shape[1:] and inputs.dtype == example.dtype and len(inputs) == len(labels) == 2
    assert inputs.numpy().dtype == task.feature_type and labels.numpy().dtype == task.label_type
    assert task.example_bytes == inputs[0].numpy().nbytes + labels[0].numpy().nbytes


def test_an_example_on_the_device_meta_takes_no_memory(task: Task) -> None:
    example = task.example(2**40, torch.device("meta"))
    assert example.device.type == "meta" and len(example) == 2**40


def test_loss_and_likelihood_and_measures_take_what_a_model_answers(task: Task) -> None:
    outputs = torch.randn(task.answer(4))
    dataset = Dataset(task.example(4, torch.device("cpu")).numpy(), np.zeros(4, task.label_type))
    _, labels = task.batch(dataset, torch.arange(4))
    assert task.loss(outputs, labels).shape == ()
    weights = task.likelihood.weights(outputs)
    assert len(weights) == 4 and bool((weights >= 0).all())
    assert task.likelihood.scores(outputs[0]).shape == weights[0].shape
    assert all(each.scores(outputs, labels).shape == (4,) for each in task.measures)


def test_the_rows_of_a_batch_are_those_that_were_asked_for_in_their_order() -> None:
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    dataset = Dataset(features, np.array([0, 1, 2, 3]))
    inputs, labels = get_task("classification", {"features": 3, "classes": 4}).batch(dataset, torch.tensor([3, 1, 1]))
    assert np.array_equal(inputs.numpy(), features[[3, 1, 1]]) and labels.tolist() == [3, 1, 1]


def test_a_class_that_a_task_does_not_have_is_refused() -> None:
    with pytest.raises(DatasetError, match="labels run from 0 to 3"):
        get_task("classification", {"features": 1, "classes": 3}).check(
            Dataset(np.zeros((2, 1), np.float32), np.array([0, 3]))
        )
