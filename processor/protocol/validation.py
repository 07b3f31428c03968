"""The metric of a model, on validation data that is private to the organization or published for everybody."""

from __future__ import annotations

import tempfile
from pathlib import Path

from processor.artifacts.dataset import DATASET, DatasetHeader, load_dataset, write_dataset
from processor.artifacts.model import load_model
from processor.artifacts.plan import PRIVATE, Plan
from processor.errors import ArtifactError, DatasetError
from processor.learning.evaluation import accuracy
from processor.learning.models import load_parameters
from processor.learning.tasks import Dataset
from processor.protocol.resolve import check_model, module_of, task_of
from processor.storage.base import Storage
from processor.storage.library import Library
from processor.types import Cid

METRIC = "accuracy"
TOLERANCE = 0.01
"""How far two machines may differ: where two classes are almost equally probable, rounding decides."""


def published_validation(plan: Plan, library: Library) -> Dataset | None:
    """The data that the plan names; None where it is private.

    Raises ArtifactError for what is no dataset of the plan's task, StorageError where it cannot be had.
    """
    if plan.validation == PRIVATE:
        return None
    with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
        path = Path(folder) / "dataset"
        library.fetch(DATASET, plan.validation, path)
        header, features, labels = load_dataset(path)
    if header.task != plan.task.name:
        raise ArtifactError(f"the validation data is for the task {header.task}: expected {plan.task.name}")
    dataset = Dataset(features, labels)
    try:
        task_of(plan).check(dataset)
    except DatasetError as error:
        raise ArtifactError(f"the validation data {plan.validation} cannot be used: {error}") from None
    return dataset


def publish_validation(plan: Plan, validation: Dataset, storage: Storage) -> Cid:
    """Publishes validation data, for everybody and for good."""
    with tempfile.TemporaryDirectory(prefix="koinon-") as folder:
        path = Path(folder) / "dataset"
        write_dataset(path, DatasetHeader(task=plan.task.name), validation.features, validation.labels)
        return storage.put(path)


def metric_of(plan: Plan, model: Path, validation: Dataset) -> float:
    """The accuracy of a model's file. Raises ArtifactError where it does not fit the plan's model."""
    check_model(plan)
    module = module_of(plan)
    trained = load_model(model)
    load_parameters(module, trained.parameters, trained.buffers)
    return accuracy(module, validation)
