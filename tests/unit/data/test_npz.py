"""A data set's file: read back, refused in words, and never unpacked before its size is known."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.artifacts.dataset import Dataset
from processor.data import npz
from processor.data.npz import read_npz, save_npz
from processor.errors import DatasetError

FEATURES = np.linspace(0, 1, 3 * 64, dtype=np.float32).reshape(3, 64)
LABELS = np.array([0, 9, 4])


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_a_saved_data_set_is_read_back(tmp_path: Path) -> None:
    save_npz(tmp_path / "mine.npz", Dataset(FEATURES, LABELS))
    read = read_npz(tmp_path / "mine.npz")
    assert np.array_equal(read.features, FEATURES) and np.array_equal(read.labels, LABELS) and len(read) == 3


def test_a_compressed_data_set_is_read_too(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "mine.npz", features=FEATURES, labels=LABELS)
    assert len(read_npz(tmp_path / "mine.npz")) == 3


def test_arrays_in_any_order_of_memory_are_read_as_rows(tmp_path: Path) -> None:
    labels = np.zeros((4, 3), np.int64)[:, ::2]
    np.savez(tmp_path / "mine.npz", features=np.asfortranarray(FEATURES), labels=np.asfortranarray(labels))
    read = read_npz(tmp_path / "mine.npz")
    assert read.features.flags.c_contiguous and np.array_equal(read.features, FEATURES)
    assert read.labels.flags.c_contiguous and np.array_equal(read.labels, labels)


def test_a_data_set_of_other_types_is_read_as_them_alone(tmp_path: Path) -> None:
    tokens, targets = np.array([[3, 1], [2, 2]]), np.array([[0.5], [1.5]], np.float32)
    save_npz(tmp_path / "mine.npz", Dataset(tokens, targets))
    read = read_npz(tmp_path / "mine.npz", features=npz.INT64, labels=npz.FLOAT32)
    assert np.array_equal(read.features, tokens) and np.array_equal(read.labels, targets)
    with pytest.raises(DatasetError, match=r"features are int64; convert with .astype\(numpy.float32\)"):
        read_npz(tmp_path / "mine.npz")


def test_a_missing_file_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no such file"):
        read_npz(tmp_path / "nowhere.npz")


def test_a_folder_and_a_file_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="it cannot be read"):
        read_npz(tmp_path)
    (tmp_path / "mine.npz").write_text("features, labels\n")
    with pytest.raises(DatasetError, match="it is damaged or not an .npz file"):
        read_npz(tmp_path / "mine.npz")


@settings(max_examples=150)
@given(position=st.integers(0), flipped=st.integers(1, 255))
def test_a_damaged_file_is_refused_or_harmless(position: int, flipped: int) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, features=FEATURES, labels=LABELS)
    damaged = bytearray(buffer.getvalue())
    damaged[position % len(damaged)] ^= flipped
    try:
        read = read_npz(io.BytesIO(bytes(damaged)))  # type: ignore[arg-type]
    except DatasetError:
        return
    assert np.array_equal(read.features, FEATURES) and np.array_equal(read.labels, LABELS)


def test_a_file_that_would_unpack_to_more_than_memory_should_hold_is_refused_by_its_header(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 64), }"
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n")
        archive.writestr("labels.npy", npy(LABELS))
    with pytest.raises(DatasetError, match=r"it would take 256000000024 bytes of memory; the limit is"):
        read_npz(tmp_path / "bomb.npz")


def test_the_limit_holds_for_features_and_labels_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_npz(tmp_path / "mine.npz", Dataset(FEATURES, LABELS))
    monkeypatch.setattr(npz, "DATASET_LIMIT", FEATURES.nbytes + LABELS.nbytes)
    read_npz(tmp_path / "mine.npz")
    monkeypatch.setattr(npz, "DATASET_LIMIT", FEATURES.nbytes + LABELS.nbytes - 1)
    with pytest.raises(DatasetError, match="the limit is"):
        read_npz(tmp_path / "mine.npz")
