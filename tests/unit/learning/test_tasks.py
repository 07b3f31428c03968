from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.errors import ConfigurationError, DatasetError
from processor.learning import tasks
from processor.learning.tasks import Dataset, digits_partition, get_task, save_dataset

FEATURES = np.linspace(0, 1, 3 * 64, dtype=np.float32).reshape(3, 64)
LABELS = np.array([0, 9, 4])


def written(path: Path, **arrays: object) -> Path:
    np.savez(path, allow_pickle=True, **arrays)  # type: ignore[arg-type]
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_a_saved_data_set_is_read_back(tmp_path: Path) -> None:
    save_dataset(tmp_path / "mine.npz", Dataset(FEATURES, LABELS))
    read = get_task("digits", {}).load(tmp_path / "mine.npz")
    assert np.array_equal(read.features, FEATURES) and np.array_equal(read.labels, LABELS) and len(read) == 3


def test_a_compressed_data_set_is_read_too(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "mine.npz", features=FEATURES, labels=LABELS)
    assert len(get_task("digits", {}).load(tmp_path / "mine.npz")) == 3


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
        get_task("digits", {}).load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.npz: there is no such file"):
        get_task("digits", {}).load(tmp_path / "nowhere.npz")


@settings(max_examples=150)
@given(position=st.integers(0), flipped=st.integers(1, 255))
def test_a_damaged_file_is_refused_or_harmless(position: int, flipped: int) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, features=FEATURES, labels=LABELS)
    damaged = bytearray(buffer.getvalue())
    damaged[position % len(damaged)] ^= flipped
    try:
        read = get_task("digits", {}).load(io.BytesIO(bytes(damaged)))  # type: ignore[arg-type]
    except DatasetError:
        return
    assert np.array_equal(read.features, FEATURES) and np.array_equal(read.labels, LABELS)


def test_a_file_that_would_unpack_to_more_than_memory_should_hold_is_refused_by_its_header(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 64), }"
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n")
        archive.writestr("labels.npy", npy(LABELS))
    with pytest.raises(DatasetError, match=r"it would take 256000000024 bytes of memory; the limit is"):
        get_task("digits", {}).load(tmp_path / "bomb.npz")


def test_the_limit_holds_for_features_and_labels_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_dataset(tmp_path / "mine.npz", Dataset(FEATURES, LABELS))
    monkeypatch.setattr(tasks, "DATASET_LIMIT", FEATURES.nbytes + LABELS.nbytes)
    get_task("digits", {}).load(tmp_path / "mine.npz")
    monkeypatch.setattr(tasks, "DATASET_LIMIT", FEATURES.nbytes + LABELS.nbytes - 1)
    with pytest.raises(DatasetError, match="the limit is"):
        get_task("digits", {}).load(tmp_path / "mine.npz")


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


def test_a_classification_task_reads_vectors_of_its_own_size(tmp_path: Path) -> None:
    mine = Dataset(np.zeros((2, 5), np.float32), np.array([2, 0]))
    save_dataset(tmp_path / "mine.npz", mine)
    assert len(get_task("classification", {"features": 5, "classes": 3}).load(tmp_path / "mine.npz")) == 2


def rows(dataset: Dataset) -> list[bytes]:
    return [row.tobytes() for row in dataset.features]


@settings(max_examples=20, deadline=None)
@given(clients=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_every_digit_is_dealt_once(clients: int, seed: int) -> None:
    shares, validation = digits_partition(clients, seed)
    assert len(shares) == clients and all(len(share) for share in shares)
    dealt = sorted(row for share in [*shares, validation] for row in rows(share))
    assert dealt == sorted(
        row for share in [*digits_partition(1, 0)[0], digits_partition(1, 0)[1]] for row in rows(share)
    )


@pytest.mark.parametrize("clients", [1, 2, 3, 4, 5, 6, 13, 40])
def test_clients_hold_two_classes_or_share_all_ten(clients: int) -> None:
    held = [set(share.labels.tolist()) for share in digits_partition(clients, seed=3)[0]]
    assert set.union(*held) == set(range(10))
    if clients <= 5:
        sizes = sorted(len(classes) for classes in held)
        assert sum(sizes) == 10 and sizes[-1] - sizes[0] <= 1
    else:
        assert {len(classes) for classes in held} == {2}


def test_a_fifth_of_every_class_is_held_out() -> None:
    shares, validation = digits_partition(5, seed=0)
    total = np.bincount(np.concatenate([validation.labels, *(share.labels for share in shares)]))
    assert np.array_equal(np.bincount(validation.labels), np.round(total * 0.2))


def test_the_seed_decides_the_partition() -> None:
    first, again, other = (digits_partition(5, seed) for seed in (1, 1, 2))
    assert [rows(share) for share in first[0]] == [rows(share) for share in again[0]]
    assert rows(first[1]) != rows(other[1])


@pytest.mark.parametrize("clients", [0, -1, 501])
def test_more_clients_than_digits_can_serve_are_refused(clients: int) -> None:
    with pytest.raises(ConfigurationError, match="clients of the digits task must be an integer from 1 to 500"):
        digits_partition(clients, seed=0)
