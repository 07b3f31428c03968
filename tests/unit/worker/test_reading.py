"""What a worker reads: a plan, a party's own data, published data, each for what it says it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from processor.artifacts.dataset import Dataset, DatasetHeader, write_dataset
from processor.artifacts.plan import PLAN as PLANS
from processor.cid import cid_of
from processor.data.npz import save_npz
from processor.errors import ArtifactError, DatasetError
from processor.learning.tasks import get_task
from processor.learning.tasks.classification import Classification
from processor.worker.jobs.reading import own_data, plan_in, published_data
from tests.unit.artifacts.examples import CID, PLAN

FEATURES = np.linspace(0, 1, 3 * 64, dtype=np.float32).reshape(3, 64)
LABELS = np.array([0, 9, 4])
DIGITS = get_task("digits", {})


def written(path: Path, **arrays: object) -> Path:
    np.savez(path, allow_pickle=True, **arrays)  # type: ignore[arg-type]
    return path


def test_a_party_s_own_data_is_read_for_the_task(tmp_path: Path) -> None:
    save_npz(tmp_path / "mine.npz", Dataset(FEATURES, LABELS))
    read = own_data(DIGITS, tmp_path / "mine.npz")
    assert np.array_equal(read.features, FEATURES) and np.array_equal(read.labels, LABELS)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"features": FEATURES}, "it holds features instead of features and labels"),
        ({"features": FEATURES, "labels": LABELS, "extra": LABELS}, "it holds extra, features, labels instead"),
        ({"features": FEATURES[:, :63], "labels": LABELS}, r"features have shape \[3, 63\]"),
        ({"features": FEATURES[0], "labels": LABELS}, r"features have shape \[64\]"),
        ({"features": FEATURES, "labels": LABELS[:2]}, r"labels have shape \[2\] for 3 rows"),
        ({"features": FEATURES, "labels": LABELS.reshape(3, 1)}, r"labels have shape \[3, 1\]"),
        ({"features": FEATURES[:0], "labels": LABELS[:0]}, "it holds no samples"),
        ({"features": FEATURES * np.float32("nan"), "labels": LABELS}, "not finite"),
        ({"features": FEATURES + np.float32("inf"), "labels": LABELS}, "not finite"),
        ({"features": FEATURES, "labels": LABELS + 1}, "labels run from 1 to 10"),
        ({"features": FEATURES, "labels": LABELS - 1}, "labels run from -1 to 8"),
        ({"features": FEATURES.astype(np.float64), "labels": LABELS}, r"features are float64; convert with"),
        ({"features": FEATURES, "labels": LABELS.astype(np.int32)}, r"labels are int32; convert with"),
        ({"features": FEATURES.astype(object), "labels": LABELS}, "features are object"),
    ],
)
def test_a_wrong_data_set_is_refused_in_words(tmp_path: Path, arrays: dict[str, object], said: str) -> None:
    path = written(tmp_path / "mine.npz", **arrays)
    with pytest.raises(DatasetError, match=rf"(?s)mine\.npz: .*{said}.*expected an .npz file with features float32"):
        own_data(DIGITS, path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.npz: there is no such file"):
        own_data(DIGITS, tmp_path / "nowhere.npz")


def test_a_classification_task_reads_vectors_of_its_own_size(tmp_path: Path) -> None:
    save_npz(tmp_path / "mine.npz", Dataset(np.zeros((2, 5), np.float32), np.array([2, 0])))
    assert len(own_data(get_task("classification", {"features": 5, "classes": 3}), tmp_path / "mine.npz")) == 2


def test_published_data_is_read_for_the_task_that_it_says(tmp_path: Path) -> None:
    cid = write_dataset(tmp_path / "data", DatasetHeader("digits"), FEATURES, LABELS)
    assert np.array_equal(published_data(DIGITS, tmp_path / "data", cid).labels, LABELS)
    write_dataset(tmp_path / "data", DatasetHeader("letters"), FEATURES, LABELS)
    with pytest.raises(ArtifactError, match="the validation data is for the task letters: expected digits"):
        published_data(DIGITS, tmp_path / "data", cid)


def test_published_data_that_the_task_cannot_use_is_named(tmp_path: Path) -> None:
    cid = write_dataset(tmp_path / "data", DatasetHeader("digits"), FEATURES, LABELS + 1)
    said = rf"the validation data {cid} cannot be used: labels run from 1 to 10; expected features float32 \[samples"
    with pytest.raises(ArtifactError, match=said):
        published_data(DIGITS, tmp_path / "data", cid)


def test_published_data_of_other_types_than_the_task_s_is_refused(tmp_path: Path) -> None:
    class Words(Classification):
        @property
        def feature_type(self) -> np.dtype:
            return np.dtype(np.int64)

    cid = write_dataset(tmp_path / "data", DatasetHeader("words"), FEATURES, LABELS)
    with pytest.raises(ArtifactError, match="cannot be used: features are float32 and labels int64; expected"):
        published_data(Words("words", 64, 10), tmp_path / "data", cid)


def test_the_plan_of_a_job_is_the_one_that_the_job_names(tmp_path: Path) -> None:
    (tmp_path / "plan").write_bytes(PLANS.encode(PLAN))
    assert plan_in(tmp_path, cid_of(PLANS.encode(PLAN))) == PLAN
    (tmp_path / "plan").write_bytes(PLANS.encode(replace(PLAN, initialization_seed=8)))
    with pytest.raises(ArtifactError, match=f"expected {CID}, as its job says"):
        plan_in(tmp_path, CID)
