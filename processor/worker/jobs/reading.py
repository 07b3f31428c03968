"""What a job's folder holds, and the data of whoever asks, in the terms of the plan's task."""

from __future__ import annotations

from pathlib import Path

from processor.artifacts.dataset import Dataset, load_dataset
from processor.artifacts.plan import PLAN as PLANS
from processor.artifacts.plan import Plan
from processor.cid import cid_of
from processor.data.npz import read_npz
from processor.errors import ArtifactError, DatasetError, NewerVersion
from processor.learning.tasks import Task
from processor.protocol.jobs.kinds import PLAN
from processor.protocol.validation import UNUSABLE
from processor.types import Cid


def plan_in(folder: Path, cid: Cid) -> Plan:
    """The plan of a job. Raises ArtifactError where the folder holds another one than the job names."""
    data = (folder / PLAN).read_bytes()
    if cid_of(data) != cid:
        raise ArtifactError(f"the plan in {folder} has the CID {cid_of(data)}: expected {cid}, as its job says")
    return PLANS.decode(data)


def own_data(task: Task, path: Path) -> Dataset:
    """A party's own data set, checked: in memory it is for the task. Raises DatasetError that names the file and says
    what to change."""
    try:
        if path.is_fifo():  # to open it would wait for whoever writes to it
            raise DatasetError("it is a pipe")
        dataset = read_npz(path, task.feature_type, task.label_type)
        task.check(dataset)
    except DatasetError as error:
        raise DatasetError(
            f"cannot use the data set {path}: {error}; expected an .npz file with {task.expected}"
        ) from None
    return dataset


def published_data(task: Task, path: Path, cid: Cid) -> Dataset:
    """The data set that a plan names by its CID, checked. Raises ArtifactError, with the code `UNUSABLE`, for what is
    no dataset of the task."""
    try:
        header, features, labels = load_dataset(path)
    except NewerVersion:
        raise
    except ArtifactError as error:
        raise ArtifactError(f"the validation data {cid} cannot be used: {error}", code=UNUSABLE) from None
    if header.task != task.name:
        raise ArtifactError(f"the validation data is for the task {header.task}: expected {task.name}", code=UNUSABLE)
    dataset = Dataset(features, labels)
    try:
        if (features.dtype, labels.dtype) != (task.feature_type, task.label_type):
            raise DatasetError(f"features are {features.dtype} and labels {labels.dtype}")
        task.check(dataset)
    except DatasetError as error:
        raise ArtifactError(
            f"the validation data {cid} cannot be used: {error}; expected {task.expected}", code=UNUSABLE
        ) from None
    return dataset
