"""Ranges of a tensor: read and written in any pieces, they are the tensor."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.cid import cid_of_file
from processor.errors import Unreadable
from processor.tensors import BLOCK, Array, TensorFile, TensorWriter, blocks, write_tensors

VALUES: Array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
FEW: Array = np.array([1, 2], np.int64)


@pytest.fixture
def file(tmp_path: Path) -> TensorFile:
    write_tensors(tmp_path / "tensors", {"few": FEW, "values": VALUES}, {})
    return TensorFile(tmp_path / "tensors")


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_a_range_is_a_slice_of_the_tensor_in_one_dimension(start: int, stop: int) -> None:
    start, stop = sorted((start, stop))
    with tempfile.TemporaryDirectory() as folder:
        write_tensors(Path(folder) / "tensors", {"few": FEW, "values": VALUES}, {})
        with TensorFile(Path(folder) / "tensors") as file:
            assert file.read_range("values", start, stop).tolist() == VALUES.ravel()[start:stop].tolist()


def test_a_tensor_says_how_many_elements_it_has(file: TensorFile) -> None:
    assert (file.count("values"), file.count("few")) == (60, 2)


def test_a_range_is_read_into_memory_that_is_there_already(file: TensorFile) -> None:
    memory: Array = np.full(10, -1, np.float32)
    assert file.read_range("values", 5, 8, into=memory).base is memory
    assert memory.tolist() == [5, 6, 7, -1, -1, -1, -1, -1, -1, -1]


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 1), (0, 61), (60, 61)])
def test_a_range_outside_the_tensor_is_refused(file: TensorFile, start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=f"has 60 elements: there is no range {start} to {stop}"):
        file.read_range("values", start, stop)


@pytest.mark.parametrize(
    "memory",
    [np.zeros(2, np.float32), np.zeros(9, np.float64), np.zeros((3, 3), np.float32), np.zeros(18, np.float32)[::2]],
    ids=["too short", "another type", "two dimensions", "with gaps"],
)
def test_memory_that_a_range_does_not_fit_is_refused(file: TensorFile, memory: Array) -> None:
    with pytest.raises(ValueError, match="holds no 3 of it"):
        file.read_range("values", 0, 3, into=memory)


def test_several_threads_read_one_file(tmp_path: Path) -> None:
    long = np.arange(20 * BLOCK, dtype=np.int64)
    write_tensors(tmp_path / "tensors", {"long": long}, {})
    with TensorFile(tmp_path / "tensors") as file, ThreadPoolExecutor(4) as pool:
        ranges = list(blocks(len(long))) * 5
        read = pool.map(lambda ends: file.read_range("long", *ends), ranges)
        for (start, stop), values in zip(ranges, read, strict=True):
            assert (values[0], values[-1]) == (start, stop - 1)


def test_a_range_that_is_cut_off_while_it_is_read_is_refused(file: TensorFile) -> None:
    with file.path.open("r+b") as shrinking:
        shrinking.truncate(file.path.stat().st_size - 4)
    assert file.read_range("values", 0, 59)[-1] == 58
    with pytest.raises(Unreadable, match="was truncated while it was read"):
        file.read_range("values", 58, 60)


@settings(deadline=None)
@given(st.sets(st.integers(1, 59)))
def test_a_tensor_that_is_written_in_pieces_has_the_same_bytes_and_cid(cuts: set[int]) -> None:
    ends = [0, *sorted(cuts), 60]
    with tempfile.TemporaryDirectory() as folder:
        whole, pieces = Path(folder) / "whole", Path(folder) / "pieces"
        write_tensors(whole, {"few": FEW, "values": VALUES}, {"round": 1})
        layout = {"few": (np.int64, (2,)), "values": (np.float32, VALUES.shape)}
        with TensorWriter(pieces, {"round": 1}, layout) as writer:
            writer.write("few", FEW)
            for start, stop in zip(ends, ends[1:], strict=False):
                writer.append("values", VALUES.ravel()[start:stop])
        assert pieces.read_bytes() == whole.read_bytes()
        assert writer.cid == cid_of_file(whole)


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 7])
def test_the_cid_that_is_computed_while_writing_is_that_of_the_file(tmp_path: Path, length: int) -> None:
    with TensorWriter(tmp_path / "tensors", {}, {"a": (np.float64, (length,))}) as writer:
        writer.write("a", np.random.default_rng(0).normal(size=length))
    assert writer.cid == cid_of_file(tmp_path / "tensors")


def test_there_is_no_cid_before_the_file_is_finished(tmp_path: Path) -> None:
    with TensorWriter(tmp_path / "tensors", {}, {"a": (np.float32, (2,))}) as writer:
        writer.write("a", np.zeros(2, np.float32))
        with pytest.raises(ValueError, match="not finished: ask for its CID after"):
            _ = writer.cid


def test_an_error_leaves_neither_a_file_nor_a_cid(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="broken"),
        TensorWriter(tmp_path / "tensors", {}, {"a": (np.float32, (1,))}) as writer,
    ):
        writer.write("a", np.zeros(1, np.float32))
        raise OSError("broken")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="not finished"):
        _ = writer.cid


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("b", np.zeros(1, np.float32), "'b' is out of order"),
        ("a", np.zeros(1, np.float64), "is float64"),
        ("a", np.zeros((1, 1), np.float32), r"is float32\(1, 1\)"),
        ("a", np.zeros(3, np.float32), r"its layout says float32\(2, 2\), of which 2 elements are written"),
    ],
)
def test_a_writer_refuses_elements_that_do_not_come_next(tmp_path: Path, name: str, values: Array, reason: str) -> None:
    layout = {"a": (np.float32, (2, 2)), "b": (np.float32, (1,))}
    with pytest.raises(ValueError, match=reason), TensorWriter(tmp_path / "tensors", {}, layout) as writer:
        writer.append("a", np.zeros(2, np.float32))
        writer.append(name, values)
    assert not list(tmp_path.iterdir())


def test_a_whole_tensor_does_not_follow_a_part_of_it(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="of which 1 elements are written"),
        TensorWriter(tmp_path / "tensors", {}, {"a": (np.float32, (2,))}) as writer,
    ):
        writer.append("a", np.zeros(1, np.float32))
        writer.write("a", np.zeros(2, np.float32))


def test_a_tensor_that_is_written_in_part_is_not_finished(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"\['a'\] were not written"),
        TensorWriter(tmp_path / "tensors", {}, {"a": (np.float32, (2,))}) as writer,
    ):
        writer.append("a", np.zeros(1, np.float32))
    assert not list(tmp_path.iterdir())
