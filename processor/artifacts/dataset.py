"""Published validation data: what every model of a federation is measured on, for everybody to repeat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from processor.artifacts.artifact_file import ArtifactFile
from processor.artifacts.canonical import Fields
from processor.artifacts.plan import Identifier
from processor.cid import cid_of_file
from processor.errors import ArtifactError
from processor.tensors import Array, Layout
from processor.types import Cid

DATASET_LIMIT = 1 << 30
TYPES = {"features": np.dtype(np.float32), "labels": np.dtype(np.int64)}


@dataclass(frozen=True)
class DatasetHeader(Fields):
    """The task that the data is for."""

    task: Identifier


class DatasetFile(ArtifactFile[DatasetHeader]):
    """Features float32 [samples, ...] and labels int64 [samples]."""

    KIND = "dataset"
    LIMIT = DATASET_LIMIT
    HEADER = DatasetHeader

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        found = {name: np.dtype(dtype) for name, (dtype, _) in layout.items()}
        if found != TYPES:
            listed = ", ".join(f"{name} {dtype}" for name, dtype in found.items()) or "nothing"
            raise ArtifactError(f"a dataset holds features float32 and labels int64, this one {listed}", code="dtype")


def write_dataset(path: Path, header: DatasetHeader, features: Array, labels: Array) -> Cid:
    """Writes a dataset and returns its CID; ArtifactError for what could not be read back."""
    DatasetFile.write(path, header, {"features": features, "labels": labels})
    return cid_of_file(path)


def load_dataset(path: Path) -> tuple[DatasetHeader, Array, Array]:
    """Header, features and labels; ArtifactError if the file is no dataset."""
    with DatasetFile(path) as file:
        return file.header, file.read("features"), file.read("labels")
