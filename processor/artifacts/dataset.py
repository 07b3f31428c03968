"""Samples in memory; and published validation data: what every model of a federation is measured on, for everybody to
repeat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from processor.artifacts.artifact_file import ArtifactFile
from processor.artifacts.canonical import Fields
from processor.artifacts.plan import Identifier
from processor.artifacts.versions import Group, Kind
from processor.errors import ArtifactError
from processor.tensors import Array, Layout
from processor.types import Cid


@dataclass(frozen=True)
class Dataset:
    """Samples of one party: `features` [n, ...] and `labels` [n, ...], of the types that their task names."""

    features: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DatasetHeader(Fields):
    """The task that the data is for."""

    task: Identifier


FEATURES, LABELS = Group("features", ("float32",)), Group("labels", ("int64",))
DATASET = Kind("dataset", 1 << 30, DatasetHeader, groups=(FEATURES, LABELS))


class DatasetFile(ArtifactFile[DatasetHeader]):
    """Features float32 [samples, ...] and labels int64 [samples]."""

    KIND = DATASET

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        found = {name: np.dtype(dtype).name for name, (dtype, _) in layout.items()}
        if found != {group.prefix: group.types[0] for group in cls.KIND.groups}:
            listed = ", ".join(f"{name} {dtype}" for name, dtype in found.items()) or "nothing"
            raise ArtifactError(f"a dataset holds features float32 and labels int64, this one {listed}", code="dtype")


def write_dataset(path: Path, header: DatasetHeader, features: Array, labels: Array) -> Cid:
    """Writes a dataset and returns its CID; ArtifactError for what could not be read back."""
    return DatasetFile.write(path, header, {"features": features, "labels": labels})


def load_dataset(path: Path) -> tuple[DatasetHeader, Array, Array]:
    """Header, features and labels; ArtifactError if the file is no dataset."""
    with DatasetFile(path) as file:
        return file.header, file.read("features"), file.read("labels")
