from pathlib import Path

import numpy as np
import pytest

from processor.artifacts.dataset import DatasetHeader, load_dataset, write_dataset
from processor.errors import ArtifactError
from processor.tensors import Array, write_tensors


def test_dataset_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    features, labels = np.ones((2, 3), np.float32), np.array([1, 0], np.int64)
    write_dataset(tmp_path / "dataset", DatasetHeader("digits"), features, labels)
    header, found_features, found_labels = load_dataset(tmp_path / "dataset")
    assert header == DatasetHeader("digits")
    assert (found_features == features).all() and (found_labels == labels).all()


def test_dataset_with_other_tensors_is_refused_with_their_names(tmp_path: Path) -> None:
    header = {"kind": "dataset", "version": 1, "task": "digits"}
    write_tensors(tmp_path / "dataset", {"features": np.ones((2, 3), np.float32)}, header)
    with pytest.raises(ArtifactError, match="holds features float32 and labels int64, this one features float32"):
        load_dataset(tmp_path / "dataset")


def test_features_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    header = {"kind": "dataset", "version": 1, "task": "digits"}
    tensors: dict[str, Array] = {"features": np.full((1, 3), np.nan, np.float32), "labels": np.array([1], np.int64)}
    write_tensors(tmp_path / "dataset", tensors, header)
    with pytest.raises(ArtifactError, match="NaN"):
        load_dataset(tmp_path / "dataset")
